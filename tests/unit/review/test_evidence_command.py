"""``python -m include.review evidence``: what a person sees, and what the exit code says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from include.incidents import factory
from include.incidents.errors import StoreUnavailableError
from include.incidents.memory_store import MemoryIncidentStore
from include.incidents.model import Incident, NewIncident
from include.playbook.names import Cause, Component, ScenarioId, Severity
from include.review import __main__ as command_line
from include.review.errors import ReviewError
from include.review.evidence import BlockKind
from include.review.evidence_collector import collect_evidence
from include.review.evidence_source import Found, Source, missing
from include.review.evidence_store import evidence_folder, read_manifest, write_manifest
from include.runtime.clock import SystemClock
from include.settings import Settings, load_settings


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("PIPELINE_HOME", str(tmp_path))
    return load_settings()


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> MemoryIncidentStore:
    store = MemoryIncidentStore(SystemClock())
    monkeypatch.setattr(factory, "store_from_settings", lambda _: store)
    return store


@pytest.fixture
def incident(settings: Settings, store: MemoryIncidentStore) -> Incident:
    """One with evidence."""
    scenario, target, now = ScenarioId.KAFKA_DOWN, Component.KAFKA, datetime.now(UTC)
    new = NewIncident(scenario, target, Cause.PROCESS_GONE, Severity.SEV_1, "Gone.", now, "watch", "because")
    incident = store.open(new)[0]
    sources = [
        Source("processes", BlockKind.PROCESS, lambda: Found({"a": 1}, highlights=("kafka: exited, [9]",))),
        Source("offsets", BlockKind.OFFSETS, lambda: missing("nobody listens")),
    ]
    collect_evidence(settings, incident, store=store, sources=sources)
    return incident


def _run(*arguments: str) -> Result:
    return CliRunner().invoke(command_line.app, ["evidence", *arguments], env={"COLUMNS": "200"})


def test_what_was_collected(incident: Incident) -> None:
    shown = _run(incident.id)
    assert shown.exit_code == 0
    for words in (f"Evidence 1 of {incident.id}", "kafka: exited, [9]", "not available: nobody listens", "sha256 "):
        assert words in shown.output


def _change_a_block(settings: Settings, incident: Incident) -> None:
    (evidence_folder(settings, incident.id) / "1" / "processes.json").write_text("{}")


def _change_block_and_manifest(settings: Settings, incident: Incident) -> None:
    """As somebody would who knows how it is made."""
    manifest = read_manifest(settings, incident.id, 1)
    write_manifest(settings, replace(manifest, seconds=0.0, sha256=""))


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        (lambda *_: None, 0, "evidence 1  OK: 2 blocks are what they were"),
        (_change_a_block, 1, "evidence 1: missing or changed: processes"),
        (_change_block_and_manifest, 1, "evidence 1: the timeline has another hash of the manifest"),
    ],
    ids=["untouched", "a block", "block and manifest"],
)
def test_whether_anybody_changed_it(
    settings: Settings, incident: Incident, change: Callable[[Settings, Incident], None], code: int, said: str
) -> None:
    change(settings, incident)
    shown = _run(incident.id, "--verify")
    assert (shown.exit_code, said in shown.output) == (code, True), shown.output


def test_of_one_that_the_timeline_does_not_know(
    settings: Settings, store: MemoryIncidentStore, incident: Incident, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = MemoryIncidentStore(SystemClock())
    collect_evidence(settings, incident, store=elsewhere, sources=[])
    assert "evidence 2: the timeline knows nothing of it" in _run(incident.id, "--verify").output

    def away(_: str) -> None:
        raise StoreUnavailableError("the disk is gone")

    monkeypatch.setattr(store, "timeline", away)
    shown = _run(incident.id, "--verify")
    assert (shown.exit_code, shown.output.count("the timeline cannot be read: the disk is gone")) == (1, 2)


def test_an_incident_without_evidence_and_what_is_no_incident(settings: Settings, store: MemoryIncidentStore) -> None:
    shown = _run("INC-2026-0001")
    assert (shown.exit_code, "No evidence was collected for INC-2026-0001." in shown.output) == (2, True)
    assert isinstance(_run("../../etc").exception, ReviewError)
