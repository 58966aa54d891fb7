"""Producer path: bytes of a frame in → acknowledged by Kafka, beside a bare client loop and Kafka's own tool."""

from __future__ import annotations

import re
import statistics
import subprocess
import time
from collections.abc import Callable

from confluent_kafka import Producer

from include.broker.topics import DEAD_LETTERS
from include.drills.benchmarks.report import Section, ratio_rows
from include.drills.benchmarks.workbench import Workbench, workbench
from include.producer.direct import DirectFeed
from include.producer.kafka_publisher import KafkaTarget, producer_config
from include.stack.java import find_java
from include.stack.kafka import tool_command

MESSAGES = 500_000
ROUNDS = 3
SYMBOLS = ("BTCUSDT", "ETHUSDT", "BNBUSDT")

_NOW_MS = time.time_ns() // 1_000_000


def payloads(count: int) -> list[bytes]:
    """Trade objects as the exchange writes them: ids consecutive per symbol, prices that move."""
    made = []
    for number in range(count):
        symbol, trade_id = SYMBOLS[number % len(SYMBOLS)], 1_000_000 + number // len(SYMBOLS)
        time_ms, price = _NOW_MS + number // 100, 39_000 + (number * 7919 % 100_000) / 100
        maker = "true" if number % 2 else "false"
        made.append(
            f'{{"e":"trade","E":{time_ms},"s":"{symbol}","t":{trade_id},"p":"{price:.8f}",'
            f'"q":"0.{number % 100_000:05d}001","T":{time_ms},"m":{maker},"M":true}}'.encode()
        )
    return made


def frames(trades: list[bytes]) -> list[bytes]:
    """The same as frames of a combined stream."""
    streams = [f'{{"stream":"{symbol.lower()}@trade","data":'.encode() for symbol in SYMBOLS]
    return [streams[number % len(streams)] + trade + b"}" for number, trade in enumerate(trades)]


def run() -> Section:
    """Measure the three ways in turn, :data:`ROUNDS` times each, and compare medians."""
    trades = payloads(MESSAGES)
    with workbench() as bench:
        rates = _measure(bench, trades)
    bare, _, ours = (statistics.median(values) for values in rates.values())
    size = statistics.mean(map(len, trades))
    return Section(
        "Producer path: frame bytes in → acknowledged by Kafka",
        f"{MESSAGES:,} trades of {size:.0f} bytes, {len(SYMBOLS)} symbols, `acks=all`, idempotent, lz4, linger 5 ms, "
        f"median of {ROUNDS} rounds in turn.",
        ["way", "messages/s", "range", "of the bare loop"],
        ratio_rows(rates),
        [
            f"Aim ≥ 50 % of the bare loop: {ours / bare:.0%}.",
            f"Aim ≥ 100,000 messages/s: {ours:,.0f} (the whole spot market streams about 40,000).",
        ],
    )


def _measure(bench: Workbench, trades: list[bytes]) -> dict[str, list[float]]:
    framed = frames(trades)
    ways: dict[str, Callable[[str], float]] = {
        "bare confluent-kafka loop with delivery callbacks": lambda topic: _bare(bench, topic, trades),
        "Kafka's ProducerPerformance (Java)": lambda topic: _performance_tool(bench, topic, trades),
        "btc_producer: validate, sequence, publish": lambda topic: _ours(bench, topic, framed),
    }
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(ROUNDS):
        for position, (name, measure) in enumerate(ways.items()):
            rates[name].append(measure(bench.topic(f"bench-{number}-{position}")))
    return rates


def _bare(bench: Workbench, topic: str, trades: list[bytes]) -> float:
    producer = Producer(producer_config(bench.settings.bootstrap_servers, 200_000))
    keys = [symbol.encode() for symbol in SYMBOLS]
    acknowledged = 0

    def delivered(error: object, _message: object) -> None:
        nonlocal acknowledged
        acknowledged += error is None

    started = time.perf_counter()
    for number, trade in enumerate(trades):
        while True:
            try:
                producer.produce(topic, trade, keys[number % len(keys)], on_delivery=delivered)
                break
            except BufferError:
                producer.poll(0.01)
        if number % 256 == 0:
            producer.poll(0)
    producer.flush(60)
    return acknowledged / (time.perf_counter() - started)


def _ours(bench: Workbench, topic: str, framed: list[bytes]) -> float:
    target = KafkaTarget(bench.settings.bootstrap_servers, topic, DEAD_LETTERS, 200_000)
    feed = DirectFeed(target, dict.fromkeys(SYMBOLS, 1_000_000))
    started = time.perf_counter()
    feed.push(framed)
    newest = feed.finish(60)
    seconds = time.perf_counter() - started
    feed.close()
    acknowledged = sum(trade_id - 1_000_000 + 1 for trade_id in newest.values())
    if acknowledged != len(framed):
        raise RuntimeError(f"{acknowledged} of {len(framed)} trades were acknowledged: the figure would be a lie")
    return acknowledged / seconds


def _performance_tool(bench: Workbench, topic: str, trades: list[bytes]) -> float:
    file = bench.settings.home / "payloads.txt"
    file.write_bytes(b"\n".join(trades[:10_000]))
    done = subprocess.run(
        tool_command(
            bench.settings,
            find_java(bench.settings.cache),
            "org.apache.kafka.tools.ProducerPerformance",
            *("--topic", topic, "--num-records", str(len(trades)), "--throughput", "-1", "--payload-file", str(file)),
            *("--command-property", f"bootstrap.servers={bench.settings.bootstrap_servers}"),
            *("acks=all", "linger.ms=5", "compression.type=lz4"),
        ),
        capture_output=True,
        text=True,
        timeout=180,
        check=True,
    )
    found = re.findall(r"records sent, ([\d.]+) records/sec", done.stdout)
    return float(found[-1])
