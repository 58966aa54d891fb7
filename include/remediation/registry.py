"""Every rung, by its id."""

from __future__ import annotations

import importlib
from collections.abc import Callable

from include.playbook.ladder import RungId
from include.remediation.model import RungWork, RunRequest
from include.remediation.rungs_kafka_clients import PRODUCER, after_kafka
from include.remediation.tools import Tools

RungMaker = Callable[[Tools, RunRequest], RungWork]

_TABLES = (
    ("rungs_kafka", "KAFKA_RUNGS"),
    ("rungs_mysql", "MYSQL_RUNGS"),
    ("rungs_producer", "PRODUCER_RUNGS"),
    ("rungs_exchange", "EXCHANGE_RUNGS"),
    ("rungs_processor", "PROCESSOR_RUNGS"),
    ("rungs_lag", "LAG_RUNGS"),
)
_CLIENTS = {RungId.RESTART_PRODUCER: PRODUCER}


def _all() -> dict[RungId, RungMaker]:
    rungs: dict[RungId, RungMaker] = {}
    for module, table in _TABLES:
        try:
            found = importlib.import_module(f"include.remediation.{module}")
        except ModuleNotFoundError:
            continue
        rungs |= getattr(found, table, {})
    return rungs | {rung: after_kafka(rungs[rung], client) for rung, client in _CLIENTS.items() if rung in rungs}


RUNGS: dict[RungId, RungMaker] = _all()
