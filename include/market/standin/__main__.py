"""``python -m include.market.standin``: the stand-in exchange as a process, until SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys

from include.market.standin.config import StandInConfig
from include.market.standin.errors import StandInError
from include.market.standin.exchange import StandInExchange
from include.runtime.errors import AlreadyRunningError
from include.runtime.logging import configure_logging, get_logger
from include.runtime.single_instance import hold_single_instance
from include.settings import load_settings
from include.settings_errors import SettingsError

_HELP = """The stand-in exchange: Binance's REST and WebSocket market data on loopback.

It is configured by the settings (environment PIPELINE_<NAME> or .env): feed, symbols, generator_rate, generator_seed,
replay_file, replay_factor, exchange_port, exchange_control_port, home."""


async def _serve(config: StandInConfig) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    async with StandInExchange(config) as exchange:
        waiting = {asyncio.create_task(stopped.wait()), asyncio.create_task(exchange.wait())}
        done, pending = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        for task in done:
            task.result()
    get_logger("exchange").info("exchange is down")


def main() -> int:
    """Run until told to stop. Exit codes: 0 stopped, 1 cannot run, 2 a setting is wrong."""
    argparse.ArgumentParser(
        prog="python -m include.market.standin", description=_HELP, formatter_class=argparse.RawTextHelpFormatter
    ).parse_args()
    configure_logging()
    try:
        settings = load_settings()
        hold_single_instance("exchange", settings.run_dir)
        asyncio.run(_serve(StandInConfig.from_settings(settings)))
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except (StandInError, AlreadyRunningError) as error:
        sys.stderr.write(f"The stand-in exchange cannot run: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
