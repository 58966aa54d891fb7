"""Random sequences of all commands: memory and databases give the same answers, and what is promised holds."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from include.guardrails.errors import GuardrailError
from include.guardrails.limits import HOUR
from include.guardrails.model import ALL, Action, ActionState, Limits
from include.incidents.errors import IncidentStoreError
from include.incidents.model import Incident, IncidentState
from include.incidents.states import MOVES
from include.playbook.ladder import RungId
from include.playbook.names import Component, ScenarioId, Severity
from tests.support.guarding import Guard
from tests.support.incident_stores import Backend, memory, new_incident, postgresql, sqlite, told
from tests.support.postgres import PostgresServer
from tests.support.walking import run_walks

Ask = Callable[[Guard], object]
LIMITS = Limits(cooldown_seconds=30, hourly_budget=3, breaker_failures=2, breaker_seconds=300)
RUNGS = st.sampled_from([RungId.RESTART_KAFKA, RungId.VALIDATE_TOPICS])
TARGETS = st.sampled_from([Component.KAFKA, Component.PROCESSOR])
SERVICES = st.sampled_from([(), ("kafka",), ("kafka", "stream_processor")])
NAMES = st.sampled_from(["a", "b", "c"])  # of runs and of holders
SERVICE = st.sampled_from(["kafka", "stream_processor"])
SCOPE = st.sampled_from([ALL, *[ScenarioId.KAFKA_DOWN] * 4, "nonsense"])
ENDS = [ActionState.SUCCEEDED, ActionState.SUCCEEDED, ActionState.FAILED]
WAITS = st.sampled_from([-10.0, 0.001, 1.0, 15.0, 29.999, 30.0, 60.0, 299.0, 900.0])
SUBJECTS = [
    (ScenarioId.KAFKA_DOWN, Component.KAFKA),
    (ScenarioId.MYSQL_NOT_WRITING, Component.MYSQL),
    (ScenarioId.KAFKA_LAG, Component.LAG),
]


class Walk(RuleBasedStateMachine):
    """Each command is given to the guardrails in memory and to the others."""

    make: ClassVar[Callable[[], Backend]]

    def __init__(self) -> None:
        super().__init__()
        self.guards = (Guard(memory()), Guard(type(self).make()))
        self.overridden: set[int] = set()
        self.began = self.guards[0].in_(0)

    def teardown(self) -> None:
        model, guard = self.guards
        for incident in model.backend.store.recent():
            assert guard.backend.store.timeline(incident.id) == model.backend.store.timeline(incident.id)
        for each in self.guards:
            each.close()
            each.backend.close()

    def both(self, ask: Ask) -> object:
        """The answer, which is the same."""
        answer, other = (_answer(ask, guard) for guard in self.guards)
        assert other == answer
        return answer

    # --- what happens
    @rule(seconds=WAITS)
    def time_passes(self, seconds: float) -> None:
        for guard in self.guards:
            guard.wait(seconds)

    @rule(holder=NAMES, lives=st.sampled_from([True, False, None]))
    def a_process_dies_or_is_known_to_live(self, holder: str, lives: bool | None) -> None:
        for guard in self.guards:
            guard.lives[holder] = lives

    @rule(subject=st.sampled_from(SUBJECTS), severity=st.sampled_from([Severity.SEV_2, Severity.SEV_4]))
    def an_incident_opens(self, subject: tuple[ScenarioId, Component], severity: Severity) -> None:
        def ask(guard: Guard) -> object:
            scenario, target = subject
            new = new_incident(guard.backend, scenario=scenario, target=target, severity=severity)
            return guard.backend.store.open(new)

        self.both(ask)

    @rule(which=st.integers(0, 3), to=st.sampled_from([*IncidentState]))
    def an_incident_moves(self, which: int, to: IncidentState) -> None:
        incident = self.incident(which)
        if to in MOVES[incident.state]:
            version = incident.version
            self.both(lambda guard: guard.backend.store.move(incident.id, to, version=version, **told(guard.backend)))

    # --- commands
    @rule(
        which=st.integers(0, 3),
        rung=RUNGS,
        part=TARGETS,
        services=SERVICES,
        run=NAMES,
        holder=NAMES,
        by=st.sampled_from(["health", "ops", "ops!"]),
        after_recovery=st.booleans(),
    )
    def any_beginning(self, which: int, by: str, part: Component, **values: Any) -> None:
        self.begin(which, by, part, **values)

    def begin(self, which: int, by: str, part: Component, **values: Any) -> None:
        incident = self.incident(which)
        values |= {"incident_id": incident.id, "scenario": incident.scenario, "limits": LIMITS}
        values |= {"target": part, "requested_by": by.rstrip("!"), "overrides": by.endswith("!")}
        looked = self.both(lambda guard: guard.rails.check(guard.request(**values)))
        answer = self.both(lambda guard: guard.rails.begin(guard.request(**values)))
        assert looked == (None if isinstance(answer, Action) else answer)
        if isinstance(answer, Action) and by == "ops!":
            self.overridden.add(answer.id)

    @rule(rung=RUNGS, run=NAMES, holder=NAMES, state=st.sampled_from(ENDS), seconds=st.sampled_from([0, 1, 31, 400]))
    def a_rung_is_done(self, rung: RungId, run: str, holder: str, state: ActionState, seconds: int) -> None:
        """The common case, lest it be rare."""
        self.begin(0, by="health", part=Component.KAFKA, rung=rung, run=run, holder=holder, services=("kafka",))
        self.end(1, state)
        self.time_passes(seconds)

    @precondition(lambda self: self.actions())
    @rule(number=st.integers(0, 4), state=st.sampled_from(ActionState))
    def end(self, number: int, state: ActionState) -> None:
        newest = len(self.guards[0].rails.actions(limit=1000))
        self.both(lambda guard: guard.rails.end(newest + 1 - number, state, "as it is", {"figure": 1}))

    @rule()
    def settle(self) -> None:
        self.both(lambda guard: guard.rails.settle())

    @rule(scope=SCOPE, reason=st.sampled_from(["storm"] * 4 + [""]), minutes=st.sampled_from([None, 0, 1, 1, 1]))
    def pause(self, scope: str, reason: str, minutes: int | None) -> None:
        def ask(guard: Guard) -> object:
            until = None if minutes is None else guard.in_(60 * minutes)
            return guard.rails.pause(scope, reason=reason, by="ops", until=until)

        self.both(ask)

    @rule(scope=SCOPE)
    def resume(self, scope: str) -> None:
        self.both(lambda guard: guard.rails.resume(scope, by="ops"))

    @precondition(lambda self: self.guards[0].rails.switches())
    @rule()
    def all_goes_on(self) -> None:
        for scope in (ALL, ScenarioId.KAFKA_DOWN):
            self.resume(scope)

    @rule(service=SERVICE, holder=NAMES, seconds=st.sampled_from([0.0, 5.0, 60.0]))
    def lease(self, service: str, holder: str, seconds: float) -> None:
        self.both(lambda guard: guard.rails.lease(service, holder=holder, purpose="start", seconds=seconds))

    @rule(service=SERVICE, holder=NAMES)
    def give_back(self, service: str, holder: str) -> None:
        self.both(lambda guard: guard.rails.give_back(service, holder))

    # --- what always holds
    @invariant()
    def they_show_the_same(self) -> None:
        rails = [guard.rails for guard in self.guards]
        for look in ("leases", "switches", "switch_changes"):
            model, other = (getattr(each, look)() for each in rails)
            assert other == model, look
        assert rails[1].actions(limit=1000) == rails[0].actions(limit=1000)
        since = self.began + timedelta(seconds=45)
        assert rails[1].actions(since=since, limit=2) == rails[0].actions(since=since, limit=2)

    @invariant()
    def one_action_works_on_a_target_and_one_has_a_service(self) -> None:
        running = [action for action in self.actions() if action.state is ActionState.RUNNING]
        assert all(count == 1 for count in Counter(action.target for action in running).values())
        services = Counter(service for action in running for service in action.services)
        assert all(count == 1 for count in services.values())

    @invariant()
    def the_limits_hold_unless_a_person_took_them_on_themselves(self) -> None:
        by_subject: dict[tuple[str, str], list[Action]] = {}
        for action in self.actions():
            by_subject.setdefault((action.rung, action.target), []).append(action)
        for actions in by_subject.values():
            for one in actions:
                if one.id in self.overridden:
                    continue
                before = [each for each in actions if each.id < one.id]
                ages = [abs(one.started_at - each.started_at) for each in before]
                last = max(before, key=lambda each: each.id, default=None)
                goes_on = last and last.state is ActionState.ABANDONED and last.run == one.run
                assert goes_on or all(age >= timedelta(seconds=LIMITS.cooldown_seconds) for age in ages)
                assert sum(age < HOUR for age in ages) < LIMITS.hourly_budget

    def incident(self, which: int) -> Incident:
        known = self.guards[0].backend.store.recent()
        return known[which % len(known)]

    def actions(self) -> tuple[Action, ...]:
        return self.guards[1].rails.actions(limit=1000)


def _answer(ask: Ask, guard: Guard) -> object:
    try:
        return ask(guard)
    except (GuardrailError, IncidentStoreError) as error:
        return type(error), str(error)


def test_walks_in_memory_keep_the_limits() -> None:
    run_walks(Walk, memory, 30)


def test_walks_in_sqlite_are_those_in_memory(tmp_path: Path, sqlite_tables: Path) -> None:
    numbers = itertools.count()
    run_walks(Walk, lambda: sqlite(tmp_path / str(next(numbers)), sqlite_tables), 4)


@pytest.mark.integration
def test_more_walks_in_sqlite_are_those_in_memory(tmp_path: Path, sqlite_tables: Path) -> None:
    numbers = itertools.count()
    run_walks(Walk, lambda: sqlite(tmp_path / str(next(numbers)), sqlite_tables), 15)


@pytest.mark.integration
def test_walks_in_postgresql_are_those_in_memory(postgres: PostgresServer, postgres_tables: str) -> None:
    run_walks(Walk, lambda: postgresql(postgres, postgres_tables), 8)
