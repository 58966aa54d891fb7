"""The end of ``make up``: rows arrive in ``moving_averages``, and the person is told where to look."""

from __future__ import annotations

import sys
from contextlib import closing
from datetime import UTC, datetime

from rich import box
from rich.table import Table

from include.services.factory import controller_from_settings
from include.services.names import PROCESSOR, PRODUCER
from include.settings import Feed, Settings
from include.stack import airflow, readiness
from include.stack.console import console, step
from include.stack.secrets import read_secret, secret_path
from include.warehouse.reader import WarehouseReader

_ARRIVAL_SECONDS = 180.0


def await_rows(settings: Settings, timeout: float = _ARRIVAL_SECONDS) -> None:
    """Wait until Airflow has started both processes and rows are written from now on.

    Raises :class:`~include.stack.errors.StartError` with the ends of the processes' logs.
    """
    controller, since = controller_from_settings(settings), datetime.now(UTC)

    def failure() -> str:
        logs = (f"--- {name}.log\n  " + "\n  ".join(controller.tail(name, 8)) for name in (PRODUCER, PROCESSOR))
        hint = "no new rows in moving_averages. Is a supervision Dag paused, or its run held, in Airflow?"
        return "\n".join([hint, *logs, ""])

    with (
        step("Airflow has started btc_producer and stream_processor; rows arrive"),
        closing(WarehouseReader(settings)) as reader,
    ):
        readiness.wait_until(lambda: all(controller.status(n).pid for n in (PRODUCER, PROCESSOR)), timeout, failure)
        readiness.wait_until(lambda: _rows_arrive(settings, reader, since), timeout, failure)


def _rows_arrive(settings: Settings, reader: WarehouseReader, since: datetime) -> bool:
    """Rows of an earlier run prove nothing. A replay that has ended writes none: there a sign of life must do."""
    present = {row.symbol for row in reader.progress()}
    if settings.feed is Feed.REPLAY:
        written = reader.heartbeat(PROCESSOR)
        return bool(present) and written is not None and written >= since
    expected = set(settings.symbols) if settings.feed is Feed.GENERATED else set()  # live, some may not trade for hours
    newest = reader.newest_update()
    return present >= expected and newest is not None and newest >= since


def describe(settings: Settings) -> None:
    """Print the latest averages, the UI's address, the login, and what to do next."""
    with closing(WarehouseReader(settings)) as reader:
        table = Table(title="Latest averages", title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
        for column in ("symbol", "window", "until (UTC)", "SMA", "VWAP", "trades"):
            table.add_column(column, no_wrap=True)
        for row in reader.latest_averages():
            until = f"{row.window_end:%m-%d %H:%M}"
            averages = (f"{row.sma}", f"{row.vwap}", f"{row.trade_count}")
            table.add_row(row.symbol, f"{row.window_minutes} min", until, *averages)
    console.print(table)
    login = f"user [bold]{settings.airflow_admin_user}[/], {_password(settings)}"
    console.print(f"Airflow UI: [bold]{airflow.public_url(settings)}[/]   {login}", soft_wrap=True)
    console.print("Next: make status · make logs NAME=btc_producer · make down")


def _password(settings: Settings) -> str:
    """The password itself on a person's terminal; its file where output may end up in a log."""
    if sys.stdout.isatty():
        return f"password [bold]{read_secret(settings, 'airflow_admin_password')}[/]"
    return f"password in {secret_path(settings, 'airflow_admin_password')}"
