"""Many at once: threads, and processes that meet a database which does not exist yet."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

import pytest

from include.incidents.errors import StaleVersionError
from include.incidents.model import EntryKind, HandOver, IncidentState, NewEntry, OpenOutcome
from include.incidents.store import IncidentStore
from include.playbook.names import Component, ScenarioId
from include.settings import PROJECT_ROOT
from tests.support.incident_stores import Backend, new_incident, symptom, told, walk

T = TypeVar("T")
RACERS = 20

# Twenty children of one young process: the imports are paid once, and nothing is connected before the race.
_PROCESSES = """
import json, multiprocessing, sys
from include.incidents.sql_store import SqlIncidentStore
from include.runtime.clock import ManualClock
from tests.support.incident_stores import START_MS, Backend, new_incident

url, racers = sys.argv[1], int(sys.argv[2])
fork = multiprocessing.get_context("fork")
barrier, answers = fork.Barrier(racers), fork.Queue()

def race():
    clock = ManualClock(START_MS)
    store = SqlIncidentStore(url, clock)
    backend = Backend(lambda: store, clock, url)
    barrier.wait(30)
    try:
        incident, outcome = store.open(new_incident(backend))
        answers.put((incident.id, outcome.value))
    except Exception as error:
        answers.put(("error", repr(error)))
    store.close()

children = [fork.Process(target=race) for _ in range(racers)]
[child.start() for child in children]
print(json.dumps([answers.get(timeout=60) for _ in children]))
[child.join() for child in children]
"""


def race(backend: Backend, run: Callable[[IncidentStore, int], T], racers: int = RACERS) -> list[T]:
    """Half of the racers share a store, the others have one each."""
    stores = [backend.store if number % 2 else backend.another() for number in range(racers)]
    barrier = Barrier(racers)

    def start(number: int) -> T:
        barrier.wait(30)
        return run(stores[number], number)

    with ThreadPoolExecutor(racers) as pool:
        return list(pool.map(start, range(racers)))


def check_one(backend: Backend, outcomes: list[OpenOutcome]) -> None:
    assert Counter(outcomes) == {OpenOutcome.OPENED: 1, OpenOutcome.JOINED: RACERS - 1}
    (incident,) = backend.store.recent()
    assert incident.id == "INC-2026-0001"
    kinds = [entry.kind for entry in backend.store.timeline(incident.id)]
    assert kinds == [EntryKind.OPENED] + [EntryKind.OBSERVED] * (RACERS - 1)
    assert backend.store.verify() == ()


def test_twenty_racing_threads_open_one_incident(backend: Backend) -> None:
    check_one(backend, race(backend, lambda store, _: store.open(new_incident(backend))[1]))


@pytest.mark.integration  # twenty interpreters
def test_twenty_racing_processes_make_the_tables_and_open_one_incident(bare_database: Backend) -> None:
    run = subprocess.run(
        [sys.executable, "-c", _PROCESSES, bare_database.url, str(RACERS)],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    answers = json.loads(run.stdout)
    assert [answer for answer in answers if answer[0] == "error"] == []
    check_one(bare_database, [OpenOutcome(outcome) for _, outcome in answers])


def test_twenty_racing_openers_reopen_once(backend: Backend) -> None:
    walk(backend, backend.store.open(new_incident(backend))[0], IncidentState.RESOLVED)
    outcomes = race(backend, lambda store, _: store.open(new_incident(backend))[1])
    assert Counter(outcomes) == {OpenOutcome.REOPENED: 1, OpenOutcome.JOINED: RACERS - 1}
    assert backend.store.recent()[0].reopened == 1
    assert backend.store.verify() == ()


def test_different_incidents_get_different_ids(backend: Backend) -> None:
    pairs = [(scenario, target) for scenario in ScenarioId for target in list(Component)[:4]]

    def run(store: IncidentStore, number: int) -> str:
        scenario, target = pairs[number]
        return store.open(new_incident(backend, scenario=scenario, target=target))[0].id

    names = race(backend, run)
    assert sorted(names) == [f"INC-2026-{number:04d}" for number in range(1, RACERS + 1)]
    assert backend.store.verify() == ()


def test_of_many_who_read_the_same_version_one_moves(backend: Backend) -> None:
    incident, _ = backend.store.open(new_incident(backend))

    def run(store: IncidentStore, number: int) -> bool:
        to = (IncidentState.ACKNOWLEDGED, IncidentState.VERIFYING)[number % 2]
        try:
            store.move(incident.id, to, version=1, **told(backend))
        except StaleVersionError:
            return False
        return True

    assert sum(race(backend, run)) == 1
    assert backend.store.incident(incident.id).version == 2


def test_notes_symptoms_and_hand_overs_do_not_lose_each_other(backend: Backend) -> None:
    incident, _ = backend.store.open(new_incident(backend))

    def run(store: IncidentStore, number: int) -> tuple[bool, bool]:
        store.append(incident.id, NewEntry(EntryKind.NOTE, "ops", f"note {number}", backend.now()))
        attached = store.attach(symptom(incident, backend), backend.now())
        new = HandOver(incident.id, ScenarioId.KAFKA_DOWN, f"run {number}", "nobody", backend.now())
        return attached, store.hand_over(new)[1]

    attached, handed = zip(*race(backend, run), strict=True)
    assert (sum(attached), sum(handed)) == (1, 1)
    timeline = backend.store.timeline(incident.id)
    assert [entry.number for entry in timeline] == list(range(1, RACERS + 4))
    notes = {entry.text for entry in timeline if entry.kind is EntryKind.NOTE}
    assert notes == {f"note {number}" for number in range(RACERS)}
    assert backend.store.verify() == ()


def test_checks_while_others_write_find_nothing(backend: Backend) -> None:
    """A check sees one moment: row and timeline fit at any time."""
    incident, _ = backend.store.open(new_incident(backend))

    def run(store: IncidentStore, number: int) -> list[str]:
        if number < 4:
            for each in range(15):
                store.append(incident.id, NewEntry(EntryKind.NOTE, "ops", f"{number}.{each}", backend.now()))
            return []
        return [str(finding) for _ in range(15) for finding in store.verify()]

    assert [finding for findings in race(backend, run, 8) for finding in findings] == []


def test_merges_in_opposite_directions_do_not_lock_each_other_out(backend: Backend) -> None:
    pair = [
        backend.store.open(new_incident(backend))[0],
        backend.store.open(new_incident(backend, scenario=ScenarioId.KAFKA_LAG, target=Component.LAG))[0],
    ]

    def run(store: IncidentStore, number: int) -> str:
        child, into = pair if number % 2 else pair[::-1]
        try:
            return store.merge(child.id, into.id, **told(backend)).state
        except Exception as error:
            return type(error).__name__

    outcomes = Counter(race(backend, run))
    assert outcomes["merged"] == RACERS / 2  # whoever was first, and the same again
    assert outcomes["NotOpenError"] + outcomes["IllegalMoveError"] == RACERS / 2
    assert backend.store.verify() == ()
