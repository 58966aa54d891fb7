"""What people are told when a machine cannot, or may not, mend it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from include.incidents.memory_store import MemoryIncidentStore
from include.incidents.model import EntryKind, Incident, NewIncident
from include.playbook.names import Cause, Component, ScenarioId, Severity
from include.playbook.playbook import get_playbook
from include.remediation.escalation import escalate_incident, escalation_text

WHY = "INC-2026-0001 is not resolved: mitigating."


@pytest.fixture
def store() -> MemoryIncidentStore:
    return MemoryIncidentStore()


def incident(store: MemoryIncidentStore, cause: Cause) -> Incident:
    new = NewIncident(
        scenario=ScenarioId.MYSQL_NOT_WRITING,
        target=Component.MYSQL,
        cause=cause,
        severity=Severity.SEV_2,
        summary="MySQL refuses the pipeline's account (error 1045).",
        onset_at=datetime(2026, 1, 1, tzinfo=UTC),
        reported_by="watch",
        reason="direct evidence",
    )
    return store.open(new)[0]


def report(rung: str, outcome: str, text: str) -> dict[str, Any]:
    return {"rung": rung, "outcome": outcome, "text": text}


def test_facts_only_what_was_done_what_was_not_and_what_to_do_first(store: MemoryIncidentStore) -> None:
    reports = [
        report("restart_mysql", "by_people", "Rights are not given back by a restart."),
        report("validate_schema", "done", "All tables are as they must be."),
        report("validate_credentials", "not_needed", "is not told"),
    ]
    text = escalation_text(incident(store, Cause.CREDENTIALS), reports, WHY)
    scenario = get_playbook().scenarios[ScenarioId.MYSQL_NOT_WRITING]
    entry = scenario.entry(Cause.CREDENTIALS)
    assert entry is not None
    lines = text.splitlines()
    assert lines[0].startswith("INC-2026-0001 SEV-2 MySQL not writing: MySQL refuses")
    assert lines[1] == f"Why a person: {WHY}"
    assert entry.title in lines[2]
    assert entry.first in lines[2]
    assert "Not done (by people): restart mysql. Rights are not given back by a restart." in lines
    assert "Done: validate schema. All tables are as they must be." in lines
    assert "is not told" not in text
    assert "Nothing was changed." not in lines
    assert lines[-1] == "Runbook: docs/runbooks/mysql_not_writing.md"


def test_a_cause_that_no_machine_may_touch_says_why_and_what_is_needed(store: MemoryIncidentStore) -> None:
    people = get_playbook().scenarios[ScenarioId.MYSQL_NOT_WRITING].by_people
    assert people
    for each in people:
        text = escalation_text(incident(MemoryIncidentStore(), each.cause), [], WHY)
        assert each.because in text
        assert each.tell in text
        assert "Nothing was changed." in text


def test_what_is_not_known_is_not_guessed(store: MemoryIncidentStore) -> None:
    assert "Cause: not known yet." in escalation_text(incident(store, Cause.UNKNOWN), [], WHY)


def test_each_run_tells_people_once(store: MemoryIncidentStore) -> None:
    it = incident(store, Cause.CREDENTIALS)
    first = escalate_incident(store, it.id, "run 1", [report("restart_mysql", "by_people", "No.")], WHY)
    assert escalate_incident(store, it.id, "run 1", [], "another reason") == first
    escalate_incident(store, it.id, "run 2", [], WHY)
    told = [entry for entry in store.timeline(it.id) if entry.kind is EntryKind.ESCALATED]
    assert [entry.data["run"] for entry in told] == ["run 1", "run 2"]
    assert told[0].data["outcomes"] == {"restart_mysql": "by_people"}
