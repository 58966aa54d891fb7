"""Random walks of all commands, compared with a model: no illegal state, versions that grow, timelines that verify."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from include.incidents.errors import (
    IllegalMoveError,
    InvalidEntryError,
    NotOpenError,
    StaleVersionError,
    UnknownSymptomError,
)
from include.incidents.model import CLOSED_STATES, EntryKind, HandOver, IncidentState, NewEntry, OpenOutcome
from include.incidents.states import FINAL_STATES, allowed
from include.playbook.names import Cause, Component, ScenarioId, Severity
from tests.support.incident_stores import Backend, approve, memory, new_incident, postgresql, sqlite, symptom, told
from tests.support.postgres import PostgresServer
from tests.support.walking import run_walks

S = IncidentState
SUBJECTS = [(ScenarioId.KAFKA_DOWN, Component.KAFKA), (ScenarioId.KAFKA_LAG, Component.LAG)]
ONE = st.sampled_from([0, 1, 2, 3])  # which of the known incidents, counted from the newest


K = EntryKind
CHANGES = {  # kinds that tell of a change, which has a command of its own
    *(K.OPENED, K.REOPENED, K.STATE_CHANGED, K.SEVERITY_RAISED, K.CAUSE_CHANGED),
    *(K.SYMPTOM_ATTACHED, K.SYMPTOM_CLEARED, K.MERGED, K.HANDED_OVER, K.REVIEWED),
}


@dataclass
class Known:
    """What the model knows of an incident."""

    id: str
    subject: tuple[ScenarioId, Component]
    state: IncidentState
    severity: Severity
    cause: Cause
    version: int = 1
    entries: int = 1
    reopened: int = 0
    approved: bool = False  # its review, since it came back last
    resolved_ms: int = 0
    symptoms: dict[ScenarioId, bool] = field(default_factory=dict)  # → whether it is cleared
    handed: set[tuple[ScenarioId, int]] = field(default_factory=set)

    @property
    def open(self) -> bool:
        return self.state not in CLOSED_STATES

    def change(self, **values: Any) -> None:
        for name, value in values.items():
            setattr(self, name, value)
        self.version += 1
        self.entries += 1


class Walk(RuleBasedStateMachine):
    """The commands, each with what the model expects of it."""

    make: ClassVar[Callable[[], Backend]]

    def __init__(self) -> None:
        super().__init__()
        self.backend = type(self).make()
        self.known: list[Known] = []

    def teardown(self) -> None:
        assert self.backend.store.verify() == ()
        for one in self.known:
            assert len(self.backend.store.timeline(one.id)) == one.entries
            assert {s.scenario: s.cleared_at is not None for s in self.backend.store.symptoms(one.id)} == one.symptoms
        self.backend.close()

    def pick(self, which: int) -> Known:
        return self.known[-1 - which % len(self.known)]

    @initialize()
    def begin(self) -> None:
        self.open(SUBJECTS[0], Severity.SEV_3, Cause.UNKNOWN)

    def open_one(self, subject: tuple[ScenarioId, Component]) -> Known | None:
        return next((one for one in self.known if one.subject == subject and one.open), None)

    @rule(seconds=st.sampled_from([1, 60, 599]))
    def wait(self, seconds: int) -> None:
        self.backend.clock.advance(seconds)

    @rule(
        subject=st.sampled_from(SUBJECTS),
        severity=st.sampled_from(Severity),
        cause=st.sampled_from([Cause.UNKNOWN, Cause.PROCESS_GONE]),
    )
    def open(self, subject: tuple[ScenarioId, Component], severity: Severity, cause: Cause) -> None:
        scenario, target = subject
        new = new_incident(self.backend, scenario=scenario, target=target, severity=severity, cause=cause)
        incident, outcome = self.backend.store.open(new)
        mine = [one for one in self.known if one.subject == subject]
        last = mine[-1] if mine else None
        if one := self.open_one(subject):
            assert (outcome, incident.id) == (OpenOutcome.JOINED, one.id)
            one.entries += 1
        elif last and last.state in (S.RESOLVED, S.IN_REVIEW) and self._ms() - last.resolved_ms < 600_000:
            assert (outcome, incident.id) == (OpenOutcome.REOPENED, last.id)
            last.change(
                state=S.REOPENED,
                reopened=last.reopened + 1,
                approved=False,
                severity=min(severity, last.severity),
                cause=last.cause if cause is Cause.UNKNOWN else cause,
            )
        else:
            assert outcome is OpenOutcome.OPENED
            assert incident.id == f"INC-2026-{len(self.known) + 1:04d}"
            self.known.append(Known(incident.id, subject, S.DETECTED, severity, cause))

    @rule(which=ONE, to=st.sampled_from(S), behind=st.sampled_from([0, 0, 0, 1]))
    def move(self, which: int, to: IncidentState, behind: int) -> None:
        one = self.pick(which)
        legal = to in allowed(one.state, one.severity) and to is not S.MERGED
        if to is S.REOPENED and self.open_one(one.subject):
            legal = False
        if to is S.CLOSED and one.severity <= Severity.SEV_2 and not one.approved:
            legal = False

        def do() -> None:
            self.backend.store.move(one.id, to, version=one.version - behind, **told(self.backend))

        if behind:
            _refused(StaleVersionError, do)
        elif not legal:
            _refused(IllegalMoveError, do)
        else:
            do()
            if to is S.RESOLVED:
                one.resolved_ms = self._ms()
            back = to is S.REOPENED
            one.change(state=to, reopened=one.reopened + back, approved=one.approved and not back)

    @rule(which=ONE, likely=st.integers(0, 3))
    def move_on(self, which: int, likely: int) -> None:
        """Legal steps are rare among all, and the far states would hardly be reached."""
        one = self.pick(which)
        steps = [state for state in allowed(one.state, one.severity) if state not in (S.MERGED, S.FALSE_POSITIVE)]
        if steps:
            self.move(which, steps[likely % len(steps)], 0)

    @rule(which=ONE)
    def approve(self, which: int) -> None:
        one = self.pick(which)
        approve(self.backend, self.backend.store.incident(one.id))
        one.approved = True
        one.entries += 1

    @rule(which=ONE, severity=st.sampled_from(Severity))
    def raise_severity(self, which: int, severity: Severity) -> None:
        one = self.pick(which)
        call = lambda: self.backend.store.raise_severity(one.id, severity, **told(self.backend))  # noqa: E731
        if severity >= one.severity:
            call()
        elif one.state in FINAL_STATES:
            _refused(NotOpenError, call)
        else:
            call()
            one.change(severity=severity)

    @rule(which=ONE, cause=st.sampled_from(Cause))
    def set_cause(self, which: int, cause: Cause) -> None:
        one = self.pick(which)
        call = lambda: self.backend.store.set_cause(one.id, cause, **told(self.backend))  # noqa: E731
        if cause is one.cause:
            call()
        elif one.state in FINAL_STATES:
            _refused(NotOpenError, call)
        else:
            call()
            one.change(cause=cause)

    @rule(which=ONE, scenario=st.sampled_from(ScenarioId))
    def attach(self, which: int, scenario: ScenarioId) -> None:
        one = self.pick(which)
        incident = self.backend.store.incident(one.id)
        call = lambda: self.backend.store.attach(  # noqa: E731
            symptom(incident, self.backend, scenario=scenario), self.backend.now()
        )
        if one.symptoms.get(scenario) is False:
            assert call() is False
        elif not one.open:
            _refused(NotOpenError, call)
        else:
            assert call() is True
            one.symptoms[scenario] = False
            one.entries += 1

    @rule(which=ONE, scenario=st.sampled_from(ScenarioId))
    def clear(self, which: int, scenario: ScenarioId) -> None:
        one = self.pick(which)
        call = lambda: self.backend.store.clear_symptom(  # noqa: E731
            one.id, scenario, Component.LAG, reason="", event_at=self.backend.now()
        )
        if scenario not in one.symptoms:
            _refused(UnknownSymptomError, call)
            return
        assert call() is not one.symptoms[scenario]
        one.entries += not one.symptoms[scenario]
        one.symptoms[scenario] = True

    @rule(child=ONE, into=ONE)
    def merge(self, child: int, into: int) -> None:
        one, other = self.pick(child), self.pick(into)
        call = lambda: self.backend.store.merge(one.id, other.id, **told(self.backend))  # noqa: E731
        before = self.backend.store.incident(one.id)
        if before.merged_into == other.id:
            call()
        elif one is other or S.MERGED not in allowed(one.state, one.severity):
            _refused(IllegalMoveError, call)
        elif not other.open:
            _refused(NotOpenError, call)
        else:
            call()
            one.change(state=S.MERGED)
            other.entries += 1
            for scenario, cleared in one.symptoms.items():
                taken = (scenario, Component.LAG) == other.subject or other.symptoms.get(scenario) is False
                if not cleared and not taken:
                    other.symptoms[scenario] = False
                    other.entries += 1

    @rule(which=ONE, kind=st.sampled_from(EntryKind), text=st.text(max_size=20))
    def append(self, which: int, kind: EntryKind, text: str) -> None:
        one = self.pick(which)
        new = NewEntry(kind, "ops", text, self.backend.now(), {"text": text})
        call = lambda: self.backend.store.append(one.id, new)  # noqa: E731
        if kind not in CHANGES:
            assert call().data == {"text": text}
            one.entries += 1
        else:
            _refused(InvalidEntryError, call)

    @rule(which=ONE, scenario=st.sampled_from(ScenarioId))
    def hand_over(self, which: int, scenario: ScenarioId) -> None:
        one = self.pick(which)
        new = HandOver(one.id, scenario, "run", "nobody", self.backend.now())
        made, first = self.backend.store.hand_over(new)
        assert made.occurrence == one.reopened
        assert first == ((scenario, one.reopened) not in one.handed)
        one.handed.add((scenario, one.reopened))
        one.entries += first

    @invariant()
    def the_store_says_what_the_model_says(self) -> None:
        store = self.backend.store
        for one in self.known:
            there = store.incident(one.id)
            assert (there.state, there.severity, there.cause) == (one.state, one.severity, one.cause)
            assert (there.version, there.reopened) == (one.version, one.reopened)
        assert {incident.id for incident in store.open_incidents()} == {one.id for one in self.known if one.open}

    def _ms(self) -> int:
        return self.backend.clock.time_ms()


def _refused(error: type[Exception], call: Callable[[], object]) -> None:
    with pytest.raises(error):
        call()


def test_walks_in_memory() -> None:
    run_walks(Walk, memory, 60)


def test_walks_in_sqlite(tmp_path: Path, sqlite_tables: Path) -> None:
    numbers = itertools.count()
    run_walks(Walk, lambda: sqlite(tmp_path / str(next(numbers)), sqlite_tables), 8)


@pytest.mark.integration
def test_walks_in_postgresql(postgres: PostgresServer, postgres_tables: str) -> None:
    run_walks(Walk, lambda: postgresql(postgres, postgres_tables), 8)
