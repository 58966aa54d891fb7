"""What correlation can decide, each with its reason, a sentence for people, and the evidence behind it.

A decision says what is to be done and changes nothing by itself: :class:`include.incidents.keeper.IncidentKeeper` does.
Moments are seconds since the epoch. ``version`` is that of the incident which the decision was made about.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from include.health.verdicts import Evidence
from include.playbook.names import Cause, Component, ScenarioId, Severity, Symptom


class Reason(StrEnum):
    """Why something was decided."""

    # --- an incident of its own
    DIRECT = "direct"  # the target itself was probed and failed, and nothing above explains it
    NO_ROOT_FOUND = "no_root_found"  # inferred; its wait for a root is over
    SUSPICION_LIFTED = "suspicion_lifted"  # what could have been the root turned out to be healthy
    NOT_EXPLAINED = "not_explained"  # something above is broken, and is not responsible for this class of symptom
    ROOT_NOT_FOLLOWED = "root_not_followed"  # its root is broken, but no health Dag follows that
    RECORD = "record"  # a warning, or healed already: nobody is paged
    BLIND = "blind"  # the observer has not been able to see for too long
    # --- part of another incident
    EXPLAINED = "explained"  # an incident above is responsible for this class of symptom
    ROOT_FOUND_LATE = "root_found_late"  # it had an incident of its own for a moment
    COMMON_CAUSE = "common_cause"  # the host is short of disk or memory, and several parts suffer from it
    VIEW_TAKEN = "view_taken"  # it cannot be seen because of what is broken
    SAME_BLINDNESS = "same_blindness"  # the same probe serves several scenarios
    # --- waiting
    WAITING_FOR_ROOT = "waiting_for_root"  # inferred: a root may show itself within a few seconds
    ROOT_SUSPECTED = "root_suspected"  # something above is suspect and would explain it
    ROOT_WAITING = "root_waiting"  # what explains it waits for a root itself
    BLIND_SHORTLY = "blind_shortly"
    # --- nothing is opened
    NOT_FOLLOWED = "not_followed"  # no health Dag follows this scenario
    ON_REQUEST = "on_request"  # somebody stopped it deliberately
    ROOT_ON_REQUEST = "root_on_request"  # it suffers from what somebody stopped deliberately
    NO_FAULT = "no_fault"  # a quiet market
    HEALING = "healing"  # over before it was to be opened
    JUST_STARTED = "just_started"  # it was started before the watch began, or on request
    JUST_RESOLVED = "just_resolved"  # a record shortly after a real incident of the same target belongs to that one
    # --- while it is open
    WORSE = "worse"  # the verdict calls for a worse severity
    HARM = "harm"  # what users feel calls for a worse severity
    DIAGNOSED = "diagnosed"  # the cause is known more exactly
    # --- towards its end
    SYMPTOM_HEALTHY = "symptom_healthy"
    SYMPTOM_NOT_CONFIRMED = "symptom_not_confirmed"  # its time is over, and it is no more than suspect
    SYMPTOM_UNSEEN = "symptom_unseen"  # its time is over, and it cannot be seen for a reason of its own
    ROOT_HEALTHY = "root_healthy"
    DRAINING = "draining"  # a backlog is worked off at a rate that gives its end
    CAME_BACK = "came_back"  # bad again while being verified
    OUTLIVED_ROOT = "outlived_root"  # the symptom is still there after its time
    ALL_CLEAR = "all_clear"
    RECORD_OVER = "record_over"
    SIGHT_BACK = "sight_back"


@dataclass(frozen=True, slots=True)
class Place:
    """The incident of a scenario and target. ``incident_id`` is ``None`` if it is opened by an earlier decision of the
    same step.
    """

    scenario: ScenarioId
    target: Component
    incident_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Decision:
    """What all have in common: which scenario it is about, and why."""

    kind: ClassVar[str] = ""

    at: float
    scenario: ScenarioId
    target: Component
    reason: Reason
    text: str
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Open(_Decision):
    """Open an incident. ``summary``: one sentence of fact."""

    kind: ClassVar[str] = "open"

    cause: Cause
    severity: Severity
    onset: float
    summary: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopt(_Decision):
    """Attach this scenario's trouble to an incident."""

    kind: ClassVar[str] = "adopt"

    into: Place
    symptom: Symptom
    onset: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Merge(_Decision):
    """End the incident ``incident_id`` of this scenario: another one is responsible for its ``symptom``."""

    kind: ClassVar[str] = "merge"

    incident_id: str
    into: Place
    symptom: Symptom
    onset: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RaiseSeverity(_Decision):
    """Make the incident worse."""

    kind: ClassVar[str] = "raise_severity"

    incident_id: str
    severity: Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class SetCause(_Decision):
    """Write the more exact diagnosis down."""

    kind: ClassVar[str] = "set_cause"

    incident_id: str
    cause: Cause


@dataclass(frozen=True, slots=True, kw_only=True)
class ClearSymptom(_Decision):
    """The attached scenario has recovered, or is no longer part of the incident."""

    kind: ClassVar[str] = "clear_symptom"

    incident_id: str


@dataclass(frozen=True, slots=True)
class Deadline:
    """When an attached symptom must be clear."""

    scenario: ScenarioId
    target: Component
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BeginVerifying(_Decision):
    """The cause is gone: watch its consequences, each with a deadline. Also gives deadlines during verification."""

    kind: ClassVar[str] = "begin_verifying"

    incident_id: str
    version: int
    deadlines: tuple[Deadline, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reopen(_Decision):
    """The fault is back while its incident was being verified."""

    kind: ClassVar[str] = "reopen"

    incident_id: str
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Residual(_Decision):
    """The root has healed and this symptom has outlived it: the incident goes on with the symptom's playbook."""

    kind: ClassVar[str] = "residual"

    incident_id: str
    version: int
    severity: Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolve(_Decision):
    """Root and symptoms are clear."""

    kind: ClassVar[str] = "resolve"

    incident_id: str
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold(_Decision):
    """Wait before opening, at most until ``until``. ``episode`` (the onset) tells one trouble from the next."""

    kind: ClassVar[str] = "hold"

    until: float
    episode: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Suppress(_Decision):
    """Open nothing. ``episode`` as in :class:`Hold`."""

    kind: ClassVar[str] = "suppress"

    episode: float


Waiting = Hold | Suppress
Move = BeginVerifying | Reopen | Residual | Resolve
Change = Open | Adopt | Merge | RaiseSeverity | SetCause | ClearSymptom | BeginVerifying | Reopen | Residual | Resolve
Decision = Change | Waiting
