"""A market, an incident about the real btc_producer, and what a remedy and the process itself say."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import Any

from include.health.probes.health_document import NoDocumentError, read_document
from include.incidents.model import NewIncident
from include.market.standin import StandInConfig, StandInExchange
from include.playbook.ladder import RungId
from include.playbook.names import Cause, Component, ScenarioId, Severity
from include.remediation.model import Approval, RungReport, RunRequest
from include.remediation.runner import Remediation
from include.remediation.tools import Tools
from include.settings import Settings
from tests.support.producer_process import log_of
from tests.support.producing import off_loop

SYMBOLS = ("BTCUSDT", "ETHUSDT")


def market(rate: float = 300) -> StandInExchange:
    return StandInExchange(StandInConfig(symbols=SYMBOLS, rate=rate))


def request(
    tools: Tools, cause: Cause = Cause.FEED_SILENT, scenario: ScenarioId = ScenarioId.PRODUCER_SILENT
) -> RunRequest:
    new = NewIncident(
        scenario,
        Component.PRODUCER,
        cause,
        Severity.SEV_2,
        "It is silent.",
        datetime.now(UTC),
        "watch",
        "seen",
    )
    incident, _ = tools.store.open(new)
    return RunRequest(incident.id, incident.scenario, cause, requested_by="health", run="run-1")


def document(settings: Settings) -> dict[str, Any]:
    try:
        return read_document(settings.producer_health_port, 2)
    except NoDocumentError:
        return {"status": "no answer"}


async def status_is(settings: Settings, word: str) -> dict[str, Any]:
    deadline = time.monotonic() + 20
    while (found := await off_loop(lambda: document(settings)))["status"] != word:
        assert time.monotonic() < deadline, f"not {word}: {found}\n{log_of(settings)}"
        await asyncio.sleep(0.05)
    return found


async def run(tools: Tools, wanted: RunRequest, rung: RungId, approval: Approval | None = None) -> RungReport:
    return await off_loop(lambda: Remediation(tools).run(wanted, rung, approval))
