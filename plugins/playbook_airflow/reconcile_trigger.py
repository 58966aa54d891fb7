"""Compares, from the triggerer, the incident store with the runs that live; fires when there is something to do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

if TYPE_CHECKING:
    from include.guardrails.guardrails import Guardrails
    from include.guardrails.model import Action
    from include.incidents.store import IncidentStore
    from include.remediation.reconcile import Case, RunState, Work
    from include.review.reviews import Reviews
    from include.settings import Settings
    from playbook_airflow.airflow_api import AirflowApi

CYCLE_SECONDS = 5.0
_FAULT_PAUSE_SECONDS = 10.0


class ReconcileTrigger(BaseTrigger):
    """One event: ``{"work": [...], "message": …}``, when there is work, or at ``until`` (seconds since the epoch)."""

    def __init__(self, *, until: float) -> None:
        super().__init__()
        self.until = until

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """See ``BaseTrigger``."""
        return "playbook_airflow.reconcile_trigger.ReconcileTrigger", {"until": self.until}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look each cycle."""
        import msgspec

        from include.settings import get_settings
        from playbook_airflow.airflow_api import AirflowApi

        settings = get_settings()
        books, api = await asyncio.to_thread(Books.of, settings), AirflowApi.from_settings(settings)
        try:
            while time.time() < self.until:
                work = await look(books, api)
                if work:
                    said = " ".join(each.because for each in work)
                    yield TriggerEvent({"work": msgspec.to_builtins(work), "message": said})
                    return
                await asyncio.sleep(CYCLE_SECONDS)
            yield TriggerEvent({"work": [], "message": "Nothing was left undone."})
        except Exception as error:  # whatever it is: the person must see it, and the next run must not hammer
            self.log.exception("Reconciling failed")
            await asyncio.sleep(_FAULT_PAUSE_SECONDS)
            yield TriggerEvent({"work": [], "message": f"{type(error).__name__}: {error}"})
        finally:
            await api.close()
            await asyncio.to_thread(books.close)


@dataclass(frozen=True, slots=True)
class Books:
    """What is read in each cycle; connected once."""

    store: IncidentStore
    guardrails: Guardrails
    reviews: Reviews

    @classmethod
    def of(cls, settings: Settings) -> Books:
        """Those that the settings name; nothing is connected before it is used."""
        from include.guardrails.factory import guardrails_from_settings
        from include.incidents.factory import store_from_settings
        from include.review.reviews import Reviews

        return cls(store_from_settings(settings), guardrails_from_settings(settings), Reviews(settings))

    def close(self) -> None:
        """Give back all connections."""
        for each in (self.store, self.guardrails, self.reviews):
            each.close()


async def look(books: Books, api: AirflowApi) -> tuple[Work, ...]:
    """One comparison."""
    from include.remediation.reconcile import RunState, work_for

    cases, actions = await asyncio.to_thread(read, books)
    known: dict[tuple[str, str], RunState] = {}
    wanted: set[tuple[str, str]] = set()

    def state(dag_id: str, run_id: str) -> RunState:
        wanted.add((dag_id, run_id))
        return known.get((dag_id, run_id), RunState.UNKNOWN)

    while True:  # which runs matter shows itself while deciding: ask for those, and decide anew
        work = work_for(datetime.now(UTC), cases, actions, state)
        asked = wanted - known.keys()
        if not asked:
            return work
        for dag_id, run_id in asked:
            known[dag_id, run_id] = await api.run_state(dag_id, run_id)


def read(books: Books) -> tuple[list[Case], tuple[Action, ...]]:
    """Incidents that are open, or over and their review not finished, and the newest actions; blocks."""
    from include.remediation.reconcile import Case

    store, reviews = books.store, books.reviews
    cases = [
        Case(each, store.hand_overs(each.id), store.timeline(each.id), awaits_review=not each.open)
        for each in (*store.open_incidents(), *reviews.waiting(), *reviews.unanswered())
    ]
    for review in reviews.approved():
        incident = store.incident(review.incident_id)
        cases.append(Case(incident, (), store.timeline(incident.id), approved=review.id))
    return cases, books.guardrails.actions(limit=50)
