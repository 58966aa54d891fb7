"""The form of the repair Dag, and what its tasks do."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow.sdk import Param

if TYPE_CHECKING:
    from include.repair.model import Span
    from include.settings import Settings

log = logging.getLogger(__name__)

REPAIR_PARAMS = {
    "start": Param(
        type="string",
        format="date-time",
        title="From",
        description="First moment of event time, UTC if it names no zone.",
    ),
    "end": Param(
        type="string", format="date-time", title="To", description="First moment that is not repaired any more."
    ),
    "symbols": Param(
        "",
        type=["string", "null"],
        title="Symbols",
        pattern=r"^$|^[A-Z0-9]{2,20}(,[A-Z0-9]{2,20})*$",
        description="Comma-separated, for example BTCUSDT,ETHUSDT. Empty: all.",
    ),
    "check_only": Param(
        False, type="boolean", title="Check only", description="Compare with the exchange's ledger; change nothing."
    ),
    "incident_id": Param(
        "",
        type=["string", "null"],
        title="Incident",
        pattern=r"^$|^INC-\d{4}-\d{4,}$",
        description="Puts the result into this incident's timeline, for example INC-2026-0007.",
    ),
}


def span_of_form(params: Mapping[str, Any]) -> Span:
    """The span of the form. Raises ``RepairError`` when it cannot be meant so."""
    from include.repair.span import moment_of, span_of
    from include.settings import get_settings

    symbols = filter(None, (params["symbols"] or "").split(","))
    return span_of(moment_of(params["start"]), moment_of(params["end"]), symbols, get_settings())


def find(params: Mapping[str, Any]) -> dict[str, Any]:
    """What is missing and what is wrong."""
    import msgspec

    from include.repair.repair import Repair
    from include.settings import get_settings

    gaps, comparison = Repair(get_settings()).find(span_of_form(params))
    for gap in gaps:
        log.warning("%s: trades %d to %d are missing (%d)", gap.symbol, gap.first, gap.last, gap.trades)
    log.info("%s", comparison)
    return {"gaps": msgspec.to_builtins(gaps), "comparison": msgspec.to_builtins(comparison)}


def run(params: Mapping[str, Any], by: str) -> dict[str, Any]:
    """The repair of the form. Raises ``RepairError`` if the tables are not what they would have been."""
    from airflow.sdk.exceptions import AirflowSkipException

    from include.settings import get_settings

    if params["check_only"]:
        raise AirflowSkipException("Check only: nothing is changed.")
    return repair_span(span_of_form(params), get_settings(), by, params["incident_id"] or None)


def repair_span(span: Span, settings: Settings, by: str, incident_id: str | None) -> dict[str, Any]:
    """Repair it; the report. Raises ``RepairError`` if the tables are not what they would have been."""
    import msgspec

    from include.repair.errors import RepairError
    from include.repair.repair import Repair
    from include.repair.words import report_text

    report = Repair(settings).run(span, by=by, incident_id=incident_id, progress=log.info)
    if not report.whole:
        raise RepairError(f"The tables are not what they would have been without the fault. {report_text(report)}")
    return dict(msgspec.to_builtins(report))
