"""What a review says of an incident: facts with their evidence, and blanks for what only a person knows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from include.incidents.memory_store import MemoryIncidentStore
from include.incidents.model import EntryKind, IncidentState
from include.playbook.names import Severity
from include.review.completion import complete
from include.review.compose import fingerprint
from include.review.document import (
    Blank,
    Document,
    Fact,
    FigureKey,
    NotKnown,
    Proposal,
    ReferenceKind,
    Statement,
    Words,
)
from include.review.form import parse_form
from include.review.material import RowFigures
from tests.support.drafting import figure, reviewed, said
from tests.support.incident_stores import tell_review
from tests.support.reviewing import FORM, FRESH, Desk, manual_clock, mysql_away, outage


@pytest.fixture
def desk() -> Desk:
    """A store in memory."""
    clock = manual_clock()
    return Desk(MemoryIncidentStore(clock), clock)


def proof(statement: Statement) -> list[str]:
    """Kinds and names of its evidence."""
    assert isinstance(statement, Fact | Proposal | NotKnown)
    return [f"{ref.kind} {ref.name}" for ref in statement.evidence]


# --- an outage


def test_an_outage_is_told_with_all_fields_of_the_template(desk: Desk) -> None:
    outage(desk)
    document = reviewed(desk)
    assert said(document.severity_words) == ["SEV-1: full outage (Kafka down, Spark not running)"]
    assert said(document.date_time)[0].endswith("resolved 2026-11-06 21:20:23.0 UTC. It lasted 26.0 s.")
    assert said(document.reported_by) == ["the watch (health checks)"]
    assert said(document.summary) == [
        "The broker's process is gone.",
        "Scenario of the playbook: Kafka is down (kafka_down), about kafka.",
        "It was responsible for kafka_lag (lag grows), cleared at 21:20:13.0 UTC.",
    ]
    assert said(document.root_cause, Fact) == [
        "Crash: the broker's process is gone (process gone). Diagnosed by the rules of kafka_down.",
        "Seen: processes: exited: signal 9",
        "Confirmed by a person: not yet.",
    ]
    assert said(document.resolution)[0].startswith("21:20:06.0 UTC, restart kafka on kafka: succeeded after 6.0 s.")
    assert said(document.resolution)[1] == "Resolved at 21:20:23.0 UTC: All is clear."
    assert said(document.what_worked)[0] == "The watch opened it 3.0 s after the first sign."
    assert said(document.what_worked)[-1] == "After the repair every window compared equals the exchange's ledger."
    assert [text.split(": ", 1)[1] for text in said(document.what_failed)] == [
        "failed after 4.0 s. The broker does not answer.",
        "5 restarts of 5 within the hour.",
    ]
    for name in ("root_cause", "lessons", "preventive_actions", "runbook_updates"):
        assert len(said(getattr(document, name), Blank)) == 1, name


@pytest.mark.parametrize(
    ("key", "value", "unit"),
    [
        (FigureKey.TIME_TO_DETECT, 3.0, "s"),
        (FigureKey.TIME_TO_FIRST_ACTION, 4.0, "s"),
        (FigureKey.TIME_TO_MITIGATE, 16.0, "s"),
        (FigureKey.TIME_TO_RESOLVE, 26.0, "s"),
        (FigureKey.TIME_TO_REVIEW, None, "s"),
        (FigureKey.FRESHNESS_BREACH, 21.4, "s"),
        (FigureKey.LONGEST_AGE, 36.4, "s"),
        (FigureKey.ROWS_LATE, 90, "rows"),
        (FigureKey.TRADES_LATE, 1200, "trades"),
        (FigureKey.TRADES_AFTER_WATERMARK, 7, "trades"),
        (FigureKey.WINDOWS_CORRECTED, 2, "windows"),
        (FigureKey.TRADES_MISSING, 120, "trades"),
        (FigureKey.TRADES_REPAIRED, 120, "trades"),
        (FigureKey.TRADES_LOST, 0, "trades"),
        (FigureKey.WINDOWS_WRONG_BEFORE, 12, "windows"),
        (FigureKey.WINDOWS_WRONG_AFTER, 0, "windows"),
    ],
)
def test_the_impact_is_in_numbers(desk: Desk, key: FigureKey, value: float | None, unit: str) -> None:
    outage(desk)
    found = figure(reviewed(desk), key)
    assert (found.value, found.unit) == (value, unit)
    assert found.evidence or found.value is None


def test_every_fact_of_an_incident_names_what_proves_it(desk: Desk) -> None:
    outage(desk)
    document = reviewed(desk)
    for name in ("severity_words", "date_time", "resolution", "what_worked", "what_failed", "impact"):
        for statement in getattr(document, name):
            assert proof(statement), statement
    failed = document.what_failed[0]
    assert proof(failed) == ["action 1", "entry 6", "entry 7"]
    hashes = {entry.hash for entry in desk.store.timeline(desk.incident.id)}
    assert isinstance(failed, Fact)
    assert {ref.sha256 for ref in failed.evidence if ref.kind is ReferenceKind.ENTRY} <= hashes


def test_collected_evidence_is_listed_with_its_hashes_and_what_was_missing(desk: Desk) -> None:
    outage(desk)
    texts = said(reviewed(desk).logs_and_evidence)
    last = desk.store.timeline(desk.incident.id)[-1]
    assert texts[0] == f"Timeline: 15 entries, the hash chain is whole; last entry 15 has the hash {last.hash}."
    assert texts[1].startswith("Evidence collection 1: 2 blocks, from 2026-11-06 21:20:00.0 UTC on.")
    assert texts[2] == "kafka_log (log, 1,234 bytes): OutOfMemory | killed"
    assert texts[3] == "mysql_status is not available: connection refused"
    block = reviewed(desk).logs_and_evidence[2]
    assert isinstance(block, Fact)
    assert block.evidence[0].sha256 == "ab12" * 16


def test_preventive_actions_are_proposals_of_the_playbook(desk: Desk) -> None:
    outage(desk)
    proposed = said(reviewed(desk).preventive_actions, Proposal)
    assert proposed == [f"From the playbook: {t}" for t in ("disk space watch", "broker health monitoring", "AWS MSK")]


def test_runbook_updates_come_from_where_incident_and_playbook_differ(desk: Desk) -> None:
    outage(desk)
    assert said(reviewed(desk).runbook_updates, Proposal) == [
        "validate topics on kafka did not help against process gone: say so, or change the ladder.",
        "restart producer was refused by its hourly budget: is that limit right?",
        "Seen together with it: kafka_lag (lag grows). Compare with the symptoms that the runbook names.",
    ]


def test_a_person_completes_it(desk: Desk) -> None:
    outage(desk)
    draft, at = reviewed(desk), desk.now() + timedelta(minutes=5)
    document = complete(draft, parse_form(FORM, Severity.SEV_1, at.date()), "ada", at)
    assert said(document.root_cause)[-1] == FORM["root_cause"]
    assert "Confirmed by a person: not yet." not in said(document.root_cause)
    assert isinstance(document.lessons[0], Words)
    assert said(document.runbook_updates)[-1] == "Nothing was said about it by ada."
    assert [item.owner for item in document.action_items] == ["ada"]
    assert figure(document, FigureKey.TIME_TO_REVIEW).value == 302.0
    sections = [getattr(document, name) for name in Document.model_fields]
    assert not [each for s in sections if isinstance(s, tuple) for each in s if isinstance(each, Blank)]


# --- the fingerprint


@pytest.mark.parametrize(
    ("change", "same"),
    [
        (lambda desk: desk.clock.advance(60), True),
        (lambda desk: setattr(desk.fake, "rows", RowFigures(FRESH, 60, 7, 2, desk.now())), True),  # the age of rows
        (lambda desk: tell_review(desk.store, desk.incident.id, desk.now(), step="drafted"), True),
        (lambda desk: desk.walk(IncidentState.IN_REVIEW), True),
        (lambda desk: desk.tell(EntryKind.NOTE, "It was the disk."), False),
        (lambda desk: setattr(desk.fake, "actions", ()), False),
        (lambda desk: setattr(desk.fake, "rows", mysql_away()), False),
    ],
)
def test_the_same_facts_have_the_same_fingerprint(desk: Desk, change: Callable[[Desk], object], same: bool) -> None:
    outage(desk)
    before = fingerprint(reviewed(desk))
    change(desk)
    assert (fingerprint(reviewed(desk)) == before) is same


def test_a_document_survives_its_json(desk: Desk) -> None:
    outage(desk)
    document = reviewed(desk)
    assert Document.model_validate_json(document.model_dump_json()) == document
