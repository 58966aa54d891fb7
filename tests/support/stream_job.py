"""The real stream processor as a process of its own, and trades fed to it straight through Kafka."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from decimal import Decimal
from typing import Any

import requests
from confluent_kafka import Producer

from include.broker.offsets import OffsetReader
from include.broker.topics import TopicSpec, ensure_topics, expected_topics
from include.settings import PROJECT_ROOT, Settings
from include.stack.java import find_java
from include.stack.running import environment
from include.warehouse.reader import WarehouseReader
from tests.support.reference import ReferenceTrade
from tests.support.servers import KafkaServer, MySQLServer, fetch_artifacts
from tests.support.waiting import wait_for

_START_MS = 1_700_000_040_000


@contextmanager
def running_job(settings: Settings, kafka: KafkaServer, mysql: MySQLServer, **changes: Any) -> Iterator[StreamJob]:
    """A job with a topic and a database of its own (``trades_topic``, ``mysql_database``) on servers of the session."""
    fetch_artifacts(settings, "spark")
    own = settings.model_copy(update=changes)
    mysql.create_database(own.mysql_database)
    ensure_topics(kafka.bootstrap, (*expected_topics(own), TopicSpec(own.trades_topic, 3)))
    job = StreamJob(own)
    try:
        job.start()
        yield job
    finally:
        job.stop()


class StreamJob:
    """``spark_jobs/stream_processor.py`` with ``settings``; its log is ``stream_processor.log``."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.log = settings.log_dir / "stream_processor.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Pid of the Python process."""
        assert self._process is not None
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the Python process runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """Of the Python process, once it has ended."""
        return None if self._process is None else self._process.poll()

    def start(self, wait: bool = True) -> None:
        """Start; ``wait`` until the query runs."""
        self.settings.log_dir.mkdir(parents=True, exist_ok=True)
        java = {"JAVA_HOME": str(find_java(self.settings.cache).home)}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, str(PROJECT_ROOT / "spark_jobs" / "stream_processor.py")],
                env={**environment(self.settings), **java},
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        if wait:
            wait_for(lambda: self.health()["status"] == "running", 90, f"the query runs; see {self.log}")

    def ensure_running(self) -> None:
        """Start it unless it runs."""
        if self._process is None or self._process.poll() is not None:
            self.start()

    def health(self) -> dict[str, Any]:
        """``GET /health``; a job that has ended is reported with the end of its log."""
        if self._process is not None and (code := self._process.poll()) is not None:
            raise AssertionError(f"the job ended, exit code {code}:\n{self.log.read_text(errors='replace')[-4000:]}")
        answer = requests.get(f"http://127.0.0.1:{self.settings.processor_health_port}/health", timeout=2)
        health: dict[str, Any] = answer.json()
        return health

    def metrics(self) -> str:
        """``GET /metrics``."""
        return requests.get(f"http://127.0.0.1:{self.settings.processor_health_port}/metrics", timeout=2).text

    def await_batch(self, phase: str = "", timeout: float = 30) -> None:
        """Wait until a batch is under way, in ``phase`` if given."""

        def under_way() -> bool:
            batch = self.health()["batch"]
            return bool(batch["running"]) and phase in {"", batch["phase"]}

        wait_for(under_way, timeout, f"a batch is under way {phase}", interval=0.001)

    def kill(self) -> None:
        """SIGKILL to the Python process; its JVM follows by itself."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(10)

    def terminate(self) -> int:
        """SIGTERM to the Python process; its exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(30)

    def stop(self) -> None:
        """End whatever is left of it, the JVM included."""
        if self._process is not None and self._process.poll() is None:
            self.terminate()
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def await_all_counted(self, timeout: float = 60) -> None:
        """Wait until MySQL's ledger has reached the end of the topic."""
        topic = self.settings.trades_topic
        with (
            closing(OffsetReader(self.settings.bootstrap_servers, topic=topic)) as kafka,
            closing(WarehouseReader(self.settings)) as warehouse,
        ):

            def caught_up() -> bool:
                ends = {p: end for p, end in kafka.end_offsets().items() if end}
                position = warehouse.position()
                return not ends or (position is not None and position.offsets == ends)

            wait_for(caught_up, timeout, f"all records are counted; see {self.log}", interval=0.1)


def message(trade: ReferenceTrade, **changes: Any) -> bytes:
    """A trade as the exchange sends it, or nearly so."""
    fields = {
        **{"e": "trade", "E": trade.time_ms + 3, "s": trade.symbol, "t": trade.id},
        **{"p": f"{trade.price:.8f}", "q": f"{trade.qty:.8f}", "T": trade.time_ms, "m": True, "M": True},
    }
    return json.dumps({**fields, **changes}, separators=(",", ":")).encode()


class TradeFeed:
    """Publishes to the topic in the order given; ``flush`` waits until Kafka has everything."""

    def __init__(self, settings: Settings) -> None:
        self._topic = settings.trades_topic
        self._producer = Producer(
            {
                "bootstrap.servers": settings.bootstrap_servers,
                "enable.idempotence": True,
                "linger.ms": 5,
                "log_level": 2,
            }
        )

    def publish(self, trades: Iterable[ReferenceTrade]) -> None:
        """Trades, each keyed by its symbol."""
        for trade in trades:
            self.publish_raw(trade.symbol, message(trade))

    def publish_raw(self, key: str, value: bytes | None, partition: int = -1) -> None:
        """Anything; ``partition`` -1 lets the key decide."""
        self._producer.produce(self._topic, value, key.encode(), partition=partition)
        self._producer.poll(0)

    def flush(self) -> None:
        """Wait for the acknowledgements."""
        assert self._producer.flush(60) == 0


def ledger(symbol: str, count: int, seed: int = 1, rate: int = 20) -> list[ReferenceTrade]:
    """Trades with consecutive ids, ``rate`` a second of event time."""
    dice = random.Random(seed)
    first = dice.randrange(10**6, 10**9)
    return [
        ReferenceTrade(
            symbol,
            first + i,
            Decimal(dice.randrange(1, 10**14)).scaleb(-8),
            Decimal(dice.randrange(1, 10**11)).scaleb(-8),
            _START_MS + i * 1000 // rate,
        )
        for i in range(count)
    ]


def published_beside(feed: TradeFeed, trades: list[ReferenceTrade], seconds: float) -> threading.Thread:
    """Publish from a thread, evenly over some seconds: the load under which a fault happens."""

    def publish() -> None:
        for start in range(0, len(trades), 200):
            feed.publish(trades[start : start + 200])
            time.sleep(seconds * 200 / len(trades))  # the load's own pace, not a wait for anything
        feed.flush()

    thread = threading.Thread(target=publish)
    thread.start()
    return thread
