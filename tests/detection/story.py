"""What a labelled story is: a script for the plant, and what detection must make of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from include.playbook.names import Cause, Component, ScenarioId
from tests.detection.plant import Action

K, S, M, P, L = ScenarioId

UNDO = 600.0  # a fault lasts so long, if nothing else is said
CALM_BEFORE = 300.4  # faults begin between two looks
CALM_AFTER = 600.0


class Paging(StrEnum):
    """What an incident means for people."""

    PAGE = "page"  # SEV-3 or worse
    RECORD = "record"  # opened as SEV-4
    EITHER = "either"


class Visible(StrEnum):
    """From when on the delay counts."""

    INJECTION = "injection"
    LAG = "lag"  # when the oldest unread record is older than what the playbook takes for too much


@dataclass(frozen=True)
class Fault:
    """One fault and the one incident expected for it.

    ``accept``: scenarios with their causes, each of which is a right answer; the cause is judged at the end of the
    story. ``within``: latest acceptable delay in seconds. ``until``: when it is undone. ``optional``: it may as well
    open nothing.
    """

    at: float
    until: float
    accept: Mapping[ScenarioId, frozenset[Cause]]
    within: float
    targets: frozenset[Component] = frozenset()  # empty: any
    paging: Paging = Paging.PAGE
    visible: Visible = Visible.INJECTION
    optional: bool = False


@dataclass(frozen=True)
class Story:
    """``script``: seconds after the begin and actions. ``resolved``: every incident is over at the end.

    ``merges``: how many incidents may end merged into another. ``records``: SEV-4 records beside the expected ones are
    no false alarm.
    """

    name: str
    sentence: str
    script: tuple[tuple[float, Action], ...]
    seconds: int
    faults: tuple[Fault, ...] = ()
    hour: float = 12.0
    seed: int = 1
    cold: bool = False
    quiet_minutes: bool = False
    resolved: bool = True
    merges: int = 0
    records: bool = True

    def variant(self, number: int) -> Story:
        """The same story with another noise and another place of its moments between two looks; 0: this one."""
        if number == 0:
            return self
        later = number * 0.35
        return replace(
            self,
            seed=self.seed + number,
            script=tuple((at + later, action) for at, action in self.script),
            faults=tuple(replace(fault, at=fault.at + later, until=fault.until + later) for fault in self.faults),
        )

    def __str__(self) -> str:
        return self.name


def fault(
    scenario: ScenarioId,
    *causes: Cause,
    within: float,
    at: float = CALM_BEFORE,
    lasts: float = UNDO,
    target: Component | None = None,
    also: Mapping[ScenarioId, tuple[Cause, ...]] | None = None,
    paging: Paging = Paging.PAGE,
    visible: Visible = Visible.INJECTION,
    optional: bool = False,
) -> Fault:
    """A fault at the usual moment; ``also``: other right answers."""
    accept = {scenario: frozenset(causes)} | {name: frozenset(found) for name, found in (also or {}).items()}
    targets = frozenset({target}) if target else frozenset()
    return Fault(at, at + lasts, accept, within, targets, paging, visible, optional)


def simple(
    name: str, sentence: str, action: Action, undo: Action | None, expected: Fault, *, after: float = CALM_AFTER
) -> Story:
    """One fault, its undoing, and a while after it."""
    script = [(expected.at, action)]
    if undo is not None:
        script.append((expected.until, undo))
    return Story(name, sentence, tuple(script), int(expected.until + after), (expected,))
