"""The trigger that watches one scenario for a bounded time from the triggerer: no worker slot, a look each second."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

if TYPE_CHECKING:
    from include.incidents.watch import Situation, Watch
    from include.runtime.clock import Clock

REPORT_SECONDS = 60.0  # between two lines in the log while nothing changes
DECIDE_SECONDS = 60.0  # a window that ends in the middle of a suspicion goes on so much longer
_FAULT_PAUSE_SECONDS = 10.0  # a watch that cannot even begin must not end a run every three seconds


class WatchOutcome(StrEnum):
    """How a window of watching ended; each is a branch of the Dag."""

    HEALTHY = "healthy"
    INCIDENT = "incident"  # there is an open one that this scenario's trouble belongs to
    UNDECIDED = "undecided"  # the observer cannot see, or a suspicion that was neither confirmed nor lifted


class HealthTrigger(BaseTrigger):
    """Follows the watch of this process until an incident waits to be handed over, or until ``until`` (seconds since
    the epoch, so that a window stays bounded when another triggerer takes over).

    Fires one event, :func:`event_of`. All scenarios share one watch, so probes run once however many Dags there are.
    """

    def __init__(self, *, scenario: str, until: float) -> None:
        super().__init__()
        self.scenario, self.until = scenario, until

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """See ``BaseTrigger``."""
        return "playbook_airflow.health_trigger.HealthTrigger", {"scenario": self.scenario, "until": self.until}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Watch; the only event tells how it ended."""
        try:
            watch, clock = await asyncio.to_thread(self._parts)
            yield TriggerEvent(await self._follow(watch, clock))
        except Exception as error:  # whatever it is: the person must see it, and the next run must not hammer
            self.log.exception("The watch of %s failed", self.scenario)
            await asyncio.sleep(_FAULT_PAUSE_SECONDS)
            yield TriggerEvent({"outcome": WatchOutcome.UNDECIDED.value, "message": f"{type(error).__name__}: {error}"})

    def _parts(self) -> tuple[Watch, Clock]:
        from include.incidents.watch import Watch
        from include.runtime.clock import SystemClock
        from include.services.errors import ServicesError
        from include.services.factory import check_rights
        from include.settings import get_settings

        try:
            check_rights(get_settings())
        except ServicesError as error:  # the watch goes on: whatever is not about processes it sees all the same
            self.log.error("The services cannot be controlled, so no remedy can restart them: %s", error)
        return Watch.shared(get_settings()), SystemClock()

    async def _follow(self, watch: Watch, clock: Clock) -> dict[str, Any]:
        from include.playbook.names import ScenarioId

        said, before = 0.0, ""
        situations = watch.follow(ScenarioId(self.scenario))
        try:
            async for situation in situations:
                now = clock.time_ms() / 1000
                if outcome := ended(situation, now - self.until):
                    return event_of(outcome, situation)
                state = f"{situation.verdict.state} {situation.verdict.cause}"
                if state != before or now - said >= REPORT_SECONDS:
                    said, before = now, state
                    self.log.info("%s", status_line(situation))
        finally:
            await situations.aclose()
        raise RuntimeError("the watch ended by itself")


def ended(situation: Situation, overtime: float) -> WatchOutcome | None:
    """How the window ends with this situation, ``overtime`` seconds after its time (negative: before it).

    ``None``: not yet. An incident that waits to be handed over ends it at once.
    """
    from include.health.verdicts import State

    if situation.needs_hand_over and situation.verdict.state.bad:  # nothing is done on what is only unknown
        return WatchOutcome.INCIDENT
    if overtime < 0:
        return None
    if situation.verdict.state is State.HEALTHY and situation.incident is None:
        return WatchOutcome.HEALTHY
    if situation.verdict.state.bad and situation.incident is not None:
        return WatchOutcome.INCIDENT
    if overtime < DECIDE_SECONDS:
        return None
    return WatchOutcome.INCIDENT if situation.incident else WatchOutcome.UNDECIDED


def status_line(situation: Situation) -> str:
    """One line for the log: state, reason, figures."""
    verdict = situation.verdict
    figures = ", ".join(f"{name} {value}" for name, value in verdict.figures.items() if value is not None)
    about = f" [{situation.incident.id} {situation.incident.severity.label}]" if situation.incident else ""
    return f"{verdict.state}{about}: {verdict.reason}" + (f" ({figures})" if figures else "")


def event_of(outcome: WatchOutcome, situation: Situation) -> dict[str, Any]:
    """The event's payload, JSON values only: ``outcome``, ``message``, ``verdict`` (as in
    :class:`include.health.verdicts.Verdict`), ``incident_id`` and ``needs_hand_over``.
    """
    import msgspec

    return {
        "outcome": outcome.value,
        "message": status_line(situation),
        "verdict": msgspec.to_builtins(situation.verdict),
        "incident_id": situation.incident.id if situation.incident else None,
        "needs_hand_over": situation.needs_hand_over,
    }
