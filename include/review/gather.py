"""Where the material of a review comes from. Only the incident store must answer; any other source may be missing."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from sqlalchemy.exc import SQLAlchemyError

from include.guardrails.model import Action
from include.incidents.decisions import Reason
from include.incidents.errors import IncidentStoreError
from include.incidents.model import Incident
from include.incidents.store import IncidentStore
from include.playbook.playbook import Playbook, get_playbook
from include.review.errors import ReviewError
from include.review.evidence import Manifest
from include.review.freshness import freshness
from include.review.material import Material, Missing, RowFigures
from include.settings import Settings
from include.warehouse.error_numbers import classify, error_number
from include.warehouse.reader import WarehouseReader

T = TypeVar("T")
_WAREHOUSE_SECONDS = 2.0  # a review must not wait for a database that hangs
_MOST_ACTIONS = _MOST_DECISIONS = 1000


@dataclass(frozen=True, slots=True)
class Sources:
    """What is asked besides the incident store, each by incident; every one may raise."""

    actions: Callable[[str], tuple[Action, ...]]
    collections: Callable[[str], tuple[Manifest, ...]]
    rows: Callable[[Incident, datetime, timedelta], RowFigures]


def sources_from_settings(settings: Settings) -> Sources:
    """The guardrails' actions, the evidence on disk, and the warehouse."""
    return Sources(
        actions=lambda incident_id: _actions(settings, incident_id),
        collections=lambda incident_id: _collections(settings, incident_id),
        rows=lambda incident, now, target: row_figures(settings, incident, now, target),
    )


def gather(
    store: IncidentStore, sources: Sources, incident_id: str, now: datetime, playbook: Playbook | None = None
) -> Material:
    """Read everything. Raises what the incident store raises; a source that is missing is told as missing."""
    playbook = playbook or get_playbook()
    incident = store.incident(incident_id)
    target = playbook.severity.harm.stale[0].above_seconds
    return Material(
        incident=incident,
        scenario=playbook.scenarios[incident.scenario],
        timeline=store.timeline(incident_id),
        symptoms=store.symptoms(incident_id),
        hand_overs=store.hand_overs(incident_id, earlier=True),
        findings=store.verify(incident_id),
        harm=_harm(store, incident_id),
        actions=_asked(lambda: sources.actions(incident_id)),
        collections=_asked(lambda: sources.collections(incident_id)),
        rows=_asked(lambda: sources.rows(incident, now, timedelta(seconds=target))),
        target_seconds=target,
        now=now,
    )


def row_figures(settings: Settings, incident: Incident, now: datetime, target: timedelta) -> RowFigures:
    """From the ledger of the micro-batches, between the incident's first sign and its end. Raises
    :class:`sqlalchemy.exc.DBAPIError`.
    """
    start, end = incident.onset_at, incident.resolved_at or now
    quick = settings.model_copy(
        update={"mysql_timeout_seconds": min(_WAREHOUSE_SECONDS, settings.mysql_timeout_seconds)}
    )
    with closing(WarehouseReader(quick)) as reader:
        batches = reader.batches(start, end)
        newest = reader.newest_update()
    within = [batch for batch in batches if batch.committed_at > start]
    return RowFigures(
        freshness=freshness(batches, start, end, target),
        batches=len(within),
        after_watermark=sum(batch.late_rows for batch in within),
        windows_corrected=sum(batch.late_corrections for batch in within),
        newest_update=newest,
    )


def _harm(store: IncidentStore, incident_id: str) -> tuple[str, ...]:
    decided = store.decisions(incident_id=incident_id, limit=_MOST_DECISIONS)
    return tuple(str(each.data.get("text", "")) for each in decided if each.reason == Reason.HARM)


def _asked(ask: Callable[[], T]) -> T | Missing:
    try:
        return ask()
    except SQLAlchemyError as error:
        number = error_number(error)
        known = f" ({number})" if number is not None else ""
        return Missing(f"the database did not answer: {classify(error).value.replace('_', ' ')}{known}")
    except (IncidentStoreError, ReviewError, OSError, ValueError) as error:  # its text may name places of this machine
        return Missing(f"it could not be read ({type(error).__name__})")


def _actions(settings: Settings, incident_id: str) -> tuple[Action, ...]:
    from include.guardrails.factory import guardrails_from_settings

    with closing(guardrails_from_settings(settings)) as guardrails:
        return tuple(reversed(guardrails.actions(incident_id=incident_id, limit=_MOST_ACTIONS)))


def _collections(settings: Settings, incident_id: str) -> tuple[Manifest, ...]:
    from include.review.evidence_store import manifests

    return manifests(settings, incident_id)
