"""The process as a whole: replacing its Kafka producer, and ending in time whatever hangs."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from include.producer.app import BtcProducer
from include.producer.feed import Wish
from include.producer.silence import Verdict
from include.settings import load_settings

UNUSED_PORT = 1  # nothing listens there


@pytest.fixture
def producer(tmp_path: Path) -> Iterator[BtcProducer]:
    """One that reaches neither Kafka nor the exchange."""
    settings = load_settings(home=tmp_path, symbols=("BTCUSDT", "ETHUSDT"), kafka_port=UNUSED_PORT)
    made = BtcProducer(settings.model_copy(update={"producer_health_port": 0, "exchange_port": UNUSED_PORT}))
    yield made
    made.endpoint._server.server_close()  # perhaps never started
    made.publisher.abandon()


async def test_a_new_kafka_producer_goes_on_behind_ids_that_were_handed_over(
    producer: BtcProducer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever else is in the topic; and on the thread that polls, as a publisher knows no other."""
    producer.tracks["BTCUSDT"].sequencer.anchor(100)
    threads, ceilings = [], []

    def read_topic(symbols: frozenset[str], ceiling: Mapping[str, int]) -> dict[str, int]:
        ceilings.append((symbols, dict(ceiling)))
        return {"BTCUSDT": 95}

    monkeypatch.setattr(producer._resumption, "_read_topic", read_topic)
    monkeypatch.setattr(producer._replace_backoff, "next_delay", lambda: 0)
    monkeypatch.setattr(producer.publisher, "abandon", lambda: threads.append(threading.current_thread()))
    await producer._replace_publisher()
    assert ceilings == [(frozenset({"BTCUSDT"}), {"BTCUSDT": 99})]
    assert producer.tracks["BTCUSDT"].sequencer.next_id == 96
    assert threads == [threading.current_thread()]


@pytest.mark.parametrize(("opened_meanwhile", "dropped"), [(0, True), (1, False)])
async def test_a_verdict_is_about_the_connection_that_was_judged(
    opened_meanwhile: int, dropped: bool, producer: BtcProducer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def judge(symbol: str) -> Verdict:
        producer.feed.connections += opened_meanwhile
        return Verdict.FEED_AT_FAULT

    monkeypatch.setattr(producer.silence, "judge", judge)
    await producer._judge("BTCUSDT")
    assert (producer.feed._wish is Wish.SILENT) is dropped


async def test_it_stops_although_every_worker_hangs(producer: BtcProducer) -> None:
    stop, hanging = asyncio.Event(), threading.Event()
    workers = ThreadPoolExecutor(1)
    asyncio.get_running_loop().set_default_executor(workers)
    workers.submit(hanging.wait, 30)
    stop.set()
    try:
        await asyncio.wait_for(producer.run(stop), 5)
    finally:
        hanging.set()


PROCESS = """
import asyncio, sys, time
import include.producer.__main__ as process

class Producer:
    def __init__(self, settings):
        pass

    async def run(self, stop):
        asyncio.get_running_loop().run_in_executor(None, time.sleep, 60)
        {ending}

process.BtcProducer = Producer
sys.argv[1:] = []
process.leave(process.main())
"""


@pytest.mark.parametrize(
    ("ending", "code", "said"),
    [
        ("print('the last words', end='')", 0, "the last words"),
        ("raise ValueError('never seen before')", 1, "ValueError: never seen before"),
    ],
)
def test_the_process_does_not_wait_for_its_workers(ending: str, code: int, said: str, tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", PROCESS.format(ending=ending)],
        env={"PIPELINE_HOME": str(tmp_path), "PIPELINE_ENV_FILE": ""},
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (code, "")
    assert said in ended.stdout
