"""What stands in the way of a start: ports, disks; and what a log says about the last one."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections import namedtuple
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from include.remediation import circumstances
from include.remediation.circumstances import full_disk, holder_of, in_words, listening_at, port_conflict
from include.remediation.model import Need
from include.remediation.service_log import read_run
from include.settings import Settings
from include.stack.leftovers import MARK_HOME, MARK_PROCESS
from include.stack.ports import free_ports
from tests.support.waiting import wait_for

Disk = namedtuple("Disk", "total used free")
LISTEN = "import socket, time; s = socket.create_server(('127.0.0.1', {port})); time.sleep(60)"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(circumstances, "_DYING_SECONDS", 0.0)


@pytest.fixture
def port() -> int:
    return free_ports(1)[0]


def listener(port: int, **marks: str) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-c", LISTEN.format(port=port), "--password=hunter2"]
    process = subprocess.Popen(command, env={**os.environ, **marks})
    wait_for(lambda: holder_of(port), 10, interval=0.01)
    yield process
    process.kill()
    process.wait()


def settings(tmp_path: Path, port: int) -> Settings:
    return Settings(_env_file=None, home=tmp_path, kafka_port=port)


def test_a_free_port_is_no_obstacle(tmp_path: Path, port: int) -> None:
    assert port_conflict(settings(tmp_path, port), "kafka", ("kafka_port",)) is None


def test_a_stranger_is_named_without_its_secrets(tmp_path: Path, port: int) -> None:
    for process in listener(port):
        found = port_conflict(settings(tmp_path, port), "kafka", ("kafka_port",))
        assert found is not None
        assert found.need is Need.BY_PEOPLE
        assert f"port {port} is held by process {process.pid}" in found.text
        assert "PIPELINE_KAFKA_PORT" in found.text
        assert found.facts["pids"] == [process.pid]
        assert "hunter2" not in str(found)
        assert listening_at(process.pid) == (f"127.0.0.1:{port}",)


@pytest.mark.parametrize(("name", "ours"), [("kafka", True), ("mysql", False)])
def test_what_an_earlier_copy_left_behind_is_ended_by_the_launcher(
    tmp_path: Path, port: int, name: str, ours: bool
) -> None:
    known = settings(tmp_path, port)
    for _ in listener(port, **{MARK_HOME: str(known.home), MARK_PROCESS: name}):
        assert (port_conflict(known, "kafka", ("kafka_port",)) is None) is ours


def test_a_port_that_a_dying_process_still_holds_is_waited_for(
    tmp_path: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(circumstances, "_DYING_SECONDS", 5.0)
    dying = socket.create_server(("127.0.0.1", port))
    look = circumstances.holder_of
    looks: list[int] = []

    def last_breath(asked: int) -> object:
        looks.append(asked)
        if len(looks) == 2:
            dying.close()
        return look(asked)

    monkeypatch.setattr(circumstances, "holder_of", last_breath)
    assert port_conflict(settings(tmp_path, port), "kafka", ("kafka_port",)) is None
    assert len(looks) == 2


@pytest.mark.parametrize(
    ("free", "said", "full"),
    [
        (10 << 30, None, False),
        (64 << 20, None, False),
        ((64 << 20) - 1, None, True),
        (10 << 30, "No space left on device", True),  # a quota shows in no figure
    ],
)
def test_a_full_disk_is_told_with_sizes(tmp_path: Path, free: int, said: str | None, full: bool) -> None:
    folder = tmp_path / "data" / "kafka"
    (folder / "crypto-trades-0").mkdir(parents=True)
    (folder / "crypto-trades-0" / "log").write_bytes(bytes(5 << 20))
    (tmp_path / "data" / "mysql").mkdir()
    (tmp_path / "data" / "mysql" / "ibdata1").write_bytes(bytes(1 << 20))
    found = full_disk("kafka", folder, said, lambda _: Disk(100 << 30, 0, free))
    assert (found is not None) is full
    if found is not None:
        assert found.need is Need.BY_PEOPLE
        assert f"{in_words(free)} of 100.0 GiB are free" in found.text
        assert (said or "never by deleting files of kafka") in found.text
        assert found.facts["biggest"] == {
            "data/kafka": "5.0 MiB",
            "kafka/crypto-trades-0": "5.0 MiB",
            "data/mysql": "1.0 MiB",
        }
        assert found.facts["free_bytes"] == free


def test_a_folder_that_is_not_there_yet_is_on_the_disk_of_its_parent(tmp_path: Path) -> None:
    asked: list[Path] = []

    def usage(path: Path) -> Disk:
        asked.append(path)
        return Disk(1 << 40, 0, 1 << 39)

    assert full_disk("kafka", tmp_path / "data" / "kafka", None, usage) is None  # type: ignore[arg-type]
    assert asked == [tmp_path]


@pytest.mark.parametrize(
    ("size", "words"),
    [(0, "0 bytes"), (1023, "1023 bytes"), (1024, "1.0 KiB"), (5 << 30, "5.0 GiB"), (3 << 40, "3.0 TiB")],
)
def test_sizes_in_words(size: int, words: str) -> None:
    assert in_words(size) == words


# --- The log -----------------------------------------------------------------------------------------------------
START = datetime(2026, 11, 24, 13, 0, 0, 700_000, tzinfo=UTC)
READY, FOLDER = "Kafka Server started", "/data/kafka"
BEFORE, AFTER = "2026-11-24T12:59:59.999Z", "2026-11-24T13:00:02.000Z"
SAME = "2026-11-24T13:00:00.300Z"  # the second of the start, which is all that a host knows
FIRST = "Log4jControllerRegistration$: Registered `kafka:type=kafka.Log4jController` MBean"


@pytest.mark.parametrize(
    ("lines", "came_up", "damage"),
    [
        ([f"{BEFORE} [ERROR] x: {FOLDER} is corrupt"], False, None),
        ([f"{AFTER} [ERROR] x: {FOLDER} is unreadable"], False, f"{AFTER} [ERROR] x: {FOLDER} is unreadable"),
        (
            [f"{AFTER} [ERROR] Exiting", f"java.lang.Error: no id in {FOLDER}"],
            False,
            f"java.lang.Error: no id in {FOLDER}",
        ),
        ([f"{BEFORE} [ERROR] Exiting", f"java.lang.Error: no id in {FOLDER}"], False, None),
        ([f"{AFTER} [INFO] reading {FOLDER}"], False, None),
        (
            [f"{SAME} [INFO] {READY}", f"{SAME} [INFO] {FIRST}", f"{AFTER} [ERROR] crc mismatch"],
            *(False, f"{AFTER} [ERROR] crc mismatch"),
        ),
        (
            [f"{SAME} [ERROR] crc mismatch", f"{SAME} [INFO] {FIRST}", f"{AFTER} [INFO] {READY}"],
            *(True, None),
        ),
        ([f"{AFTER} [ERROR] {FOLDER} corrupt", f"{AFTER} [INFO] {READY}"], True, None),
        ([f"{BEFORE} [INFO] {READY}", f"{AFTER} [ERROR] {FOLDER} corrupt"], False, f"{AFTER} [ERROR] {FOLDER} corrupt"),
        ([f"{AFTER} [ERROR] {FOLDER} corrupt", "java.net.BindException: Address already in use"], False, None),
        ([f"{AFTER} [ERROR] Failed to acquire lock on file .lock in {FOLDER}"], False, None),
        (["2026-11-24T14:00:02.000+01 [ERROR] crc mismatch"], False, "2026-11-24T14:00:02.000+01 [ERROR] crc mismatch"),
        (["2026-11-24T12:00:02.000+01 [ERROR] crc mismatch"], False, None),
    ],
)
def test_why_it_did_not_come_up(lines: list[str], came_up: bool, damage: str | None) -> None:
    run = read_run(lines, START, READY)
    assert (run.came_up, run.damage(FOLDER)) == (came_up, damage)


def test_without_a_start_every_line_counts() -> None:
    run = read_run(["[ERROR] disk is full"], None, READY)
    assert (run.no_space, run.last_words) == ("[ERROR] disk is full", "[ERROR] disk is full")
