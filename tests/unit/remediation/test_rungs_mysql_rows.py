"""When rows that went missing silently are repaired, and what the repair has to prove."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from include.guardrails.model import ActionState
from include.health.observations import AuditFacts, Code, Observation, Probe
from include.incidents.model import Incident
from include.playbook.ladder import RungId
from include.playbook.names import Cause, Component, ScenarioId
from include.remediation.model import Need, RungOutcome
from include.remediation.rungs_mysql_rows import RepairWindows
from include.repair import repair as repair_module
from include.repair.errors import RepairError
from include.repair.model import Comparison, RepairReport, Span
from tests.support.remediating import Bench, observation

AUDIT, LOSS, RUNG = Probe.MYSQL_AUDIT, Cause.SILENT_LOSS, RungId.REPAIR_WINDOWS
WINDOWS = tuple(f"BTCUSDT 1 min from 2026-11-06T21:0{minute}Z: no row" for minute in range(7))
M, K = ScenarioId.MYSQL_NOT_WRITING, ScenarioId.KAFKA_DOWN


def audit(*missing: str) -> Observation:
    return observation(AUDIT, facts=AuditFacts(checked=60, missing=missing))


def lost(bench: Bench, cause: Cause = LOSS) -> Incident:
    return bench.incident(scenario=M, target=Component.MYSQL, cause=cause)


@pytest.mark.parametrize(
    ("cause", "seen", "need", "words"),
    [
        (LOSS, audit(*WINDOWS), Need.NEEDED, "21:04Z: no row; and 2 more"),
        (LOSS, audit(), Need.NEEDED, "older ones are compared"),  # the loss has grown older than what is looked at
        (LOSS, observation(AUDIT, Code.OWN_CREDENTIALS), Need.UNKNOWN, "cannot be seen"),
        (LOSS, observation(AUDIT, Code.CONNECTIVITY), Need.UNKNOWN, "cannot be seen"),
        (Cause.UNKNOWN, audit(*WINDOWS), Need.NOT_NEEDED, "the cause is not known yet"),
        (Cause.PROCESS_GONE, audit(*WINDOWS), Need.NOT_NEEDED, "the cause is process gone"),
        (Cause.SCHEMA_MISMATCH, audit(*WINDOWS), Need.NOT_NEEDED, "repaired after the recovery"),
    ],
)
def test_only_a_diagnosed_loss_is_repaired(
    bench: Bench, cause: Cause, seen: Observation, need: Need, words: str
) -> None:
    bench.seen[AUDIT] = seen
    found = RepairWindows(bench.tools, bench.request(lost(bench, cause))).need()
    assert (found.need, words in found.text) == (need, True), found.text


def test_the_diagnosis_is_that_of_the_incident_now(bench: Bench) -> None:
    bench.seen[AUDIT] = audit(*WINDOWS)
    incident = lost(bench, Cause.UNKNOWN)
    rung = RepairWindows(bench.tools, bench.request(incident))
    assert rung.need().need is Need.NOT_NEEDED
    told = {"actor": "watch", "reason": "the audit", "event_at": bench.tools.now()}
    bench.store.set_cause(incident.id, LOSS, **told)
    assert rung.need().need is Need.NEEDED
    about_kafka = bench.request(bench.incident(cause=LOSS), scenario=M, cause=Cause.UNKNOWN)
    assert RepairWindows(bench.tools, about_kafka).need().need is Need.NOT_NEEDED


def test_a_person_who_names_it_gets_it_only_when_it_is_needed(bench: Bench, repairs: Repairs) -> None:
    bench.seen[AUDIT] = audit()
    request = bench.request(lost(bench, Cause.UNKNOWN), requested_by="ada", rungs=(RUNG,))
    assert bench.remediation.run(request, RUNG).outcome is RungOutcome.NOT_NEEDED
    assert repairs.asked == []


class Repairs:
    """In place of :class:`include.repair.repair.Repair`: leaves ``after``, or raises it."""

    def __init__(self) -> None:
        self.after: Comparison | RepairError = Comparison(90, 0, 0, 0)
        self.unrecoverable = 0
        self.asked: list[tuple[Span, str, str | None]] = []

    def __call__(self, *_: object, **__: object) -> Repairs:
        return self

    def run(self, span: Span, *, by: str, incident_id: str | None, progress: object) -> RepairReport:
        self.asked.append((span, by, incident_id))
        if isinstance(self.after, RepairError):
            raise self.after
        before = Comparison(90, 7, 0, 0)
        return RepairReport(span, (), 0, 0, 7, self.unrecoverable, before, self.after, 12.0)


@pytest.fixture
def repairs(monkeypatch: pytest.MonkeyPatch) -> Repairs:
    found = Repairs()
    monkeypatch.setattr(repair_module, "Repair", found)
    return found


def test_the_time_of_the_loss_is_repaired_and_the_watch_gets_its_time(bench: Bench, repairs: Repairs) -> None:
    bench.seen[AUDIT] = [audit(*WINDOWS), audit(*WINDOWS[:1]), audit()]
    incident = lost(bench)
    bench.clock.advance(120)
    report = bench.remediation.run(bench.request(incident), RUNG)
    assert report.outcome is RungOutcome.DONE, report.text
    assert "all 90 rows equal the exchange's ledger" in report.text
    assert "60 windows agree with what was counted" in report.text
    ((span, by, about),) = repairs.asked
    assert (by, about, span.symbols) == ("health", incident.id, bench.tools.settings.symbols)
    assert span.start <= incident.onset_at - timedelta(minutes=40)  # rows were lost before it was found out
    assert span.end >= bench.tools.now() - timedelta(seconds=5)
    seconds = (datetime.fromisoformat(report.facts["until"]) - bench.tools.now()).total_seconds()
    assert 3 * 60 + 60 <= seconds <= 270  # three good looks, one a minute, and a minute for symptoms


@pytest.mark.parametrize(
    ("after", "unrecoverable", "words"),
    [
        (Comparison(90, 2, 1, 0), 0, "do not equal the exchange's ledger"),
        (Comparison(90, 0, 0, 0), 3, "3 of them are no longer to be had"),
        (RepairError("Kafka cannot be asked: timed out."), 0, "It could not be done: Kafka cannot be asked"),
    ],
)
def test_what_is_not_proved_has_failed(
    bench: Bench, repairs: Repairs, after: Comparison | RepairError, unrecoverable: int, words: str
) -> None:
    bench.seen[AUDIT] = audit(*WINDOWS)
    repairs.after, repairs.unrecoverable = after, unrecoverable
    incident = lost(bench)
    report = bench.remediation.run(bench.request(incident), RUNG)
    assert report.outcome is RungOutcome.FAILED
    assert words in report.text
    (action,) = bench.guardrails.actions(incident_id=incident.id)
    assert action.state is ActionState.FAILED


def test_rows_that_are_still_missing_have_not_been_repaired(bench: Bench, repairs: Repairs) -> None:
    bench.seen[AUDIT] = audit(*WINDOWS)
    report = bench.remediation.run(bench.request(lost(bench)), RUNG)
    assert report.outcome is RungOutcome.FAILED
    assert "Rows are still not there: BTCUSDT 1 min" in report.text


def test_it_is_not_repeated_for_ever(bench: Bench, repairs: Repairs) -> None:
    bench.seen[AUDIT] = [audit(*WINDOWS), audit()]
    request = bench.request(lost(bench))
    outcomes = []
    for _ in range(4):
        outcomes.append(bench.remediation.run(request, RUNG).outcome)
        bench.clock.advance(901)
    assert outcomes == [RungOutcome.DONE, RungOutcome.DONE, RungOutcome.REFUSED, RungOutcome.REFUSED]
