"""A collection as a whole: what is written, what is told to the timeline, and what happens when something hangs."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from include.incidents.errors import StoreUnavailableError
from include.incidents.memory_store import MemoryIncidentStore
from include.incidents.model import Entry, EntryKind, Incident, NewIncident
from include.playbook.names import Cause, Component, ScenarioId, Severity
from include.review import evidence_collector
from include.review.errors import ReviewError
from include.review.evidence import BlockKind, Manifest
from include.review.evidence_blocks import LARGEST_BLOCK, LONGEST_TEXT
from include.review.evidence_collector import collect_evidence, sources_for
from include.review.evidence_probes import Probes
from include.review.evidence_source import Found, Source, missing
from include.review.evidence_store import block_path, claim, evidence_folder, manifests, read_manifest, verify
from include.runtime.clock import SystemClock
from include.services.fake import FakeServiceController
from include.settings import Settings, load_settings
from include.stack.secrets import ensure_secrets


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    ensure_secrets(load_settings(home=tmp_path))
    return load_settings(home=tmp_path)


@pytest.fixture
def store() -> MemoryIncidentStore:
    return MemoryIncidentStore(SystemClock())


@pytest.fixture
def incident(store: MemoryIncidentStore) -> Incident:
    scenario, target, now = ScenarioId.KAFKA_DOWN, Component.KAFKA, datetime.now(UTC)
    new = NewIncident(scenario, target, Cause.PROCESS_GONE, Severity.SEV_1, "Gone.", now, "watch", "because")
    return store.open(new)[0]


@pytest.fixture
def hang() -> Iterator[Callable[[], Found]]:
    """A source that answers only when the test is over."""
    over = threading.Event()

    def read() -> Found:
        over.wait(30)
        return Found("too late")

    yield read
    over.set()


def _source(name: str, content: Any = "fine", kind: BlockKind = BlockKind.PROBE, **more: Any) -> Source:
    return Source(name, kind, lambda: Found(content, **more))


def _broken() -> Found:
    raise ConnectionResetError("the other side is gone, password=hunter2")


def _told(store: MemoryIncidentStore, incident: Incident) -> list[Entry]:
    return [entry for entry in store.timeline(incident.id) if entry.kind is EntryKind.EVIDENCE_COLLECTED]


def test_what_is_written_and_what_is_told(settings: Settings, store: MemoryIncidentStore, incident: Incident) -> None:
    sources = [
        _source("log-kafka", "first\nsecond", BlockKind.LOG, note="no errors"),
        _source("processes", {"kafka": None}, BlockKind.PROCESS, highlights=("kafka: exited",), facts={"gone": 1}),
        Source("offsets", BlockKind.OFFSETS, lambda: missing("nobody listens")),
        Source("broken", BlockKind.PROBE, _broken),
    ]
    manifest = collect_evidence(settings, incident, store=store, sources=sources)
    folder = settings.data_dir / "evidence" / incident.id / "1"
    assert manifest.folder == f"{incident.id}/1"
    assert sorted(path.name for path in folder.iterdir()) == [
        *("broken.json", "log-kafka.log", "manifest.json", "offsets.json", "processes.json")
    ]
    assert (folder / "log-kafka.log").read_text() == "first\nsecond\n"
    assert json.loads((folder / "processes.json").read_text()) == {"kafka": None}
    assert {block.name: (block.available, block.note) for block in manifest.blocks} == {
        "log-kafka": (True, "no errors"),
        "processes": (True, ""),
        "offsets": (False, "nobody listens"),
        "broken": (False, "ConnectionResetError: the other side is gone, password=(hidden)"),
    }
    assert (manifest.facts["cause"], manifest.facts["of_blocks"]) == ("process_gone", {"processes": {"gone": 1}})
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    (entry,) = _told(store, incident)
    assert entry.text.endswith("2 blocks; not available: offsets, broken.")
    assert entry.data["sha256"] == manifest.sha256
    assert entry.data["blocks"] == ["log-kafka", "processes", "offsets", "broken"]
    assert entry.data["not_available"]["offsets"] == "nobody listens"
    assert entry.data["highlights"] == {"processes": ["kafka: exited"]}


def test_what_is_read_back_is_what_was_collected(
    settings: Settings, store: MemoryIncidentStore, incident: Incident
) -> None:
    first = collect_evidence(settings, incident, store=store, sources=[_source("a")])
    second = collect_evidence(settings, incident, store=store, sources=[_source("b")])
    assert manifests(settings, incident.id) == (first, second)
    assert (read_manifest(settings, incident.id, 2).number, len(second.sha256)) == (2, 64)
    assert verify(settings, first) == ()
    assert block_path(settings, first, "a").read_text() == "fine\n"


@pytest.mark.parametrize(
    ("change", "bad"),
    [
        (lambda folder: (folder / "a.log").write_text("fine \n"), ("a",)),
        (lambda folder: (folder / "a.log").unlink(), ("a",)),
        (lambda folder: (folder / "b.json").rename(folder / "a.log"), ("a", "b")),
        (lambda folder: (folder / "manifest.json").write_text("{}"), ("manifest",)),
        (lambda folder: (folder / "manifest.json").unlink(), ("manifest",)),
        (lambda folder: (folder / "more.json").write_text("nobody's"), ()),
    ],
    ids=["changed", "missing", "exchanged", "manifest changed", "manifest missing", "a file more"],
)
def test_what_was_changed_is_named(
    settings: Settings,
    store: MemoryIncidentStore,
    incident: Incident,
    change: Callable[[Path], object],
    bad: tuple[str, ...],
) -> None:
    manifest = collect_evidence(settings, incident, store=store, sources=[_source("a"), _source("b", {})])
    change(evidence_folder(settings, incident.id) / "1")
    assert verify(settings, manifest) == bad


def test_a_source_that_hangs_is_left_behind(
    settings: Settings, store: MemoryIncidentStore, incident: Incident, hang: Callable[[], Found]
) -> None:
    sources = [*(Source(f"hung-{n}", BlockKind.PROBE, hang) for n in range(10)), _source("quick")]
    begin = time.monotonic()
    manifest = collect_evidence(settings, incident, store=store, sources=sources, deadline=0.2)
    assert time.monotonic() - begin < 0.8, "they wait side by side"
    assert {block.note for block in manifest.blocks if not block.available} == {"no answer within 0.2 s"}
    assert [block.name for block in manifest.blocks if block.available] == ["quick"]
    assert 0.2 <= manifest.seconds < 0.6


def test_the_last_answer_is_waited_for_and_no_longer(
    settings: Settings, store: MemoryIncidentStore, incident: Incident
) -> None:
    def late() -> Found:
        time.sleep(0.1)
        return Found("late")

    begin = time.monotonic()
    manifest = collect_evidence(settings, incident, store=store, sources=[Source("late", BlockKind.PROBE, late)])
    assert manifest.blocks[0].available
    assert time.monotonic() - begin < 1.0


@pytest.mark.parametrize(
    ("content", "longest_line"),
    [
        ("short\n" + "x" * 50_000, LONGEST_TEXT),
        ("\n".join("y" * 4_000 for _ in range(1_000)), 4_000),
        ({"rows": [{"statement": "z" * 20_000} for _ in range(500)]}, LONGEST_TEXT + 30),
        ({"names": {f"name {n}": "z" * 200 for n in range(3_000)}}, 300),
        ("\ud800 broken \x00 text", 100),
    ],
    ids=["a long line", "many lines", "many rows", "many names", "no text"],
)
def test_a_block_is_bounded(
    settings: Settings, store: MemoryIncidentStore, incident: Incident, content: Any, longest_line: int
) -> None:
    manifest = collect_evidence(settings, incident, store=store, sources=[_source("big", content)])
    path = block_path(settings, manifest, "big")
    assert 10 < path.stat().st_size == manifest.blocks[0].bytes <= LARGEST_BLOCK
    assert max(map(len, path.read_text().splitlines())) <= longest_line
    if isinstance(content, dict):
        json.loads(path.read_text())
    assert verify(settings, manifest) == ()


def test_of_a_log_that_is_too_long_the_end_is_kept(
    settings: Settings, store: MemoryIncidentStore, incident: Incident
) -> None:
    text = "\n".join(f"line {n} " + "x" * 1_000 for n in range(2_000))
    manifest = collect_evidence(settings, incident, store=store, sources=[_source("log", text)])
    lines = block_path(settings, manifest, "log").read_text().splitlines()
    assert lines[-1].startswith("line 1999 ")
    assert 900 < len(lines) < 1_000


def test_nothing_secret_is_in_any_file_or_in_the_timeline(
    settings: Settings, store: MemoryIncidentStore, incident: Incident
) -> None:
    planted = [path.read_text().strip() for path in settings.secrets_dir.iterdir()]
    spoken = [*planted, *(f"IDENTIFIED BY '{word}'" for word in planted), "password=hunter2 token: hunter2"]
    sources = [
        _source("log-kafka", "\n".join(spoken), BlockKind.LOG, note=spoken[0], highlights=tuple(spoken)),
        _source("mysql-status", {word: [word] for word in spoken}, note=spoken[1], highlights=tuple(reversed(spoken))),
        Source("broken", BlockKind.PROBE, lambda: missing(f"refused: {spoken[2]}")),
    ]
    manifest = collect_evidence(settings, incident, store=store, sources=sources)
    folder = evidence_folder(settings, incident.id) / "1"
    seen = "".join(path.read_text() for path in folder.iterdir())
    seen += repr(manifest) + repr(store.timeline(incident.id))
    assert len(planted) >= 7
    assert [word for word in (*planted, "hunter2") if word in seen] == []
    assert seen.count("(hidden)") > 20


# --- numbers
def test_a_finished_collection_is_returned_as_it_is_since_later_evidence_shows_the_remedy(
    settings: Settings, store: MemoryIncidentStore, incident: Incident
) -> None:
    first = collect_evidence(settings, incident, 7, store=store, sources=[_source("a", "before")])
    again = collect_evidence(settings, incident, 7, store=store, sources=[_source("a", "after")])
    assert again == first
    assert block_path(settings, again, "a").read_text() == "before\n"
    assert len(_told(store, incident)) == 1


def test_one_that_was_cut_short_is_done_anew(
    settings: Settings, store: MemoryIncidentStore, incident: Incident
) -> None:
    claim(settings, incident.id, 3)
    assert manifests(settings, incident.id) == ()
    manifest = collect_evidence(settings, incident, 3, store=store, sources=[_source("a")])
    assert [each.number for each in manifests(settings, incident.id)] == [manifest.number] == [3]


def test_one_that_was_cut_short_before_it_was_told_is_told_by_the_next_try(
    settings: Settings, store: MemoryIncidentStore, incident: Incident, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: Any) -> Any:
        raise StoreUnavailableError("the disk is gone")

    with monkeypatch.context() as patch:
        patch.setattr(store, "timeline", away)
        manifest = collect_evidence(settings, incident, 1, store=store, sources=[_source("a")])
    assert manifest.facts["timeline"] == "not told: the disk is gone"
    assert verify(settings, manifest) == (), "the evidence is there"
    assert _told(store, incident) == []
    manifest = collect_evidence(settings, incident, 1, store=store, sources=[])
    assert "timeline" not in manifest.facts
    assert [entry.data["sha256"] for entry in _told(store, incident)] == [manifest.sha256]


def test_several_at_once_have_a_number_each(settings: Settings, incident: Incident) -> None:
    with ThreadPoolExecutor(8) as pool:
        numbers = list(pool.map(lambda _: claim(settings, incident.id, None), range(40)))
    assert sorted(numbers) == list(range(1, 41))


@pytest.mark.parametrize("name", ["../../../etc", "INC-2026-0001/..", "", "INC-2026-1"])
def test_what_is_no_incident_has_no_folder(settings: Settings, name: str) -> None:
    with pytest.raises(ReviewError, match="is no incident"):
        manifests(settings, name)


@pytest.mark.parametrize(("text", "said"), [(None, "There is no evidence 1"), ("{", "cannot be read")])
def test_a_manifest_that_cannot_be_read(settings: Settings, incident: Incident, text: str | None, said: str) -> None:
    claim(settings, incident.id, 1)
    if text is not None:
        (evidence_folder(settings, incident.id) / "1" / "manifest.json").write_text(text)
    with pytest.raises(ReviewError, match=said):
        read_manifest(settings, incident.id, 1)


# --- the timeline
def test_a_store_that_hangs_is_not_waited_for(
    settings: Settings, store: MemoryIncidentStore, incident: Incident, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = threading.Event()
    monkeypatch.setattr(evidence_collector, "_STORE_SECONDS", 0.1)
    monkeypatch.setattr(store, "timeline", lambda _: over.wait(10))
    begin = time.monotonic()
    manifest = collect_evidence(settings, incident, store=store, sources=[_source("a")])
    assert time.monotonic() - begin < 0.6
    assert manifest.facts["timeline"] == "not told: the incident store did not answer within 0.1 s"
    over.set()


# --- what is collected
_ALWAYS = {"processes", "host", "offsets", "exchange", "probe-exchange", "spark-progress", "mysql-status", "code"}


@pytest.mark.parametrize(
    ("scenario", "own"),
    [
        ("kafka_down", "log-kafka log-btc_producer log-stream_processor probe-kafka_canary probe-kafka_metadata"),
        ("stream_processor_failure", "log-stream_processor log-kafka log-mysql probe-mysql_ledger probe-mysql_canary"),
        ("mysql_not_writing", "log-mysql log-stream_processor probe-mysql_canary probe-mysql_locks probe-mysql_schema"),
        ("producer_silent", "log-btc_producer log-kafka probe-producer probe-kafka_canary"),
        ("kafka_lag", "log-stream_processor log-btc_producer probe-mysql_ledger probe-producer"),
    ],
)
def test_every_scenario_has_its_own_evidence_and_what_all_want(
    settings: Settings, incident: Incident, scenario: str, own: str
) -> None:
    from dataclasses import replace

    controller = FakeServiceController({}, settings.log_dir)
    one = replace(incident, scenario=ScenarioId(scenario))
    names = [source.name for source in sources_for(settings, one, controller, Probes(settings, controller))]
    assert len(set(names)) == len(names)
    assert set(names) >= _ALWAYS | {"settings"} | set(own.split())


def test_on_a_machine_where_nothing_runs_everything_is_said_and_nothing_raised(
    settings: Settings, store: MemoryIncidentStore, incident: Incident
) -> None:
    from include.stack.ports import free_ports

    names = [name for name in Settings.model_fields if name.endswith("_port")]
    nobody = settings.model_copy(update=dict(zip(names, free_ports(len(names)), strict=True)))
    begin = time.monotonic()
    manifest: Manifest = collect_evidence(nobody, incident, store=store)
    assert time.monotonic() - begin < 4
    gone = {block.name: block.note for block in manifest.blocks if not block.available}
    assert set(gone) >= {"processes", "log-kafka", "offsets", "spark-progress", "mysql-status"}
    assert "process host does not answer" in gone["processes"]
    assert "not tried, nobody listens" in gone["offsets"]
    assert verify(nobody, manifest) == ()
    assert _told(store, incident)
