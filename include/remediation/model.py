"""Words of the remediation: a run and its wishes, what a rung needs, does and proves, and how it ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from include.playbook.ladder import RungId
from include.playbook.names import Cause, ScenarioId

HEALTH = "health"  # who asks, when no person does


@dataclass(frozen=True, slots=True)
class RunRequest:
    """One run of a remediation Dag. ``incident_id`` is empty only for a dry run while no incident is open.

    ``rungs``: the ones a person chose; empty means the whole ladder, each if needed. ``ask``: ask a person before
    risky rungs (destructive ones always ask). ``overrides``: see :class:`include.guardrails.model.ActionRequest`.
    """

    incident_id: str
    scenario: ScenarioId
    cause: Cause  # as diagnosed when the run began
    requested_by: str  # HEALTH or a login
    run: str
    reason: str = ""
    rungs: tuple[RungId, ...] = ()
    dry_run: bool = False
    ask: bool = True
    overrides: bool = False

    @property
    def by_person(self) -> bool:
        """Whether a person triggered it."""
        return self.requested_by != HEALTH

    def names(self, rung: RungId) -> bool:
        """Whether a person asked for this very rung."""
        return self.by_person and rung in self.rungs


class Need(StrEnum):
    """What the look at a rung's precondition says."""

    NEEDED = "needed"
    NOT_NEEDED = "not_needed"
    FORBIDDEN = "forbidden"  # it would do harm now (the exchange bans us; MySQL's rights are wrong)
    BY_PEOPLE = "by_people"  # the cause is one that no machine may touch
    UNKNOWN = "unknown"  # the observer cannot see: nothing is done


@dataclass(frozen=True, slots=True)
class Finding:
    """``text``: a sentence for people, with figures. ``facts``: JSON values, no secrets."""

    need: Need
    text: str
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Work:
    """What was done."""

    text: str
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Proof:
    """One look at whether it has helped. ``final``: it has not, and no later look can tell otherwise."""

    good: bool
    text: str
    facts: dict[str, Any] = field(default_factory=dict)
    final: bool = False


class RungWork(Protocol):
    """One rung, ready to run. All calls block; each real operation has a deadline of its own."""

    def need(self) -> Finding:
        """The precondition: real looks, changes nothing."""
        ...

    def services(self) -> tuple[str, ...]:
        """Processes that :meth:`do` starts or stops; leased meanwhile."""
        ...

    def do(self) -> Work:
        """The change; doing it again after a crash at any line is safe. Raises :class:`RungError`."""
        ...

    def proof(self) -> Proof:
        """One look; the runner repeats it until it is good or the rung's ``verify_seconds`` are over."""
        ...

    def roll_back(self) -> Work | None:
        """Undo what did not help; ``None`` where there is nothing to undo. Raises :class:`RungError`."""
        ...


class RungOutcome(StrEnum):
    """How a rung ended."""

    DONE = "done"  # and verified
    NOT_NEEDED = "not_needed"
    NOT_CHOSEN = "not_chosen"  # the person wanted other rungs only
    WOULD_DO = "would_do"  # dry run
    REFUSED = "refused"  # by a guardrail
    NOT_APPROVED = "not_approved"
    FORBIDDEN = "forbidden"
    BY_PEOPLE = "by_people"
    UNKNOWN = "unknown"
    FAILED = "failed"
    ROLLED_BACK = "rolled_back"


@dataclass(frozen=True, slots=True)
class Approval:
    """A person's answer to a risky rung. ``by`` is empty when nobody answered in time, which is a no."""

    approved: bool
    by: str
    at: datetime | None = None
    comment: str = ""


@dataclass(frozen=True, slots=True)
class RungReport:
    """How a rung ended, for the task's result, the timeline and the review. ``seconds``: of work and proof."""

    rung: RungId
    outcome: RungOutcome
    text: str
    seconds: float = 0.0
    facts: dict[str, Any] = field(default_factory=dict)
    action_id: int | None = None
