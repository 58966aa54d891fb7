"""Words of the guardrails (design §5): requests, permits and refusals, actions on record, switches, leases."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from include.playbook.ladder import RungId
from include.playbook.names import Component, ScenarioId


class Refusal(StrEnum):
    """Why an action may not begin."""

    KILL_SWITCH = "kill_switch"  # all automation is off
    PAUSED = "paused"  # this scenario's automation is off
    TARGET_BUSY = "target_busy"  # another action works on the target
    SERVICE_LEASED = "service_leased"  # supervision, or another action, is starting or stopping the process
    COOLDOWN = "cooldown"
    BUDGET = "budget"
    BREAKER_OPEN = "breaker_open"  # it failed too often in a row
    STORM = "storm"  # several roots are unhealthy at once: people must look
    INCIDENT_OVER = "incident_over"  # the incident is not open any more


class ActionState(StrEnum):
    """What became of an action."""

    RUNNING = "running"
    SUCCEEDED = "succeeded"  # done and verified
    FAILED = "failed"  # done, and the proof did not come; or it could not be done
    ROLLED_BACK = "rolled_back"  # failed, and undone
    ABANDONED = "abandoned"  # its process died; settled later


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one rung on one target. ``breaker_failures`` failures in a row (successes in between reset the count) open
    the breaker for ``breaker_seconds``; then one try is let through.
    """

    cooldown_seconds: float
    hourly_budget: int
    breaker_failures: int = 3
    breaker_seconds: float = 1800.0


@dataclass(frozen=True, slots=True)
class ActionRequest:
    """An action that wants to begin.

    ``requested_by``: ``health`` or a person's login; ``run``: id of the remediation run. ``holder`` names the process
    that does it (:func:`include.guardrails.holders.this_process`), so that a dead one is recognised. ``services``:
    processes that are started or stopped, each leased for ``lease_seconds``. ``overrides``: a person takes cooldown,
    budget, breaker and storm gate on themselves; never switches and locks. ``after_recovery``: it puts things back,
    so it may also begin when the incident is over. ``named``: a person asked for this very rung, so it may also begin
    when the incident was found to be over meanwhile (while a second person was being asked, say).
    """

    incident_id: str
    scenario: ScenarioId
    rung: RungId
    target: Component
    requested_by: str
    run: str
    holder: str
    limits: Limits
    lease_seconds: float
    services: tuple[str, ...] = ()
    overrides: bool = False
    after_recovery: bool = False
    named: bool = False


@dataclass(frozen=True, slots=True)
class Action:
    """An action on record."""

    id: int
    incident_id: str
    scenario: ScenarioId
    rung: RungId
    target: Component
    requested_by: str
    run: str
    holder: str
    state: ActionState
    started_at: datetime
    expires_at: datetime  # a running one that is older is dead
    ended_at: datetime | None = None
    text: str = ""
    services: tuple[str, ...] = ()
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refused:
    """``until``: when it may be tried again, if that is known. ``text`` says it to a person, with the figures that
    ``data`` has as JSON values.
    """

    refusal: Refusal
    text: str
    until: datetime | None = None
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Switch:
    """Automation is off for ``scope``: a scenario, or ``all`` (the kill switch)."""

    scope: str
    reason: str
    by: str
    since: datetime
    until: datetime | None = None  # it ends by itself


@dataclass(frozen=True, slots=True)
class SwitchChange:
    """A line of the switches' history, which is never changed. ``off``: automation was switched off."""

    at: datetime
    scope: str
    off: bool
    by: str
    reason: str = ""
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Lease:
    """One process of the pipeline is in the hands of ``holder`` (one lease a service) until ``expires_at``.
    ``action_id``: the running action that it belongs to.
    """

    service: str
    holder: str
    purpose: str
    taken_at: datetime
    expires_at: datetime
    action_id: int | None = None


ALL = "all"  # scope of the kill switch
