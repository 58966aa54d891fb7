"""Every fault on the real stack: one incident of the right kind, mended by a machine if it may, and how long it took.

Health and remediation Dags run in the real Airflow; what came of it is read from the store that they write.
"""
# ruff: noqa: T201 - the measured delays are shown to people

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pytest

from include.drills.benchmarks.report import RECOVERY, Section, put_sections, save
from include.guardrails.factory import guardrails_from_settings
from include.guardrails.guardrails import Guardrails
from include.guardrails.model import Action, ActionState
from include.incidents.factory import store_from_settings
from include.incidents.model import Entry, EntryKind, Incident, IncidentState
from include.incidents.store import IncidentStore
from include.playbook.ladder import RungId
from include.playbook.names import Cause, Component, ScenarioId, Severity
from include.settings import get_settings
from tests.support import live_faults
from tests.support.freshness import FreshnessMeter
from tests.support.live_calm import HEALTH_DAGS, RESOLVE_SECONDS, calm, watching
from tests.support.live_faults import Fault
from tests.support.pipeline import Pipeline

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]


@dataclass(frozen=True)
class Case:
    """A fault, and the one incident that it must make. ``aim``: seconds until it is told, on a quiet machine; a busy
    one gets twice as many and two more.

    ``fresh``: seconds from the fault to fresh rows, if a machine mends it, by the ``remedy``; what it must not mend
    ends with people, who are told ``words``, and nothing is done.
    """

    fault: Fault
    scenario: ScenarioId
    target: Component
    causes: tuple[Cause, ...]
    severity: Severity
    aim: float
    fresh: float = 0.0
    remedy: RungId | None = None
    words: tuple[str, ...] = ()
    tries: bool = False  # a machine may try, in vain, before it goes to people

    @property
    def limit(self) -> float:
        return 2 * self.aim + 2

    def __str__(self) -> str:
        return self.fault.__name__

    def row(self, told: float, fresh: float | None, caught_up: float | None) -> list[str]:
        """Of the table of recoveries."""
        ended = "people" if fresh is None else (self.remedy or "supervision").replace("_", " ")
        times = ["–", "–", "–"] if fresh is None else [f"{fresh:.1f}", f"{self.fresh:g}", f"{caught_up:.1f}"]
        return [str(self).replace("_", " "), f"{told:.2f}", f"{self.aim:g}", *times, ended]


K, S, M, P, L = ScenarioId
SEV_1, SEV_2, SEV_3, SEV_4 = Severity
C, R = Component, RungId
# A rung is not repeated within its cooldown: of two faults with the same remedy one stands at the end.
CASES = [
    Case(live_faults.kafka_killed, K, C.KAFKA, (Cause.PROCESS_GONE,), SEV_1, 5, 20, R.RESTART_KAFKA),
    Case(live_faults.processor_killed, S, C.PROCESSOR, (Cause.PROCESS_RESTARTED,), SEV_4, 2, 25),
    Case(live_faults.producer_killed, P, C.PRODUCER, (Cause.PROCESS_RESTARTED,), SEV_4, 2, 8),
    Case(live_faults.mysql_killed, M, C.MYSQL, (Cause.PROCESS_GONE,), SEV_2, 5, 12, R.RESTART_MYSQL),
    Case(live_faults.producer_hung, P, C.PRODUCER, (Cause.PROCESS_HUNG,), SEV_2, 10, 20, R.RESTART_PRODUCER),
    Case(live_faults.batch_hung, S, C.PROCESSOR, (Cause.BATCH_HUNG,), SEV_1, 30, 55, R.RESTART_PROCESSOR),
    Case(
        live_faults.producer_killed_unsupervised, P, C.PRODUCER, (Cause.PROCESS_GONE,), SEV_2, 2, 8, R.RESTART_PRODUCER
    ),
    Case(live_faults.credentials_revoked, M, C.MYSQL, (Cause.CREDENTIALS,), SEV_2, 5, words=("1045", "account")),
    Case(live_faults.column_dropped, M, C.MYSQL, (Cause.SCHEMA_MISMATCH,), SEV_2, 5, words=("last_price",)),
    Case(live_faults.disk_full, M, C.MYSQL, (Cause.DISK_FULL,), SEV_2, 5, words=("1021", "disk")),
    Case(
        live_faults.feed_silent,
        P,
        C.PRODUCER,
        (Cause.FEED_SILENT,),
        SEV_3,
        10,
        words=("the exchange trades",),
        tries=True,
    ),
    Case(live_faults.limited_then_banned, P, C.PRODUCER, (Cause.BANNED, Cause.RATE_LIMITED), SEV_3, 10),
    Case(live_faults.slow_writes, L, C.LAG, (Cause.SLOW_MYSQL_WRITES,), SEV_2, 90, 150, R.RAISE_INTERVAL),
    Case(live_faults.kafka_hung, K, C.KAFKA, (Cause.PROCESS_HUNG,), SEV_1, 8, 30, R.RESTART_KAFKA),
    Case(
        live_faults.port_taken,
        K,
        C.KAFKA,
        (Cause.PROCESS_GONE, Cause.PORT_CONFLICT),
        SEV_1,
        5,
        words=("port", "held by process"),
    ),
]


RECOVERY_COLUMNS = ["fault", "told after (s)", "aim", "fresh rows after (s)", "aim", "caught up after (s)", "mended by"]
RECOVERY_METHOD = (
    "Each fault once on the stack of the end-to-end tests (real Kafka, MariaDB, Spark, Airflow; 60 trades a second), "
    "by `make bench-recovery`. Fresh rows: a trade that happened after the fault is in `moving_averages`; caught up: "
    "no more than three seconds behind the exchange. After each fault that a remedy mended, every window equals the "
    "exchange's ledger (no row missing, twice, or wrong), or the test fails."
)


@pytest.fixture(scope="module")
def store(pipeline: Pipeline) -> Iterator[IncidentStore]:
    opened = store_from_settings(pipeline.settings)
    yield opened
    opened.close()


def opened_since(store: IncidentStore, moment: float) -> list[Incident]:
    """Incidents that were opened (or reopened) after ``moment``, oldest first."""
    recent = [i for i in store.recent(50) if _latest_opening(store, i) >= moment - 0.05]
    return sorted(recent, key=lambda i: i.opened_at)


def _told(store: IncidentStore, begin: float, severity: Severity) -> Incident | None:
    """The first incident that is bad enough: a warning may have been on record before."""
    return next((i for i in opened_since(store, begin) if i.severity <= severity), None)


def _told_at(store: IncidentStore, incident: Incident, severity: Severity, begin: float) -> float:
    """When it was opened, or raised, to that severity."""
    for entry in store.timeline(incident.id):
        level = entry.data.get("change", {}).get("severity", (None, None))[1]
        if level is not None and level <= severity and entry.recorded_at.timestamp() >= begin - 0.05:
            return entry.recorded_at.timestamp()
    return _latest_opening(store, incident)


def _latest_opening(store: IncidentStore, incident: Incident) -> float:
    kinds = (EntryKind.OPENED, EntryKind.REOPENED)
    return max(e.recorded_at.timestamp() for e in store.timeline(incident.id) if e.kind in kinds)


@pytest.fixture(scope="module")
def figures() -> Iterator[list[list[str]]]:
    """A row for each fault; ``make bench-recovery`` makes a table of them."""
    rows: list[list[str]] = []
    yield rows
    if os.environ.get("BENCH_RECOVERY"):
        section = Section("Recovery: fault → fresh rows, on the real stack", RECOVERY_METHOD, RECOVERY_COLUMNS, rows)
        save(RECOVERY, section, get_settings().home / "bench")
        put_sections([section])


@pytest.fixture(scope="module")
def guardrails(pipeline: Pipeline) -> Iterator[Guardrails]:
    opened = guardrails_from_settings(pipeline.settings)
    yield opened
    opened.close()


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_fault_makes_one_incident_and_what_a_machine_may_mend_it_mends(
    pipeline: Pipeline, store: IncidentStore, guardrails: Guardrails, figures: list[list[str]], case: Case
) -> None:
    pipeline.controller.restart("airflow-triggerer", 60)  # so many faults in a row would be flapping
    calm(pipeline, store)
    with FreshnessMeter(pipeline.settings) as meter, case.fault(pipeline) as begin:
        first = pipeline.wait_for(lambda: _told(store, begin, case.severity), case.limit + 20, f"{case} is told")
        delay = _told_at(store, first, case.severity, begin) - begin
        print(f"\n{case}: {first.id} {first.severity.label} {first.scenario} {first.cause}")
        print(f"  told after {delay:.2f} s (aim {case.aim:g})")
        if case.fresh:
            fresh = pipeline.wait_for(lambda: meter.fresh_at(begin), 2 * case.fresh + 30, f"{case}: fresh rows") - begin
            print(f"  fresh rows after {fresh:.2f} s (aim {case.fresh:g})")
            if case.remedy is R.RAISE_INTERVAL:  # the remedy makes it bearable, and the fault is still there
                pipeline.wait_for(lambda: _succeeded(guardrails, first), 180, "the interval is raised")
            else:
                pipeline.wait_for(lambda: _closed(store, first), RESOLVE_SECONDS, f"{first.id} resolves by itself")
            caught_up = (meter.caught_up_at(begin) or float("nan")) - begin  # never, with an interval that was raised
            print(f"  caught up after {caught_up:.2f} s")
        elif case.words:
            told = pipeline.wait_for(lambda: _escalated(store, first), 300, f"{first.id} is handed to people")
            print("  people: " + told.text.replace("\n", "\n    "))
        else:
            time.sleep(15)  # the fault goes on: what would be done about it has its chance
    resolved = pipeline.wait_for(lambda: _closed(store, first), RESOLVE_SECONDS, f"{first.id} resolves")
    story = "\n".join(f"{e.recorded_at:%H:%M:%S.%f} {e.kind} {e.text}" for e in store.timeline(first.id))
    assert (first.scenario, first.target) == (case.scenario, case.target), story
    assert resolved.cause in case.causes, story
    assert first.severity <= case.severity, story  # harm to the rows may have raised it
    assert (first.severity is SEV_4) == (case.severity is SEV_4), story  # a record is no page
    assert delay <= case.limit, story
    # warnings are records: a job that catches up slowly may leave one about the lag
    others = [i for i in opened_since(store, begin) if i.id != first.id and i.severity is not SEV_4]
    assert others == [], f"{others}\n{story}"
    assert store.verify(first.id) == ()
    actions = guardrails.actions(incident_id=first.id)
    if not case.fresh:
        assert case.tries or actions == (), story
        for word in case.words:
            assert word in _escalated(store, first).text.lower(), story
    else:
        assert fresh <= 2 * case.fresh + 5, story
        assert _escalated(store, first) is None, story
        done = {action.rung for action in actions if action.state is ActionState.SUCCEEDED}
        assert done >= ({case.remedy} if case.remedy else set()), story
        assert {action.state for action in actions} <= {ActionState.SUCCEEDED, ActionState.RUNNING}, story
    figures.append(case.row(delay, fresh if case.fresh else None, caught_up if case.fresh else None))
    if case.remedy:
        _mended_and_documented(pipeline, store, first)


def _succeeded(guardrails: Guardrails, incident: Incident) -> bool:
    return any(each.state is ActionState.SUCCEEDED for each in guardrails.actions(incident_id=incident.id))


def _mended_and_documented(pipeline: Pipeline, store: IncidentStore, incident: Incident) -> None:
    """The run of the remediation is green, the tables equal the exchange's ledger, and the review is drafted."""
    dag_id, _, run_id = store.hand_overs(incident.id, earlier=True)[0].remediation.partition("/")
    path = f"/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}"
    pipeline.wait_for(lambda: pipeline.airflow.get(path)["state"] in ("success", "failed"), 120, f"{run_id} ends")
    tasks = pipeline.airflow.get(f"{path}/taskInstances", limit=100)["task_instances"]
    states = {task["task_id"]: task["state"] for task in tasks}
    assert pipeline.airflow.get(path)["state"] == "success", states
    entries = store.timeline(incident.id)
    kinds = [entry.kind for entry in entries]
    assert kinds.index(EntryKind.EVIDENCE_COLLECTED) < kinds.index(EntryKind.ACTION_STARTED)
    (repaired,) = [entry for entry in entries if entry.kind is EntryKind.REPAIRED]
    print(f"  {repaired.text}")
    assert repaired.data["after"]["missing"] == repaired.data["after"]["wrong"] == repaired.data["after"]["extra"] == 0
    ended = max(e.recorded_at for e in entries if e.kind is EntryKind.STATE_CHANGED and "clear" in e.text)
    reviewed = pipeline.wait_for(lambda: _first(store, incident, EntryKind.REVIEWED), 60, f"{incident.id} is drafted")
    print(f"  review drafted {(reviewed.recorded_at - ended).total_seconds():.1f} s after the end")
    assert (reviewed.recorded_at - ended).total_seconds() <= 60


def _first(store: IncidentStore, incident: Incident, kind: EntryKind) -> Entry | None:
    return next((entry for entry in store.timeline(incident.id) if entry.kind is kind), None)


def _escalated(store: IncidentStore, incident: Incident) -> Entry | None:
    return _first(store, incident, EntryKind.ESCALATED)


def test_two_roots_at_once_are_left_to_people(pipeline: Pipeline, store: IncidentStore, guardrails: Guardrails) -> None:
    """A storm: what looks like two faults may be one that nobody knows, so nothing is restarted."""
    pipeline.controller.restart("airflow-triggerer", 60)
    calm(pipeline, store)
    with live_faults.kafka_and_mysql_killed(pipeline) as begin:
        both = pipeline.wait_for(lambda: _roots(store, begin), 30, "two incidents")
        told = [pipeline.wait_for(lambda i=i: _escalated(store, i), 90, f"{i.id} is handed to people") for i in both]
        assert (pipeline.pid("kafka"), pipeline.pid("mysql")) == (None, None)
    for incident, entry in zip(both, told, strict=True):
        assert guardrails.actions(incident_id=incident.id) == ()
        assert "refused" in entry.text, entry.text
        pipeline.wait_for(lambda i=incident: _closed(store, i), RESOLVE_SECONDS, f"{incident.id} resolves")


def test_a_remedy_that_is_killed_in_the_middle_is_settled_and_the_fault_is_mended(
    pipeline: Pipeline, store: IncidentStore, guardrails: Guardrails
) -> None:
    """SIGKILL to the task that does the work: nothing stays locked, and MySQL is brought back."""
    pipeline.controller.restart("airflow-triggerer", 60)
    calm(pipeline, store)
    with live_faults.mysql_killed(pipeline):
        action = pipeline.wait_for(lambda: _running(guardrails), 60, "the remedy begins", interval=0.005)
        os.kill(int(action.holder.split(":")[-2]), signal.SIGKILL)
        killed = time.time()
        pipeline.wait_for(lambda: _state(guardrails, action) is not ActionState.RUNNING, 30, "it is settled")
        print(f"\nsettled after {time.time() - killed:.1f} s")
        pipeline.wait_for(lambda: pipeline.pid("mysql"), 30, "MySQL runs")
        print(f"MySQL runs after {time.time() - killed:.1f} s")
        incident = store.incident(action.incident_id)
        pipeline.wait_for(lambda: _closed(store, incident), RESOLVE_SECONDS, f"{incident.id} resolves")
    assert _state(guardrails, action) is ActionState.ABANDONED
    assert guardrails.leases() == ()
    assert store.verify(incident.id) == ()


def _running(guardrails: Guardrails) -> Action | None:
    return next((action for action in guardrails.actions(limit=5) if action.state is ActionState.RUNNING), None)


def _state(guardrails: Guardrails, action: Action) -> ActionState:
    return next(each.state for each in guardrails.actions(limit=20) if each.id == action.id)


def _roots(store: IncidentStore, begin: float) -> list[Incident] | None:
    found = [i for i in opened_since(store, begin) if i.target in (C.KAFKA, C.MYSQL)]
    return found if len(found) == 2 else None


def test_the_run_that_saw_it_tells_the_story_in_its_tasks(pipeline: Pipeline, store: IncidentStore) -> None:
    """Of the newest incident of Kafka: its health run joined it and handed it over, once."""
    incident = next(i for i in store.recent(50) if i.scenario is K and i.severity is SEV_1)
    run = store.hand_overs(incident.id)[0].health_run
    path = f"/dags/health_{K}/dagRuns/{quote(run, safe='')}"
    pipeline.wait_for(lambda: pipeline.airflow.get(path)["state"] == "success", 60, "the run ends well")
    tasks = {t["task_id"]: t["state"] for t in pipeline.airflow.get(f"{path}/taskInstances")["task_instances"]}
    assert tasks == {
        "watch": "success",
        "open_or_join_incident": "success",
        "hand_over_to_remediation": "success",
        "healthy": "skipped",
        "undecided": "skipped",
    }
    entries = store.timeline(incident.id)
    findings = [e for e in entries if e.kind is EntryKind.OBSERVED and e.data.get("health_run") == run]
    assert len(findings) == 1
    assert len([e for e in entries if e.kind is EntryKind.HANDED_OVER]) == 1


def test_watching_holds_no_worker_slot(pipeline: Pipeline) -> None:
    for dag_id in HEALTH_DAGS:
        pipeline.wait_for(lambda d=dag_id: watching(pipeline, d), 60, f"{dag_id} watches")
    pool = pipeline.wait_for(lambda: _resting_pool(pipeline), 60, "only deferred tasks are left")
    assert pool["deferred_slots"] >= len(HEALTH_DAGS)
    print(f"\npool: {pool['deferred_slots']} deferred, {pool['running_slots']} running")


def _resting_pool(pipeline: Pipeline) -> dict[str, int] | None:
    pool = pipeline.airflow.get("/pools/default_pool")
    return pool if pool["running_slots"] == pool["queued_slots"] == 0 else None


def test_a_quiet_window_ends_healthy_with_its_figures(pipeline: Pipeline) -> None:
    runs = f"/dags/health_{M}/dagRuns"
    begin = pipeline.airflow.get(runs, order_by="-run_after", limit=1)["dag_runs"][0]["dag_run_id"]

    def figures() -> dict[str, Any] | None:
        for run in pipeline.airflow.get(runs, order_by="-run_after", limit=5)["dag_runs"]:
            if run["dag_run_id"] >= begin and run["state"] == "success":
                path = f"{runs}/{quote(run['dag_run_id'], safe='')}/taskInstances/healthy"
                if pipeline.airflow.get(path)["state"] == "success":
                    return pipeline.airflow.get(f"{path}/xcomEntries/return_value", deserialize=True)["value"]
        return None

    seen = pipeline.wait_for(figures, 2 * pipeline.settings.health_window_seconds + 60, "a healthy end", interval=1)
    assert seen["state"] == "healthy"
    assert len(seen) > 3, seen


def _closed(store: IncidentStore, incident: Incident) -> Incident | None:
    now = store.incident(incident.id)
    return now if now.state in (IncidentState.RESOLVED, IncidentState.IN_REVIEW, IncidentState.CLOSED) else None
