"""Latency: from the time of a trade to its average being visible in the table, at a slow and at a fast market."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

import requests

from include.drills.benchmarks.report import Section
from include.drills.benchmarks.workbench import workbench
from include.services.names import EXCHANGE, PROCESSOR, PRODUCER
from include.settings import Settings
from include.stack import readiness
from include.warehouse.engine import driver_connection

RATES = (50, 5_000)
WARM_UP_SECONDS, MEASURE_SECONDS = 30.0, 60.0

_POLL_SECONDS = 0.005
_NEWEST = "SELECT symbol, MAX(last_trade_id) FROM trade_coverage GROUP BY symbol"


@dataclass(frozen=True)
class Sighting:
    """At ``seen_ms`` trades ``first`` to ``last`` of a symbol had become visible."""

    symbol: str
    first: int
    last: int
    seen_ms: float


def run() -> Section:
    """Run the pipeline at each rate and compare every trade's time with the moment its commit became visible."""
    rows, findings = [], []
    for rate in RATES:
        with workbench(generator_rate=rate, micro_batch_seconds=1.0) as bench:
            bench.start(EXCHANGE, PRODUCER, PROCESSOR)
            latencies = _measure(bench.settings)
        p50, p95, p99 = (statistics.quantiles(latencies, n=100)[q - 1] for q in (50, 95, 99))
        rows.append([f"{rate:,}", f"{len(latencies):,}", f"{p50:.2f} s", f"{p95:.2f} s", f"{p99:.2f} s"])
        findings.append(f"At {rate:,} trades/s: aim p50 ≤ 0.7 s, got {p50:.2f}; aim p95 ≤ 1.5 s, got {p95:.2f}.")
    return Section(
        "Latency: trade → average visible in moving_averages",
        f"Stand-in exchange, producer, Kafka, Spark (micro-batch 1 s) and MySQL on this machine; every trade of "
        f"{MEASURE_SECONDS:.0f} s after {WARM_UP_SECONDS:.0f} s of warm-up, visibility polled every 5 ms.",
        ["trades/s", "trades measured", "p50", "p95", "p99"],
        rows,
        findings,
    )


def _measure(settings: Settings) -> list[float]:
    with closing(driver_connection(settings, autocommit=True)) as connection:
        cursor = connection.cursor()

        def newest() -> dict[str, int]:
            cursor.execute(_NEWEST)
            return {str(symbol): int(last) for symbol, last in cursor.fetchall()}

        readiness.wait_until(newest, 120, lambda: "first rows")
        _watch(newest, WARM_UP_SECONDS)
        sightings = _watch(newest, MEASURE_SECONDS)
    times = {symbol: _trade_times(settings, symbol, sightings) for symbol in settings.symbols}
    return [
        (sighting.seen_ms - times[sighting.symbol][trade_id]) / 1000
        for sighting in sightings
        for trade_id in range(sighting.first, sighting.last + 1)
    ]


def _watch(newest: Callable[[], dict[str, int]], seconds: float) -> list[Sighting]:
    before = newest()
    sightings, deadline = [], time.monotonic() + seconds
    while time.monotonic() < deadline:
        now = newest()
        seen_ms = time.time() * 1000
        for symbol, last in now.items():
            if last > before.get(symbol, last):
                sightings.append(Sighting(symbol, before[symbol] + 1, last, seen_ms))
        before = now
        time.sleep(_POLL_SECONDS)
    return sightings


def _trade_times(settings: Settings, symbol: str, sightings: list[Sighting]) -> dict[int, int]:
    """Time of each trade seen, from the exchange's ledger (the ground truth)."""
    ids = [s for s in sightings if s.symbol == symbol]
    first, last = min(s.first for s in ids), max(s.last for s in ids)
    times: dict[int, int] = {}
    url = f"{settings.exchange_control_url}/control/ledger"
    while first <= last:
        answer = requests.get(url, params={"symbol": symbol, "from": str(first), "to": str(last)}, timeout=30)
        answer.raise_for_status()
        trades = answer.json()["trades"]
        times |= {trade["id"]: trade["time"] for trade in trades}
        first = trades[-1]["id"] + 1
    return times
