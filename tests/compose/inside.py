"""Runs inside the stack, in a container of Airflow: answers what a test asks of exchange, tables and store.

Sent there as text, as the image holds no tests. Asks one line each, ``{"ask": name, …}``; answers one of JSON each.
"""

from __future__ import annotations

import json
import sys
from contextlib import closing
from typing import Any

import requests
from confluent_kafka import Consumer, TopicPartition

from include.incidents.factory import store_from_settings
from include.settings import Settings, load_settings
from include.warehouse.engine import driver_connection

_AVERAGES = (
    "SELECT symbol, window_minutes, TIMESTAMPDIFF(SECOND, '1970-01-01', window_start) * 1000, sma, vwap, trade_count,"
    " volume, first_trade_id, last_trade_id, last_price FROM moving_averages"
)
_COUNTED = "SELECT symbol, MAX(last_trade_id) FROM trade_coverage GROUP BY symbol"
_GROUP = "spark-group"


def averages(settings: Settings) -> list[list[Any]]:
    """All rows, with the bare driver."""
    return _rows(settings, _AVERAGES)


def counted(settings: Settings) -> dict[str, int]:
    """The newest trade of each symbol that is in the tables."""
    return dict(_rows(settings, _COUNTED))


def newest(settings: Settings) -> dict[str, int]:
    """The newest trade of each symbol that the exchange has."""
    return {symbol: _ledger(settings, symbol, 0, 0)["next_id"] - 1 for symbol in settings.symbols}


def ledger(settings: Settings) -> list[list[Any]]:
    """Every trade there was, from the exchange's own book."""
    trades: list[list[Any]] = []
    for symbol in settings.symbols:
        first, next_id = 0, 1
        while first < next_id:
            page = _ledger(settings, symbol, first)
            trades += [[symbol, row["id"], row["price"], row["qty"], row["time"]] for row in page["trades"]]
            first, next_id = trades[-1][1] + 1, page["next_id"]
    return trades


def quiet(settings: Settings, on: bool) -> None:
    """No new trades, or trades again."""
    url = f"{_control(settings)}/faults"
    answer = (
        requests.post(url, json={"quiet": True}, timeout=5) if on else requests.delete(f"{url}?name=quiet", timeout=5)
    )
    answer.raise_for_status()


def incidents(settings: Settings) -> list[dict[str, Any]]:
    """All incidents with their timelines, oldest first."""
    with closing(store_from_settings(settings)) as store:
        return [
            {
                "id": each.id,
                "scenario": each.scenario,
                "target": each.target,
                "cause": each.cause,
                "severity": int(each.severity),
                "state": each.state,
                "open": each.open,
                "reported_by": each.reported_by,
                "opened_at": each.opened_at.timestamp(),
                "timeline": [
                    {"kind": e.kind, "text": e.text, "at": e.recorded_at.timestamp(), "data": dict(e.data)}
                    for e in store.timeline(each.id)
                ],
            }
            for each in sorted(store.recent(200), key=lambda each: each.opened_at)
        ]


def offsets(settings: Settings) -> dict[str, int]:
    """The committed offsets of the stream processor's group, by partition."""
    consumer = Consumer({"bootstrap.servers": settings.bootstrap_servers, "group.id": _GROUP})
    try:
        asked = [TopicPartition(settings.trades_topic, each) for each in range(settings.topic_partitions)]
        return {str(each.partition): each.offset for each in consumer.committed(asked, timeout=10)}
    finally:
        consumer.close()


def _rows(settings: Settings, statement: str) -> list[Any]:
    with closing(driver_connection(settings)) as connection:
        cursor = connection.cursor()
        cursor.execute(statement)
        return list(cursor.fetchall())


def _control(settings: Settings) -> str:
    return f"http://{settings.exchange_host}:{settings.exchange_control_port}/control"


def _ledger(settings: Settings, symbol: str, first: int, last: int | None = None) -> Any:
    query = {"symbol": symbol, "from": str(first)} | ({} if last is None else {"to": str(last)})
    answer = requests.get(f"{_control(settings)}/ledger", params=query, timeout=30)
    answer.raise_for_status()
    return answer.json()


ASKS = {each.__name__: each for each in (averages, counted, newest, ledger, quiet, incidents, offsets)}


def main() -> None:
    """Answer until the input ends; what fails is an answer, too."""
    settings = load_settings()
    for line in sys.stdin:
        words = json.loads(line)
        try:
            answer = {"answer": ASKS[words.pop("ask")](settings, **words)}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        sys.stdout.write(json.dumps(answer, default=str) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
