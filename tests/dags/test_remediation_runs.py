"""Each remediation Dag from its first task to its last in Airflow's own test run, with scripted rungs.

The incident store is real; the rungs, the evidence, the repair and the review run are scripted.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from include.incidents.model import EntryKind, Incident, IncidentState, NewIncident
from include.incidents.states import path
from include.incidents.store import IncidentStore
from include.playbook.ladder import RungId
from include.playbook.names import Cause, ScenarioId
from include.playbook.playbook import get_playbook
from include.remediation.model import HEALTH, Approval, Finding, Need, RungOutcome, RungReport, RunRequest
from include.review.evidence import Manifest
from include.settings import Settings
from tests.support.dag_runs import run_of

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

DONE, NOT_NEEDED, BY_PEOPLE, WOULD_DO = (
    RungOutcome.DONE,
    RungOutcome.NOT_NEEDED,
    RungOutcome.BY_PEOPLE,
    RungOutcome.WOULD_DO,
)


@dataclass
class Script:
    """What the rungs report; the first one that is done heals the incident, as the watch would see it."""

    store: IncidentStore
    outcomes: dict[RungId, RungOutcome] = field(default_factory=dict)
    requests: list[tuple[RungId, RunRequest]] = field(default_factory=list)
    heals: bool = True

    def run(self, request: RunRequest, rung: RungId, approval: Approval | None = None) -> RungReport:
        self.requests.append((rung, request))
        outcome = self.outcomes.get(rung, NOT_NEEDED)
        if outcome is DONE and self.heals:
            resolve(self.store, request.incident_id)
        return RungReport(rung, outcome, "As scripted.", action_id=1 if outcome is DONE else None)

    def asks(self, request: RunRequest, rung: RungId) -> Finding:
        return Finding(Need.NOT_NEEDED, "Nobody is asked.")

    def close(self) -> None:
        """Nothing is held."""


def resolve(store: IncidentStore, incident_id: str) -> None:
    it = store.incident(incident_id)
    for to in path(it.state, IncidentState.RESOLVED) if it.open else ():
        it = store.move(it.id, to, version=it.version, actor="watch", reason="well", event_at=datetime.now(UTC))


@pytest.fixture
def script(store: IncidentStore, monkeypatch: pytest.MonkeyPatch) -> Script:
    found = Script(store)
    repaired: dict[str, Any] = {"missing_trades": 0}
    started: list[str] = []

    def collected(settings: Settings, incident: Incident, store: IncidentStore) -> Manifest:
        return Manifest(incident.id, 1, f"{incident.id}/1", datetime.now(UTC), 0.1, ())

    def start_review(operator: Any, context: Any) -> None:
        started.append(operator.task_id)

    monkeypatch.setattr("include.remediation.factory.remediation_from_settings", lambda _: found)
    monkeypatch.setattr("include.review.evidence_collector.collect_evidence", collected)
    monkeypatch.setattr("playbook_airflow.remediation_steps.repair_incident", lambda *_: repaired)
    monkeypatch.setattr("playbook_airflow.review_start.StartReview.execute", start_review)
    monkeypatch.setattr("playbook_airflow.recovery_sensor.UNTOUCHED_SECONDS", 0.0)
    return found


def opened(store: IncidentStore, scenario: ScenarioId) -> Incident:
    record = get_playbook().scenarios[scenario]
    new = NewIncident(
        scenario=scenario,
        target=record.target,
        cause=Cause.PROCESS_GONE,
        severity=record.severity,
        summary="It does not answer.",
        onset_at=datetime.now(UTC),
        reported_by="watch",
        reason="direct evidence",
    )
    return store.open(new)[0]


def first_rung(scenario: ScenarioId) -> RungId:
    return get_playbook().scenarios[scenario].ladder[0].id


@pytest.mark.parametrize("scenario", ScenarioId)
def test_a_remedy_that_helps_ends_with_repair_and_review(
    dags: Any, store: IncidentStore, script: Script, scenario: ScenarioId
) -> None:
    it, first = opened(store, scenario), first_rung(scenario)
    script.outcomes = {first: DONE}
    state, tasks = run_of(dags[f"remediate_{scenario}"], incident_id=it.id)
    assert state == "success", tasks
    ladder = get_playbook().scenarios[scenario].ladder
    in_order = sorted(ladder, key=lambda rung: rung.after_recovery)
    assert [rung for rung, _ in script.requests] == [rung.id for rung in in_order]
    assert tasks["diagnose.collect_evidence"] == tasks[f"mitigate.{first}"] == "success"
    assert tasks["recover.wait_until_healthy"] == tasks["recover.repair_data"] == "success"
    assert tasks["document.post_incident_review"] == "success"
    assert tasks["document.escalate_to_people"] == "skipped"
    request = script.requests[0][1]
    assert (request.incident_id, request.scenario, request.cause) == (it.id, scenario, Cause.PROCESS_GONE)
    assert not request.dry_run
    begun = [e for e in store.timeline(it.id) if e.data.get("remediation_run")]
    assert len(begun) == 1


def test_what_no_machine_may_touch_goes_to_people_and_the_run_is_red(
    dags: Any, store: IncidentStore, script: Script
) -> None:
    it = opened(store, ScenarioId.MYSQL_NOT_WRITING)
    script.outcomes = {RungId.RESTART_MYSQL: BY_PEOPLE}
    state, tasks = run_of(dags["remediate_mysql_not_writing"], incident_id=it.id)
    assert state == "failed"
    assert tasks["mitigate.restart_mysql"] == tasks["document.escalate_to_people"] == "failed"
    assert tasks["recover.repair_data"] in ("skipped", "upstream_failed")
    told = [e for e in store.timeline(it.id) if e.kind is EntryKind.ESCALATED]
    assert len(told) == 1
    assert "Nothing was changed." in told[0].text


def test_without_an_incident_a_person_reports_one(dags: Any, store: IncidentStore, script: Script) -> None:
    script.outcomes = {RungId.RESTART_KAFKA: DONE}
    state, _ = run_of(dags["remediate_kafka_down"], reason="The CLI fails.", incident_id="")
    assert state == "success"
    (it,) = store.recent()
    assert it.reported_by == script.requests[0][1].requested_by != HEALTH
    assert it.summary == f"Reported by {it.reported_by}: The CLI fails."
    (own,) = store.hand_overs(it.id)
    assert own.remediation == script.requests[0][1].run  # so nobody hands it over once more
    (told,) = [entry for entry in store.timeline(it.id) if entry.kind is EntryKind.HANDED_OVER]
    assert told.actor == it.reported_by


def test_a_part_of_the_ladder_takes_an_incident_over_only_when_it_acts(
    dags: Any, store: IncidentStore, script: Script
) -> None:
    state, _ = run_of(dags["remediate_kafka_down"], incident_id="", rungs=[RungId.VALIDATE_TOPICS.value])
    assert state == "failed"  # it did nothing, and the incident is still open
    (it,) = store.open_incidents()
    assert store.hand_overs(it.id) == ()


def test_a_dry_run_opens_nothing_and_waits_for_nothing(dags: Any, store: IncidentStore, script: Script) -> None:
    it = opened(store, ScenarioId.KAFKA_LAG)
    before = store.timeline(it.id)
    script.outcomes = dict.fromkeys(RungId, WOULD_DO)
    state, tasks = run_of(dags["remediate_kafka_lag"], incident_id=it.id, dry_run=True)
    assert state == "success", tasks
    assert all(request.dry_run for _, request in script.requests)
    assert tasks["recover.wait_until_healthy"] == "success"
    assert {tasks[t] for t in ("recover.repair_data", "document.escalate_to_people")} == {"skipped"}
    assert store.timeline(it.id) == before


def test_an_incident_that_there_is_not_is_said_at_once(dags: Any, store: IncidentStore, script: Script) -> None:
    state, tasks = run_of(dags["remediate_kafka_down"], incident_id="INC-1999-0001")
    assert state == "failed"
    assert tasks["diagnose.collect_evidence"] == "failed"
    assert script.requests == []
    assert store.recent() == ()


def test_a_dry_run_while_nothing_is_open_still_shows_the_plan(dags: Any, store: IncidentStore, script: Script) -> None:
    script.outcomes = dict.fromkeys(RungId, WOULD_DO)
    state, tasks = run_of(dags["remediate_producer_silent"], incident_id=None, dry_run=True)
    assert state == "success", tasks
    ladder = get_playbook().scenarios[ScenarioId.PRODUCER_SILENT].ladder
    assert [rung for rung, _ in script.requests] == [rung.id for rung in ladder if not rung.after_recovery]
    assert {request.incident_id for _, request in script.requests} == {""}
    assert store.recent() == ()
