"""Waits, from the triggerer, until the watch has resolved an incident: no worker slot, a look every half second."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

if TYPE_CHECKING:
    from include.incidents.model import Incident

LOOK_SECONDS = 0.5


class RecoveryTrigger(BaseTrigger):
    """Fires one event: ``{"recovered": bool, "state": …, "message": …}``, at ``until`` (seconds since the epoch) at the
    latest. What brings an incident to its end is the watch alone, never the remedy itself.
    """

    def __init__(self, *, incident_id: str, until: float) -> None:
        super().__init__()
        self.incident_id, self.until = incident_id, until

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """See ``BaseTrigger``."""
        arguments = {"incident_id": self.incident_id, "until": self.until}
        return "playbook_airflow.recovery_trigger.RecoveryTrigger", arguments

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look until it is over, or the time is."""
        from include.incidents.errors import StoreUnavailableError
        from include.incidents.factory import store_from_settings
        from include.settings import get_settings

        store = await asyncio.to_thread(store_from_settings, get_settings())
        said, seen = "", "nothing yet"
        try:
            while True:
                try:
                    incident = await asyncio.to_thread(store.incident, self.incident_id)
                    seen = incident.state.value
                    if not incident.open:
                        yield TriggerEvent(_event(incident))
                        return
                except StoreUnavailableError as error:  # it may come back within the time
                    seen = str(error)
                if seen != said:
                    said = seen
                    self.log.info("%s: %s", self.incident_id, seen)
                if time.time() >= self.until:
                    message = f"{self.incident_id} is not resolved: {seen}."
                    yield TriggerEvent({"recovered": False, "state": seen, "message": message})
                    return
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            await asyncio.to_thread(store.close)


def _event(incident: Incident) -> dict[str, Any]:
    since = incident.resolved_at or incident.updated_at
    seconds = (since - incident.onset_at).total_seconds()
    message = f"{incident.id} is {incident.state}, {seconds:.1f} s after the first bad sign."
    return {"recovered": True, "state": incident.state.value, "message": message, "seconds": round(seconds, 2)}
