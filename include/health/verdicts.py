"""What the rules conclude: one verdict per scenario, with its reason and its evidence."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from include.health.observations import Probe
from include.playbook.names import Cause, Component, ScenarioId, Severity, Symptom


class State(StrEnum):
    """Of a signal, and of a scenario."""

    HEALTHY = "healthy"
    SUSPECT = "suspect"  # first bad samples, or a warning: not confirmed
    UNHEALTHY = "unhealthy"  # confirmed
    RECOVERING = "recovering"  # good samples again, not yet enough of them
    UNKNOWN = "unknown"  # the observer cannot see: never a reason to act, never a reason to clear
    FLAPPING = "flapping"  # good and bad in turns: stays open until it has been good for long

    @property
    def bad(self) -> bool:
        """An incident of this verdict must not be closed."""
        return self is _UNHEALTHY or self is _RECOVERING or self is _FLAPPING


# looking a member up by name takes long, and whether a state is bad is asked all the time
_UNHEALTHY, _RECOVERING, _FLAPPING = State.UNHEALTHY, State.RECOVERING, State.FLAPPING


class Evidence(msgspec.Struct, frozen=True, gc=False):
    """One fact behind a verdict. ``at``: seconds since the epoch. ``text``: what was seen, no interpretation."""

    at: float
    probe: Probe
    code: str
    text: str


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one scenario at one moment.

    ``since`` is when the state began, ``onset`` when the first bad sample of the present trouble was seen (0: none).
    ``direct``: the target itself was probed and failed; otherwise it is inferred. ``severity`` is what the rules
    propose, ``None`` for the scenario's own; ``SEV_4`` marks a record (a warning, or healed already). ``figures`` are
    what a person reads on a healthy day.
    """

    scenario: ScenarioId
    target: Component
    state: State
    cause: Cause
    reason: str
    since: float
    onset: float = 0.0
    symptom: Symptom | None = None
    direct: bool = False
    severity: Severity | None = None
    evidence: tuple[Evidence, ...] = ()
    figures: dict[str, float | int | str | None] = {}


class Hop(StrEnum):
    """The hops of a trade, in order (design: position ledger)."""

    __hash__ = str.__hash__  # see include.health.observations.Probe

    EXCHANGE = "exchange"
    RECEIVED = "received"
    ACKNOWLEDGED = "acknowledged"
    LOG_END = "log_end"
    FINISHED = "finished"  # group offsets
    COUNTED = "counted"  # ids in MySQL
    ROWS = "rows"  # newest rows of moving_averages


class Stall(msgspec.Struct, frozen=True):
    """The first hop whose input advances while its output does not, and since when."""

    hop: Hop
    since: float
    reason: str


class Blindness(msgspec.Struct, frozen=True):
    """A probe that cannot see, and the scenarios that need it."""

    probe: Probe
    since: float
    reason: str
    scenarios: tuple[ScenarioId, ...]


class Harm(msgspec.Struct, frozen=True):
    """What users feel: age of the newest rows, symbols hit, and whether data may be lost (``loss_risk`` 0 … 1)."""

    stale_seconds: float | None = None
    symbols_hit: tuple[str, ...] = ()
    loss_risk: float = 0.0
    reason: str = ""


class Assessment(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is concluded at one moment."""

    at: float
    verdicts: dict[ScenarioId, Verdict]
    stall: Stall | None = None
    blind: tuple[Blindness, ...] = ()
    harm: Harm = Harm()
