"""Many triggers at once: threads and processes, over and over. One action begins, and the limits hold all the same."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import threading
from collections import Counter, defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from threading import Barrier

import pytest

from include.guardrails import holders
from include.guardrails.limits import HOUR
from include.guardrails.model import Action, ActionState, Limits, Refusal, Refused
from include.guardrails.sql import SqlGuardrails
from include.incidents.model import EntryKind
from include.playbook.ladder import RungId
from include.playbook.names import Component
from include.settings import PROJECT_ROOT
from tests.support.guarding import Guard

LIMITS = Limits(cooldown_seconds=120, hourly_budget=8, breaker_failures=3, breaker_seconds=900)
# Two rungs that work on one target, one that needs the same process, and one that has nothing to do with them.
SUBJECTS = [
    (RungId.RESTART_KAFKA, Component.KAFKA, ("kafka",)),
    (RungId.VALIDATE_TOPICS, Component.KAFKA, ()),
    (RungId.RESTART_PROCESSOR, Component.PROCESSOR, ("kafka", "stream_processor")),
    (RungId.RESTART_PRODUCER, Component.PRODUCER, ("btc_producer",)),
]


@dataclass
class Workshop:
    """Where the actions are done: it sees with its own eyes who is at work on what."""

    double: list[str] = field(default_factory=list)
    _at_work: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def enter(self, action: Action) -> None:
        with self._lock:
            for part in (action.target, *(f"process {service}" for service in action.services)):
                self._at_work[part] += 1
                if self._at_work[part] > 1:
                    self.double.append(f"{part} in {action.run}")

    def leave(self, action: Action) -> None:
        with self._lock:
            for part in (action.target, *(f"process {service}" for service in action.services)):
                self._at_work[part] -= 1


def check_limits(actions: Sequence[Action]) -> None:
    starts: dict[tuple[str, str], list[datetime]] = defaultdict(list)
    for action in reversed(actions):
        starts[action.rung, action.target].append(action.started_at)
    for moments in starts.values():
        assert all(b - a >= timedelta(seconds=LIMITS.cooldown_seconds) for a, b in pairwise(moments))
        assert max(sum(a <= b < a + HOUR for b in moments) for a in moments) <= LIMITS.hourly_budget


def rounds_of_racing_threads(guard: Guard, rounds: int, racers: int) -> None:
    """In each round all racers ask at the same moment. In every other one whoever begins goes on until all have their
    answer; else it ends at once, and the next one may be let in, or be kept out by the limits.
    """
    rails = [guard.rails, *(guard.another() for _ in range(racers - 1))]
    dice, workshop, answers = random.Random(5), Workshop(), Counter[str]()
    asked = [[dice.choice(SUBJECTS) for _ in range(racers)] for _ in range(rounds)]
    ends = [dice.choice([ActionState.SUCCEEDED, ActionState.SUCCEEDED, ActionState.FAILED]) for _ in range(rounds)]
    ready = Barrier(racers, action=lambda: guard.wait(dice.choice([1, 30, 119, 120, 400])))
    answered = Barrier(racers)

    def race(me: int, number: int) -> None:
        rung, target, services = asked[number][me]
        request = guard.request(
            rung=rung, target=target, services=services, limits=LIMITS, run=f"run {number // 10}.{me}", holder=f"{me}"
        )
        ready.wait(60)
        answer = rails[me].begin(request)
        answers[answer.refusal if isinstance(answer, Refused) else "begun"] += 1
        if isinstance(answer, Action):
            workshop.enter(answer)
        if number % 2:
            answered.wait(60)
        if isinstance(answer, Action):
            workshop.leave(answer)
            rails[me].end(answer.id, ends[number], "")

    def racer(me: int) -> None:
        try:
            for number in range(rounds):
                race(me, number)
        except BaseException:
            ready.abort()  # nobody waits for us
            answered.abort()
            raise

    with ThreadPoolExecutor(racers) as pool:
        for each in [pool.submit(racer, me) for me in range(racers)]:
            each.result()
    actions = guard.rails.actions(limit=100_000)
    assert workshop.double == []
    assert len(actions) == answers["begun"]
    assert {action.state for action in actions} == {ActionState.SUCCEEDED, ActionState.FAILED}
    assert guard.rails.leases() == ()
    check_limits(actions)
    assert set(answers) == {"begun", *WITH_REASON}


WITH_REASON = {
    Refusal.TARGET_BUSY,
    Refusal.SERVICE_LEASED,
    Refusal.COOLDOWN,
    Refusal.BUDGET,
    Refusal.BREAKER_OPEN,
}


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("backend", "rounds", "racers"),
    [
        ("memory", 1000, 4),
        pytest.param("sqlite", 1000, 2, marks=pytest.mark.integration),  # some seconds
        pytest.param("postgresql", 150, 4, marks=pytest.mark.integration),
    ],
    indirect=["backend"],
)
def test_rounds_of_racing_threads(guard: Guard, rounds: int, racers: int) -> None:
    rounds_of_racing_threads(guard, rounds, racers)


def test_of_twenty_who_ask_in_the_same_second_one_begins(guard: Guard) -> None:
    racers = 20
    rails = [guard.rails if number % 2 else guard.another() for number in range(racers)]
    barrier = Barrier(racers)

    def ask(number: int) -> Action | Refused:
        barrier.wait(30)
        return rails[number].begin(guard.request(run=f"run {number}", holder=f"worker {number}"))

    with ThreadPoolExecutor(racers) as pool:
        answers = list(pool.map(ask, range(racers)))
    (action,) = (each for each in answers if isinstance(each, Action))
    refusals = Counter(each.refusal for each in answers if isinstance(each, Refused))
    assert refusals == {Refusal.TARGET_BUSY: racers - 1}
    assert guard.rails.actions() == (action,)
    kinds = Counter(entry.kind for entry in guard.told())
    assert kinds == {EntryKind.ACTION_STARTED: 1, EntryKind.ACTION_REFUSED: racers - 1}


def test_of_twenty_who_want_a_service_one_has_it(guard: Guard) -> None:
    racers = 20
    rails = [guard.rails if number % 2 else guard.another() for number in range(racers)]
    barrier = Barrier(racers)

    def ask(number: int) -> bool:
        barrier.wait(30)
        return rails[number].lease("kafka", holder=f"{number}", purpose="start", seconds=30) is not None

    with ThreadPoolExecutor(racers) as pool:
        assert sum(pool.map(ask, range(racers))) == 1


# Children of one young process: the imports are paid once. A file that may be made only once is their witness.
_PROCESSES = """
import json, multiprocessing, os, sys
from include.guardrails.holders import this_process
from include.guardrails.model import Action, ActionRequest, ActionState, Limits
from include.guardrails.sql import SqlGuardrails
from include.playbook.ladder import RungId
from include.playbook.names import Component, ScenarioId

url, incident, witness, racers, rounds, budget = *sys.argv[1:4], *map(int, sys.argv[4:])
fork = multiprocessing.get_context("fork")
barrier, answers = fork.Barrier(racers), fork.Queue()
rungs = [RungId.RESTART_KAFKA, RungId.VALIDATE_TOPICS]

def race(me):
    guardrails, holder, found = SqlGuardrails(url), this_process(), []
    barrier.wait(30)
    for number in range(rounds):
        answer = guardrails.begin(ActionRequest(
            incident, ScenarioId.KAFKA_DOWN, rungs[(number + me) % 2], Component.KAFKA, "health", f"{me}.{number}",
            holder, Limits(0, budget), 30, ("kafka",),
        ))
        if isinstance(answer, Action):
            os.close(os.open(witness, os.O_CREAT | os.O_EXCL))
            os.unlink(witness)
            guardrails.end(answer.id, ActionState.SUCCEEDED, "")
            found.append("begun")
        else:
            found.append(answer.refusal.value)
    guardrails.close()
    return found

def child(me):
    try:
        answers.put(race(me))
    except BaseException as error:
        answers.put([repr(error)])

children = [fork.Process(target=child, args=(me,)) for me in range(racers)]
[child.start() for child in children]
print(json.dumps([word for _ in children for word in answers.get(timeout=100)]))
[child.join() for child in children]
"""


@pytest.mark.integration  # some interpreters
def test_racing_processes_begin_one_at_a_time_and_no_more_than_the_budget(
    database_guard: Guard, tmp_path: Path
) -> None:
    budget = 15
    arguments = [database_guard.backend.url, database_guard.incident.id, str(tmp_path / "witness")]
    run = subprocess.run(
        [sys.executable, "-c", _PROCESSES, *arguments, "4", "40", str(budget)],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    answers = Counter(json.loads(run.stdout))
    assert set(answers) <= {"begun", "target_busy", "budget"}, answers
    assert answers["begun"] == 2 * budget
    rungs = Counter(action.rung for action in database_guard.rails.actions(limit=1000))
    assert rungs == {RungId.RESTART_KAFKA: budget, RungId.VALIDATE_TOPICS: budget}


def test_a_process_that_is_killed_at_work_is_settled_by_the_next_beginning(database_guard: Guard) -> None:
    fork = multiprocessing.get_context("fork")
    backend, limits = database_guard.backend, Limits(0, 9)

    def work() -> None:
        rails = SqlGuardrails(backend.url, backend.clock)
        rails.begin(database_guard.request(holder=holders.this_process(), limits=limits, lease_seconds=600))
        os.kill(os.getpid(), signal.SIGKILL)

    child = fork.Process(target=work)
    child.start()
    child.join(30)
    assert child.exitcode == -signal.SIGKILL
    (dead,) = database_guard.rails.actions()
    assert dead.state is ActionState.RUNNING
    next_one = SqlGuardrails(backend.url, backend.clock)
    answer = next_one.begin(database_guard.request(run="run 2", holder=holders.this_process(), limits=limits))
    assert isinstance(answer, Action)
    assert [(action.id, action.state) for action in next_one.actions()] == [
        (answer.id, ActionState.RUNNING),
        (dead.id, ActionState.ABANDONED),
    ]
    assert [lease.action_id for lease in next_one.leases()] == [answer.id]
    next_one.close()
