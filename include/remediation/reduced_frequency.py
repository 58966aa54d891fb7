"""Reduced frequency of btc_producer, begun and ended: announced beside the data first, then in force, then put back.

Every step may be repeated after a crash. What was left out is a gap in the counted ids, which the repair fills.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from include.health.observations import ProducerFacts
from include.health.probes.base import one_line
from include.producer.sampling import BLOCK
from include.producer.tracks import SymbolState
from include.remediation.errors import RungError
from include.remediation.exchange_limit import ExchangeLimit
from include.remediation.model import RunRequest, Work
from include.remediation.producer_feed import ProducerLooks, restart_producer
from include.remediation.tools import Tools
from include.remediation.waiting import until
from include.runtime.temporary_settings import TemporarySetting
from include.services.errors import ServicesError
from include.services.names import PRODUCER

SAMPLING = "producer_sampling"  # the setting
_LEVEL_SECONDS = 5.0  # for trades that are being fetched
_MARGIN = timedelta(seconds=5)  # clocks differ a little: rather too long a time is called sampled than too short a one


def begin_reduced_frequency(tools: Tools, request: RunRequest, one_in: int = 4) -> Work:
    """Publish one of ``one_in`` blocks of trades from now on. Raises :class:`RungError`; nothing is left out then
    without having been announced.
    """
    number = _announce(tools, request, one_in, _oldest_left_out(tools, request))
    tools.temporary.put(
        TemporarySetting(
            name=SAMPLING,
            value=str(one_in),
            before=str(tools.settings.producer_sampling),
            incident_id=request.incident_id,
            by=request.requested_by,
            because="records arrive faster than they are counted",
            since=tools.now().isoformat(timespec="seconds"),
        )
    )
    facts = restart_producer(tools)
    text = f"btc_producer publishes one of {one_in} blocks of {BLOCK} trades; readers are told (notice {number})."
    return Work(text, {**facts, SAMPLING: one_in, "notice": number})


def end_reduced_frequency(tools: Tools, request: RunRequest) -> Work | None:
    """Publish every trade again, if this incident reduced the frequency; ``None`` if there is nothing (more) to do.

    Raises :class:`RungError`, also while the exchange wants to be left alone: a restart would ask it.
    """
    put, facts = tools.temporary.get(SAMPLING), dict[str, Any]()
    ours = put is not None and put.incident_id == request.incident_id
    if put is not None and not ours:
        return None
    if ours or _still_sampling(tools, request):
        if (forbidden := ExchangeLimit(tools, request).known(ProducerLooks(tools, request).facts())) is not None:
            raise RungError(f"Every trade cannot be published again yet: {forbidden.text}")
        tools.temporary.remove(SAMPLING)
        facts = _restart_if_alive(tools)
    notices = _end_notices(tools, request)
    if not facts and not notices:
        return None
    text = "btc_producer publishes every trade again; what was left out is to be repaired."
    return Work(text, {**facts, "notices": notices})


def _oldest_left_out(tools: Tools, request: RunRequest) -> datetime:
    """No trade that will be left out is older: what is not published yet is left out in part, too."""

    def level(facts: ProducerFacts | None) -> bool:
        return facts is not None and all(own.state == SymbolState.LIVE for own in facts.symbols.values())

    facts = until(tools.clock, _LEVEL_SECONDS, ProducerLooks(tools, request).facts, level)
    if facts is None or not level(facts):
        raise RungError("Earlier trades are still being fetched, and would be left out without having been announced.")
    return tools.now() - _MARGIN - timedelta(seconds=facts.oldest_unacknowledged_seconds)


def _announce(tools: Tools, request: RunRequest, one_in: int, start: datetime) -> int:
    from include.repair import notices

    settings, detail = tools.settings, f"1/{one_in} of the trades, in blocks of {BLOCK} trade ids"
    kind = notices.NoticeKind.SAMPLED
    try:
        return notices.announce(settings, kind, settings.symbols, start, detail, incident_id=request.incident_id)
    except SQLAlchemyError as error:
        raise RungError(f"Readers cannot be told, so nothing is left out: {one_line(error)}") from error


def _end_notices(tools: Tools, request: RunRequest) -> list[int]:
    from include.repair import notices

    try:
        found = [n for n in notices.open_notices(tools.settings, request.incident_id) if n.until is None]
        sampled = [n.id for n in found if n.kind is notices.NoticeKind.SAMPLED]
        return [n for n in sampled if notices.end(tools.settings, n, tools.now() + _MARGIN)]
    except SQLAlchemyError as error:
        raise RungError(f"The notice beside the data could not be ended: {one_line(error)}") from error


def _still_sampling(tools: Tools, request: RunRequest) -> bool:
    """The setting is gone, and the process that runs was started with it."""
    facts = ProducerLooks(tools, request).facts()
    return facts is not None and facts.sampling > tools.settings.producer_sampling


def _restart_if_alive(tools: Tools) -> dict[str, Any]:
    """A producer that was stopped deliberately stays stopped; it starts with every trade."""
    try:
        if tools.controller.status(PRODUCER).pid is None:
            return {"stopped": "already_stopped"}
    except ServicesError as error:
        raise RungError(f"The process host does not tell about btc_producer: {error}") from error
    return restart_producer(tools)
