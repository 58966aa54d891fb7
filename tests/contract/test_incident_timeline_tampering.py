"""Who changes what was recorded, past the store, is refused by the database; who first removes the guards is found."""

# ruff: noqa: S608 - the statements of an intruder, made of constants

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass

import pytest
from sqlalchemy.exc import DBAPIError

from include.incidents.model import HandOver, IncidentState
from include.incidents.timeline import RawEntry, entry_hash
from include.incidents.verification import Problem
from include.playbook.names import ScenarioId
from tests.support.incident_stores import Backend, new_incident, symptom, walk

ID, OTHER = "INC-2026-0001", "INC-2026-0002"
GUARDS = {
    "sqlite": [f"DROP TRIGGER incident_timeline_no_{what}" for what in ("update", "delete", "replace")],
    "postgresql": [f"DROP TRIGGER incident_timeline_no_{what} ON incident_timeline" for what in ("change", "truncate")],
}
LINES = "incident_timeline SET"
ROW = "incidents SET"


def _forged(number: int, previous: str) -> str:
    """A line with a hash of its own that is right."""
    when = "2026-11-06T20:00:00.000000Z"
    line = RawEntry(ID, number, "note", "ops", "forged", when, when, "{}", previous, "")
    return (
        "INSERT INTO incident_timeline (incident_id, number, kind, actor, text, event_at, recorded_at, data, previous,"
        f" hash) VALUES ('{ID}', {number}, 'note', 'ops', 'forged', '{when}', '{when}', '{{}}', '{previous}',"
        f" '{entry_hash(line)}')"
    )


@dataclass(frozen=True)
class Story:
    """What is done, and what is then found: (entry, problem, a piece of the text)."""

    name: str
    statements: tuple[str, ...]
    found: tuple[tuple[int | None, Problem, str], ...]


def _swap(one: int, other: int) -> tuple[str, ...]:
    where = f"WHERE incident_id = '{ID}' AND number ="
    return (
        f"UPDATE {LINES} number = 999 {where} {one}",
        f"UPDATE {LINES} number = {one} {where} {other}",
        f"UPDATE {LINES} number = {other} {where} 999",
    )


AT = f"WHERE incident_id = '{ID}' AND number"
STORIES = [
    Story("text", (f"UPDATE {LINES} text = 'nothing happened' {AT} = 2",), ((2, Problem.CHANGED, "content"),)),
    Story("actor", (f"UPDATE {LINES} actor = 'nobody' {AT} = 1",), ((1, Problem.CHANGED, ""),)),
    Story("kind", (f"UPDATE {LINES} kind = 'nonsense' {AT} = 3",), ((3, Problem.CHANGED, ""),)),
    Story("data", (f"UPDATE {LINES} data = 'no JSON' {AT} = 1",), ((1, Problem.CHANGED, ""),)),
    Story(
        "event time",
        (f"UPDATE {LINES} event_at = '2026-11-06T20:00:01.000000Z' {AT} = 4",),
        ((4, Problem.CHANGED, ""),),
    ),
    Story("record time", (f"UPDATE {LINES} recorded_at = event_at {AT} = 1",), ((1, Problem.CHANGED, ""),)),
    Story(
        "its hash",
        (f"UPDATE {LINES} hash = previous {AT} = 2",),
        ((2, Problem.CHANGED, ""),),
    ),
    Story("removed in the middle", (f"DELETE FROM incident_timeline {AT} = 2",), ((2, Problem.MISSING, "gone"),)),
    Story("removed at the beginning", (f"DELETE FROM incident_timeline {AT} = 1",), ((1, Problem.MISSING, "gone"),)),
    Story(
        "removed at the end",
        (f"DELETE FROM incident_timeline {AT} > 4",),
        ((5, Problem.MISSING, "gone"), (6, Problem.MISSING, "gone")),
    ),
    Story(
        "removed at the end, and the count set to fit",
        (f"DELETE FROM incident_timeline {AT} = 6", f"UPDATE {ROW} entries = 5 WHERE id = '{ID}'"),
        ((5, Problem.BROKEN_CHAIN, "the incident's row ends with"),),
    ),
    Story(
        "removed, and the others moved up",
        (f"DELETE FROM incident_timeline {AT} = 2", f"UPDATE {LINES} number = 2 {AT} = 3"),
        ((2, Problem.MOVED, "recorded as entry 3"), (3, Problem.MISSING, "")),
    ),
    Story("added at the end", (_forged(7, "0" * 64),), ((7, Problem.INSERTED, "never recorded"),)),
    Story("added before the beginning", (_forged(0, "0" * 64),), ((0, Problem.INSERTED, ""),)),
    Story(
        "put in the place of another",
        (f"DELETE FROM incident_timeline {AT} = 2", _forged(2, "0" * 64)),
        ((2, Problem.BROKEN_CHAIN, "does not follow"),),
    ),
    Story(
        "put in the place of another, made to follow",
        (f"DELETE FROM incident_timeline {AT} = 2", "forge 2"),
        ((3, Problem.BROKEN_CHAIN, "does not follow"),),
    ),
    Story("two changed places", _swap(2, 3), ((2, Problem.MOVED, "as entry 3"), (3, Problem.MOVED, "as entry 2"))),
    Story(
        "state", (f"UPDATE {ROW} state = 'closed' WHERE id = '{ID}'",), ((None, Problem.WRONG_ROW, "state = 'closed'"),)
    ),
    Story(
        "nonsense state", (f"UPDATE {ROW} state = 'fine' WHERE id = '{ID}'",), ((None, Problem.WRONG_ROW, "'fine'"),)
    ),
    Story("severity", (f"UPDATE {ROW} severity = 4 WHERE id = '{ID}'",), ((None, Problem.WRONG_ROW, "severity = 4"),)),
    Story("cause", (f"UPDATE {ROW} cause = 'none' WHERE id = '{ID}'",), ((None, Problem.WRONG_ROW, "cause = 'none'"),)),
    Story("version", (f"UPDATE {ROW} version = 9 WHERE id = '{ID}'",), ((None, Problem.WRONG_ROW, "version = 9"),)),
    Story(
        "resolved", (f"UPDATE {ROW} resolved_at = NULL WHERE id = '{ID}'",), ((None, Problem.WRONG_ROW, "resolved_at"),)
    ),
    Story(
        "onset",
        (f"UPDATE {ROW} onset_at = opened_at WHERE id = '{ID}'",),
        ((None, Problem.WRONG_ROW, "the timeline says '2026-11-06T22:39:57"),),
    ),
    Story(
        "symptom changed",
        ("UPDATE incident_symptoms SET reason = 'none'",),
        ((None, Problem.WRONG_SYMPTOM, "symptom kafka_lag (spark-group) says reason = 'none'"),),
    ),
    Story("symptom removed", ("DELETE FROM incident_symptoms",), ((None, Problem.WRONG_SYMPTOM, "is gone"),)),
    Story(
        "symptom of nonsense",
        ("UPDATE incident_symptoms SET symptom = 'fine'",),
        ((None, Problem.WRONG_ROW, "never written"),),
    ),
    Story("hand-over removed", ("DELETE FROM incident_hand_overs",), ((None, Problem.WRONG_HAND_OVER, "is gone"),)),
    Story(
        "hand-over made up",
        ("UPDATE incident_hand_overs SET scenario = 'kafka_lag'",),
        ((None, Problem.WRONG_HAND_OVER, "is gone"), (None, Problem.WRONG_HAND_OVER, "does not tell of it")),
    ),
]


@pytest.fixture
def recorded(database: Backend) -> Backend:
    """Two incidents; the first has six entries and is resolved."""
    store = database.store
    database.clock.advance(4800)
    incident, _ = store.open(new_incident(database))
    store.open(new_incident(database, scenario=ScenarioId.KAFKA_LAG))
    store.attach(symptom(incident, database), database.now())
    store.hand_over(HandOver(incident.id, ScenarioId.KAFKA_DOWN, "run", "nobody", database.now()))
    store.open(new_incident(database))
    walk(database, incident, IncidentState.RESOLVED)
    assert len(store.timeline(ID)) == 6
    assert store.verify() == ()
    return database


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
def test_tampering_is_found(recorded: Backend, story: Story) -> None:
    follows = _forged(2, recorded.store.timeline(ID)[0].hash)
    statements = [follows if statement == "forge 2" else statement for statement in story.statements]
    recorded.execute(*GUARDS[recorded.kind], *statements)
    findings = recorded.store.verify()
    assert [(finding.incident_id, finding.number, finding.problem) for finding in findings] == [
        (ID, number, problem) for number, problem, _ in story.found
    ], findings
    for finding, (_, _, piece) in zip(findings, story.found, strict=True):
        assert piece in str(finding)
        assert ID in str(finding)
    assert recorded.store.verify(ID) == findings
    assert recorded.store.verify(OTHER) == ()


def test_a_whole_incident_cannot_vanish(recorded: Backend) -> None:
    tables = ("incident_symptoms", "incident_hand_overs", "incident_timeline")
    recorded.execute(
        *GUARDS[recorded.kind],
        *(f"DELETE FROM {table} WHERE incident_id = '{ID}'" for table in tables),
        f"DELETE FROM incidents WHERE id = '{ID}'",
    )
    (finding,) = recorded.store.verify()
    assert (finding.incident_id, finding.problem) == (ID, Problem.MISSING)
    assert "nothing of it is left" in str(finding)


def test_a_row_cannot_vanish_from_its_timeline(recorded: Backend) -> None:
    if recorded.kind == "sqlite":  # this connection does not ask for foreign keys
        with closing(sqlite3.connect(recorded.url.removeprefix("sqlite:///"))) as connection, connection:
            connection.execute(f"DELETE FROM incidents WHERE id = '{ID}'")
    else:
        recorded.execute(
            *(
                f"ALTER TABLE {table} DROP CONSTRAINT {table}_incident_id_fk"
                for table in ("incident_timeline", "incident_symptoms", "incident_hand_overs")
            ),
            f"DELETE FROM incidents WHERE id = '{ID}'",
        )
    for findings in (recorded.store.verify(), recorded.store.verify(ID)):
        (finding,) = findings
        assert (finding.incident_id, finding.problem) == (ID, Problem.MISSING)
        assert "6 entries are left" in str(finding)


def test_an_incident_cannot_be_made_up(recorded: Backend) -> None:
    recorded.execute("UPDATE incident_counters SET last = 1")
    (finding,) = recorded.store.verify()
    assert (finding.incident_id, finding.problem) == (OTHER, Problem.INSERTED)


def test_a_timeline_cannot_be_passed_off_as_another_incidents(recorded: Backend) -> None:
    """Not even with the row's count and hash set to fit."""
    recorded.execute(
        *GUARDS[recorded.kind],
        f"DELETE FROM incident_timeline WHERE incident_id = '{ID}'",
        f"UPDATE {LINES} incident_id = '{ID}' WHERE incident_id = '{OTHER}'",
        f"UPDATE {ROW} entries = 1, head = (SELECT head FROM incidents WHERE id = '{OTHER}') WHERE id = '{ID}'",
    )
    problems = {(finding.incident_id, finding.number, finding.problem) for finding in recorded.store.verify()}
    assert (ID, 1, Problem.CHANGED) in problems
    assert (OTHER, 1, Problem.MISSING) in problems


@pytest.mark.parametrize(
    "statement",
    [
        f"UPDATE {LINES} text = 'x'",
        f"UPDATE {LINES} number = 99 {AT} = 6",
        "DELETE FROM incident_timeline",
        "replace",
        "TRUNCATE incident_timeline",
    ],
)
def test_the_database_itself_refuses_to_change_a_timeline(recorded: Backend, statement: str) -> None:
    if statement == "replace":
        statement = _forged(6, "0" * 64).replace("INSERT", "INSERT OR REPLACE")
    only = {"INSERT OR REPLACE": "sqlite", "TRUNCATE": "postgresql"}
    if any(statement.startswith(word) and recorded.kind != kind for word, kind in only.items()):
        pytest.skip("no such statement there")
    with pytest.raises(DBAPIError, match="never changed or removed"):
        recorded.execute(statement)
    assert recorded.store.verify() == ()
