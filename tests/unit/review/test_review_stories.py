"""What a review says of other stories: healed by itself, merged, come back, sources away, evidence that is odd."""

from __future__ import annotations

from dataclasses import replace

import pytest

from include.guardrails.model import ActionState, Refusal
from include.incidents.decisions import Reason
from include.incidents.memory_store import MemoryIncidentStore
from include.incidents.model import DecisionRecord, EntryKind, IncidentState
from include.playbook.ladder import RungId
from include.playbook.names import Cause, Component, ScenarioId, Severity, Symptom
from include.review.document import Blank, FigureKey, NotKnown, Proposal
from tests.support.drafting import figure, reviewed, said
from tests.support.reviewing import Desk, healed, manual_clock, mysql_away, outage


@pytest.fixture
def desk() -> Desk:
    """A store in memory."""
    clock = manual_clock()
    return Desk(MemoryIncidentStore(clock), clock)


def test_an_incident_that_healed_by_itself_claims_no_remedy(desk: Desk) -> None:
    healed(desk)
    document = reviewed(desk)
    assert said(document.resolution)[:2] == [
        "21:20:01.0 UTC: Supervision started btc_producer again.",
        "No remedy is on record: it ended without one.",
    ]
    assert said(document.what_failed) == ["No remedy failed and none was refused, as far as the records tell."]
    assert figure(document, FigureKey.TIME_TO_FIRST_ACTION).note == "no action is on record"
    assert figure(document, FigureKey.TRADES_LOST).note == "no repair is on record"
    assert said(document.logs_and_evidence)[-1] == "No evidence was collected beside the timeline."
    assert "(at least one)" not in said(document.preventive_actions, Blank)[0]


def test_without_mysql_the_numbers_say_why_they_are_missing(desk: Desk) -> None:
    outage(desk)
    desk.fake.rows = mysql_away()
    document = reviewed(desk)
    assert figure(document, FigureKey.ROWS_LATE).value is None
    assert figure(document, FigureKey.ROWS_LATE).note == "not available: the database did not answer: connectivity"
    assert said(document.impact, NotKnown) == [
        "Rows and trades that were late are not counted: the database did not answer: connectivity."
    ]
    assert figure(document, FigureKey.TIME_TO_RESOLVE).value == 26.0
    assert figure(document, FigureKey.TRADES_MISSING).value == 120


def test_unreadable_sources_are_told_and_nothing_is_claimed_from_them(desk: Desk) -> None:
    healed(desk)
    desk.fake.actions, desk.fake.collections = OSError("/secret/place"), ValueError("x")
    document = reviewed(desk)
    assert said(document.resolution, NotKnown) == [
        "Whether a remedy was run is not known: it could not be read (OSError)."
    ]
    assert said(document.what_failed, NotKnown)[0].startswith("The actions on record are not available")
    assert said(document.logs_and_evidence, NotKnown) == [
        "The collected evidence is not available: it could not be read (ValueError)."
    ]
    assert "/secret/place" not in document.model_dump_json()


def test_a_cause_that_was_not_found_is_not_made_up(desk: Desk) -> None:
    desk.open(cause=Cause.UNKNOWN)
    desk.walk(IncidentState.RESOLVED)
    document = reviewed(desk)
    assert said(document.root_cause, NotKnown) == ["The rules of kafka_down could not tell the cause."]
    assert "The cause was not told apart" in said(document.runbook_updates, Proposal)[0]


@pytest.mark.parametrize(
    ("cause", "said_of_it"),
    [
        (Cause.PROCESS_GONE, None),  # the playbook's own table has it
        (Cause.PARTIAL_OUTAGE, "The playbook's own table does not name “partial outage”"),
        (Cause.SKEWED_PARTITION, "The runbook of kafka_down does not name “skewed partition”"),
    ],
)
def test_causes_that_the_playbook_does_not_name_are_proposed(desk: Desk, cause: Cause, said_of_it: str | None) -> None:
    desk.open(cause=cause)
    desk.walk(IncidentState.RESOLVED)
    proposed = said(reviewed(desk).runbook_updates, Proposal)
    assert (proposed[0].startswith(said_of_it) if said_of_it else proposed == []) is True


def test_merged_incidents_and_all_symptoms_are_named(desk: Desk) -> None:
    child = desk.open(scenario=ScenarioId.KAFKA_LAG, target=Component.LAG, severity=Severity.SEV_2)
    desk.open()
    desk.store.merge(child.id, desk.incident.id, actor="watch", reason="the same fault", event_at=desk.now())
    desk.attach(ScenarioId.KAFKA_LAG, Component.LAG, Symptom.LAG_GROWS)
    desk.attach(ScenarioId.MYSQL_NOT_WRITING, Component.MYSQL, Symptom.STALE_ROWS, residual=True)
    desk.walk(IncidentState.RESOLVED)
    document = reviewed(desk)
    assert said(document.summary)[2:] == [
        "It was responsible for kafka_lag (lag grows), not cleared.",
        "It was responsible for mysql_not_writing (stale rows), not cleared.",
        f"{child.id} was the same fault and was merged into it.",
    ]
    assert "mysql_not_writing outlived its root: it is behind the broker" in said(document.what_failed)


def test_what_was_said_often_is_said_once(desk: Desk) -> None:
    desk.open()
    for _ in range(12):
        desk.refuse(RungId.RESTART_KAFKA, Refusal.COOLDOWN, "It waits.")
    desk.walk(IncidentState.RESOLVED)
    document = reviewed(desk)
    assert said(document.what_failed) == ["21:20:01.0 UTC: It waits. (12 times)"]
    assert said(document.runbook_updates, Proposal) == [
        "restart kafka was refused by its cooldown: is that limit right?"
    ]


def test_an_escalation_says_why_a_person_was_needed(desk: Desk) -> None:
    desk.open()
    desk.tell(EntryKind.ESCALATED, "INC SEV-1 x\nWhy a person: somebody has the port.\nNothing was changed.")
    desk.walk(IncidentState.RESOLVED)
    document = reviewed(desk)
    assert said(document.what_failed) == ["21:20:01.0 UTC, handed to people. Why a person: somebody has the port."]
    assert "It was handed to people: is what they had to do in the runbook?" in said(document.runbook_updates)


def test_a_raised_severity_says_from_what_and_why(desk: Desk) -> None:
    desk.open(severity=Severity.SEV_3)
    desk.clock.advance(5)
    text = "The averages are 70 s behind what has been traded."
    told = {"actor": "watch", "event_at": desk.now()}
    desk.store.raise_severity(desk.incident.id, Severity.SEV_2, reason="The broker is gone.", **told)
    desk.store.raise_severity(desk.incident.id, Severity.SEV_1, reason=text, **told)
    about = (desk.incident.scenario, desk.incident.target, "raise_severity", Reason.HARM, desk.incident.id)
    desk.store.record_decision(DecisionRecord(desk.now(), *about, {"text": text}))
    desk.walk(IncidentState.RESOLVED)
    document = reviewed(desk)
    assert said(document.severity_words)[2] == f"Raised from SEV-2 to SEV-1 at 21:20:05.0 UTC: {text}"
    assert said(document.impact)[1:] == [f"21:20:05.0 UTC: {text}"]


def test_a_return_is_told_and_counted_from_the_first_sign(desk: Desk) -> None:
    desk.open()
    for _ in range(2):
        desk.walk(IncidentState.MITIGATED, 10)
        desk.walk(IncidentState.RESOLVED, 10)
        desk.walk(IncidentState.REOPENED, 10)
    desk.walk(IncidentState.RESOLVED, 10)
    document = reviewed(desk)
    assert "It came back 2 times after it had been resolved." in said(document.what_failed)
    assert figure(document, FigureKey.TIME_TO_RESOLVE).value == 73.0
    assert figure(document, FigureKey.TIME_TO_MITIGATE).value == 43.0


@pytest.mark.parametrize(
    ("reports", "missing", "repaired", "lost", "worked"),
    [
        ([(120, 0, 0)], 120, 120, 0, True),
        ([(120, 20, 0)], 120, 100, 20, True),
        ([(120, 20, 0), (20, 20, 0)], 120, 100, 20, True),  # what was lost is found again, and counted once
        ([(120, 0, 5)], 120, 120, 0, False),
    ],
)
def test_repairs_are_added_up(
    desk: Desk, reports: list[tuple[int, int, int]], *, missing: int, repaired: int, lost: int, worked: bool
) -> None:
    desk.open()
    desk.walk(IncidentState.RESOLVED)
    for found, gone, wrong in reports:
        desk.repaired(missing=found, lost=gone, wrong_after=wrong)
    document = reviewed(desk)
    values = [figure(document, k).value for k in (FigureKey.TRADES_MISSING, FigureKey.TRADES_REPAIRED)]
    assert values == [missing, repaired]
    assert figure(document, FigureKey.TRADES_LOST).value == lost
    proved = "After the repair every window compared equals the exchange's ledger."
    assert (proved in said(document.what_worked)) is worked
    unproved = "It is not proved that the tables equal the exchange's ledger after the repair."
    assert (unproved in said(document.what_failed)) is not worked


@pytest.mark.parametrize("state", [ActionState.ROLLED_BACK, ActionState.ABANDONED, ActionState.FAILED])
def test_an_action_that_did_not_help_is_no_resolution(desk: Desk, state: ActionState) -> None:
    desk.open()
    desk.act(RungId.RESTART_KAFKA, state, "It did not come up.")
    desk.walk(IncidentState.RESOLVED)
    document = reviewed(desk)
    assert said(document.resolution)[0] == "No action on record (1) is known to have helped."
    assert f"restart kafka on kafka: {state.replace('_', ' ')} after 4.0 s." in said(document.what_failed)[0]


def test_a_person_who_asked_for_an_action_is_named(desk: Desk) -> None:
    desk.open(reported_by="grace")
    made = desk.act(RungId.RESTART_KAFKA, ActionState.SUCCEEDED, "")
    desk.fake.actions = (replace(made, requested_by="grace"),)
    desk.walk(IncidentState.RESOLVED)
    document = reviewed(desk)
    assert said(document.reported_by) == ["grace"]
    assert "restart kafka on kafka (asked for by grace): succeeded" in said(document.resolution)[0]


# --- evidence that does not fit


def test_a_manifest_that_was_exchanged_is_told(desk: Desk) -> None:
    outage(desk)
    assert isinstance(desk.fake.collections, tuple)
    desk.fake.collections = (replace(desk.fake.collections[0], sha256="0" * 64),)
    changed = "Its manifest is not the one that the timeline tells of: it was changed."
    assert changed in said(reviewed(desk).logs_and_evidence)


def test_evidence_whose_files_are_gone_is_told(desk: Desk) -> None:
    outage(desk)
    desk.fake.collections = ()
    assert said(reviewed(desk).logs_and_evidence, NotKnown) == ["Evidence 1 was collected. Its files are gone."]


def test_a_timeline_that_was_tampered_with_is_told(desk: Desk) -> None:
    healed(desk)
    store = desk.store
    assert isinstance(store, MemoryIncidentStore)
    lines = store.book.lines[desk.incident.id]
    store.book.lines[desk.incident.id] = (lines[0], replace(lines[1], text="other"), *lines[2:])
    assert said(reviewed(desk).logs_and_evidence)[0].startswith("The timeline is not whole, or was changed: ")


@pytest.mark.parametrize("before", [True, False])
def test_evidence_that_was_collected_first_is_worth_more(desk: Desk, before: bool) -> None:
    desk.open()
    steps = [lambda: desk.collect("kafka_log"), lambda: desk.act(RungId.RESTART_KAFKA, ActionState.SUCCEEDED, "")]
    for step in steps if before else reversed(steps):
        step()
    desk.walk(IncidentState.RESOLVED)
    first = "Evidence (1 block) was collected before anything was touched."
    assert (first in said(reviewed(desk).what_worked)) is before
