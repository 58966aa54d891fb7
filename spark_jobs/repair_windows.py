"""``python spark_jobs/repair_windows.py --from … --to …``: make the windows of a time what its trades say.

The last line of standard output is a JSON report. Exit code 0: the tables are corrected, or were right; 1: it could not
be done, nothing was written; 2: refused.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # started as a file, wherever from

import argparse
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from include.market.rest import RestClient
from include.repair.errors import RepairError
from include.repair.span import span_of
from include.runtime.clock import SystemClock
from include.runtime.logging import configure_logging, get_logger
from include.settings import get_settings
from include.settings_errors import SettingsError
from spark_jobs.lib.session import create_session

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

log = get_logger("repair_windows")


def main() -> int:
    """Run the job; the exit code."""
    configure_logging()
    arguments = _arguments()
    try:
        settings = get_settings()
        symbols = filter(None, arguments.symbols.split(","))
        span = span_of(_moment(arguments.start), _moment(arguments.end), symbols, settings)
    except (SettingsError, RepairError, ValueError) as error:
        return _report(2, {"refused": str(error)})
    session = ThreadPoolExecutor(1).submit(create_session, settings)
    try:
        from include.repair.exchange import Exchange
        from include.warehouse.engine import create_warehouse_engine
        from spark_jobs.lib.failures import error_text
        from spark_jobs.lib.window_repair import WindowRepair

        clock = SystemClock()
        exchange = Exchange(RestClient(settings.rest_endpoints, clock), log.info)
        engine = create_warehouse_engine(settings, 60.0)
        return _report(
            0, WindowRepair(session.result(), settings, span, engine=engine, exchange=exchange, clock=clock).run()
        )
    except RepairError as error:
        return _report(2, {"refused": str(error)})
    except Exception as error:  # of Kafka, MySQL or Spark: nothing was written, and the report says why
        log.exception("not corrected")
        return _report(1, {"failed": " ".join(error_text(error).split())[:600]})
    finally:
        if session.exception() is None:
            _kill_jvm(session.result())


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Make the windows of a time what its trades say. Times are in UTC.")
    parser.add_argument("--from", dest="start", required=True, help="first minute, for example 2026-11-24T10:00")
    parser.add_argument("--to", dest="end", required=True, help="first minute behind it")
    parser.add_argument("--symbols", default="", help="comma-separated; all without it")
    return parser.parse_args()


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def _report(code: int, facts: dict[str, Any]) -> int:
    sys.stdout.write(json.dumps(facts) + "\n")
    return code


def _kill_jvm(spark: SparkSession) -> None:
    """The session holds nothing that a kill could lose, and an orderly end of the JVM takes a second more."""
    process = getattr(spark.sparkContext._gateway, "proc", None)
    if process is not None:
        process.kill()


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)
