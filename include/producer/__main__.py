"""``python -m include.producer``: run btc_producer until SIGTERM; SIGHUP replaces its stream connection."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from typing import NoReturn

from include.producer.app import BtcProducer
from include.runtime.errors import AlreadyRunningError
from include.runtime.logging import configure_logging, get_logger
from include.runtime.single_instance import hold_single_instance
from include.settings import Settings, load_settings
from include.settings_errors import SettingsError

EPILOG = """\
Configured by the environment (PIPELINE_<NAME>) and .env; see include/settings.py for every setting. Those that matter
here: SYMBOLS, FEED, PRODUCER_*, SILENCE_SECONDS, STREAM_ROTATION_HOURS, LIVE_*_ENDPOINTS, KAFKA_BOOTSTRAP_SERVERS.
AVOID_ENDPOINTS names bases that are tried last. PRODUCER_SAMPLING 4 publishes one of four blocks of 200 trade ids, and
every record says so in its headers; what is left out is a gap that the repair fills later.
GET /health and /metrics on the loopback port PRODUCER_HEALTH_PORT. SIGTERM stops it cleanly (exit code 0).
SIGHUP replaces the stream connection, by overlap, so that nothing is lost; it is refused while the exchange wants to be
left alone (429, 418). /health tells what became of it (stream.reconnects_on_request, stream.last_request).
Exit code 2: a wrong setting, a port in use, or a copy that is already running.
"""


def main() -> int:
    """Entry point; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m include.producer",
        description="btc_producer: trades from the exchange into the Kafka topic crypto-trades.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.parse_args()
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as long as there is no connection to replace
    configure_logging()
    try:
        settings = load_settings()
        lock = hold_single_instance("btc_producer", settings.run_dir)
        producer = BtcProducer(settings)
    except (SettingsError, AlreadyRunningError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    del lock  # the descriptor stays open, and with it the lock, until the process ends
    try:
        asyncio.Runner().run(_run(producer, settings))  # never closed: that would wait for REST calls that hang
    except Exception:
        get_logger("producer").exception("failed")
        return 1
    return 0


async def _run(producer: BtcProducer, settings: Settings) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, lambda: producer.reconnect_on_request("SIGHUP"))
    get_logger("producer").info("starting", symbols=settings.symbols, feed=settings.feed.value)
    await producer.run(stop)


def leave(code: int) -> NoReturn:
    """End the process without waiting for worker threads, which may hang in a REST call past the time to stop."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    leave(main())
