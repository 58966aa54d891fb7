"""Where the query starts: the ledger decides, the checkpoint is followed only while the ledger knows it."""

from __future__ import annotations

from pathlib import Path

import pytest

from include.warehouse.ledger import LedgerPosition
from spark_jobs.lib.checkpoint import CheckpointState, discard_checkpoint, read_checkpoint
from spark_jobs.lib.starting_point import StartReason, decide_starting_point

LOG = {0: (10, 100), 1: (0, 50)}
USED = CheckpointState("query", 7)
UNUSED = CheckpointState("query", None)


def at(zero: int, one: int | None = 5, topic: str = "life-1") -> LedgerPosition:
    return LedgerPosition(topic, {0: zero} if one is None else {0: zero, 1: one}, None)


@pytest.mark.parametrize(
    ("checkpoint", "committed", "position", "reason", "offsets", "lost"),
    [
        (USED, True, at(40), StartReason.CHECKPOINT, None, {}),
        (USED, False, at(40), StartReason.UNKNOWN_CHECKPOINT, {0: 40, 1: 5}, {}),
        (UNUSED, False, at(40), StartReason.UNUSED_CHECKPOINT, {0: 40, 1: 5}, {}),
        (ValueError("empty file"), False, at(40), StartReason.DAMAGED_CHECKPOINT, {0: 40, 1: 5}, {}),
        (None, False, at(40), StartReason.NO_CHECKPOINT, {0: 40, 1: 5}, {}),
        (None, False, at(40, None), StartReason.NO_CHECKPOINT, {0: 40, 1: 0}, {}),  # a new partition: from its start
        (None, False, at(100), StartReason.NO_CHECKPOINT, {0: 100, 1: 5}, {}),  # all read
        (USED, True, at(4), StartReason.LOG_CHANGED, {0: 10, 1: 5}, {0: 6}),  # retention was quicker than we
        (USED, True, at(101), StartReason.LOG_CHANGED, {0: 10, 1: 5}, {}),  # the log was cut
        (USED, True, at(40, topic="life-0"), StartReason.NEW_TOPIC, {0: 10, 1: 0}, {}),
        (USED, False, None, StartReason.EMPTY_LEDGER, {0: 10, 1: 0}, {}),  # the database is new: count all again
    ],
)
def test_start(  # noqa: PLR0917 - the columns of the table
    checkpoint: CheckpointState | ValueError | None,
    committed: bool,
    position: LedgerPosition | None,
    reason: StartReason,
    offsets: dict[int, int] | None,
    lost: dict[int, int],
) -> None:
    start = decide_starting_point(checkpoint, committed, position, "life-1", LOG)
    assert (start.reason, start.offsets, start.lost) == (reason, offsets, lost)


def checkpoint(folder: Path, commits: dict[str, str], offsets: dict[str, str]) -> Path:
    (folder / "metadata").write_text('{"id":"abc"}')
    for name, files in (("commits", commits), ("offsets", offsets)):
        (folder / name).mkdir()
        for batch, text in files.items():
            (folder / name / batch).write_text(text)
    return folder


COMMIT, OFFSETS = 'v1\n{"nextBatchWatermarkMs":0}', 'v1\n{"batchWatermarkMs":0}\n{"t":{"0":5}}'


def test_reads_the_newest_finished_batch(tmp_path: Path) -> None:
    assert read_checkpoint(tmp_path) is None
    checkpoint(tmp_path, {"9": COMMIT, "10": COMMIT, ".10.crc": ""}, {"10": OFFSETS, "11": OFFSETS})
    assert read_checkpoint(tmp_path) == CheckpointState("abc", 10)


@pytest.mark.parametrize(
    ("commits", "offsets"), [({"1": ""}, {"1": OFFSETS}), ({"1": COMMIT}, {"2": "v1\n{tru"}), ({}, {"0": "\0\0\0"})]
)
def test_a_damaged_checkpoint_is_noticed(tmp_path: Path, commits: dict[str, str], offsets: dict[str, str]) -> None:
    checkpoint(tmp_path, commits, offsets)
    with pytest.raises(ValueError, match=r"."):
        read_checkpoint(tmp_path)


def test_a_discarded_checkpoint_is_kept_aside(tmp_path: Path) -> None:
    folder = tmp_path / "stream"
    assert discard_checkpoint(folder) is None
    for _ in range(2):
        folder.mkdir()
        (folder / "metadata").write_text("x")
        aside = discard_checkpoint(folder)
        assert aside is not None
        assert (aside / "metadata").read_text() == "x"
        assert not folder.exists()
