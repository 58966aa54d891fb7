"""From exchange to table: whatever is killed on the way, the averages are those of a run without the fault."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager
from decimal import Decimal

import pytest
import requests

from include.services.names import KAFKA, MYSQL, PROCESSOR, PRODUCER
from include.warehouse.reader import WarehouseReader
from tests.support.averages import read_averages
from tests.support.pipeline import Pipeline
from tests.support.reference import ReferenceTrade, reference_averages
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]


def control(pipeline: Pipeline, path: str) -> str:
    return f"http://127.0.0.1:{pipeline.settings.exchange_control_port}/control/{path}"


def newest_at_exchange(pipeline: Pipeline) -> dict[str, int]:
    answers = {
        s: requests.get(control(pipeline, f"ledger?symbol={s}&from=0&to=0"), timeout=5)
        for s in pipeline.settings.symbols
    }
    return {symbol: answer.json()["next_id"] - 1 for symbol, answer in answers.items()}


def ledger(pipeline: Pipeline, symbol: str) -> list[ReferenceTrade]:
    """Every trade there was, from the exchange's own book."""
    trades: list[ReferenceTrade] = []
    first, next_id = 0, 1
    while first < next_id:
        url = control(pipeline, "ledger")
        page = requests.get(url, params={"symbol": symbol, "from": str(first)}, timeout=30).json()
        for row in page["trades"]:
            values = Decimal(row["price"]), Decimal(row["qty"]), row["time"]
            trades.append(ReferenceTrade(symbol, row["id"], *values))
        first, next_id = trades[-1].id + 1, page["next_id"]
    return trades


def counted(reader: WarehouseReader) -> dict[str, int]:
    return {row.symbol: row.newest_trade_id for row in reader.progress()}


@contextmanager
def quiet_market(pipeline: Pipeline) -> Iterator[None]:
    """No new trades, so that exchange and table can be compared at rest."""
    requests.post(control(pipeline, "faults"), json={"quiet": True}, timeout=5).raise_for_status()
    try:
        yield
    finally:
        requests.delete(control(pipeline, "faults?name=quiet"), timeout=5).raise_for_status()


def kill(pipeline: Pipeline, name: str) -> None:
    pid = pipeline.pid(name)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    if name in (KAFKA, MYSQL):  # nobody brings these back by itself: here a person does
        wait_for(lambda: pipeline.pid(name) is None, 5, f"{name} is gone")
        pipeline.controller.start(name, 30)


def test_every_process_is_killed_once_and_the_averages_equal_the_exchanges_ledger(pipeline: Pipeline) -> None:
    with closing(WarehouseReader(pipeline.settings)) as reader:
        for name in (PRODUCER, PROCESSOR, MYSQL, KAFKA):
            kill(pipeline, name)
            target = newest_at_exchange(pipeline)
            wait_for(
                lambda target=target: all(counted(reader).get(s, 0) > newest for s, newest in target.items()),
                90,
                f"trades made after the death of {name} are counted",
            )
        with quiet_market(pipeline):
            wait_for(lambda: counted(reader) == newest_at_exchange(pipeline), 30, "all trades are counted")
            trades = [trade for symbol in pipeline.settings.symbols for trade in ledger(pipeline, symbol)]
            assert read_averages(pipeline.settings) == reference_averages(trades, pipeline.settings.windows)
