"""The stack's command line: ``python -m include.stack --help`` (the Makefile's verbs call it)."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Annotated, NoReturn

import typer
from confluent_kafka import KafkaException
from rich.markup import escape
from sqlalchemy.exc import SQLAlchemyError

from include.services.errors import ServicesError
from include.settings import Settings, load_settings
from include.settings_errors import SettingsError
from include.stack.console import console
from include.stack.errors import StackError
from include.stack.operation_lock import exclusive
from include.stack.running import remembered, without_proxy
from include.warehouse.errors import WarehouseError

app = typer.Typer(
    help="Bring the pipeline up on this machine, look at it, take it down.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.command()
def up() -> None:
    """Start whatever is not running, wait until rows arrive in moving_averages, and say where to look."""
    from include.stack.arrival import await_rows, describe
    from include.stack.secrets import ensure_secrets
    from include.stack.up import bring_up

    with exclusive(load_settings()):
        ensure_secrets(load_settings())
        settings = load_settings()  # again: some settings are secrets that were just made
        bring_up(settings)
        await_rows(settings)
    describe(settings)


@app.command()
def status(
    once: Annotated[bool, typer.Option("--once", help="Print one table instead of refreshing it.")] = False,
) -> None:
    """Show processes, positions at each hop, rates, lag and freshness; refreshes each second on a terminal."""
    from include.stack.status import show

    show(_running(), live=not once and sys.stdout.isatty())


@app.command()
def logs(
    name: Annotated[str, typer.Argument(help="Process whose log to show, for example btc_producer.")] = "",
    lines: Annotated[int, typer.Option(help="How many lines of the past.", min=0)] = 50,
    follow: Annotated[bool, typer.Option(help="Go on as the log grows.")] = True,
) -> None:
    """Show the log of one process and follow it."""
    from include.stack.logs import show

    show(_running(), name, lines, follow)


@app.command()
def down() -> None:
    """Stop everything cleanly."""
    from include.stack.down import bring_down

    with exclusive(load_settings()):
        was_running = bring_down(_running())
    console.print("Everything is stopped." if was_running else "Nothing was running.")


@app.command()
def clean() -> None:
    """Drop data, logs and secrets of a stopped stack; downloads stay."""
    from include.stack.clean import clean as drop

    settings = load_settings()
    with exclusive(settings):
        removed = drop(settings)
    console.print(f"Removed from {settings.home}: {', '.join(removed) or 'nothing'}.")


def _running() -> Settings:
    return remembered(load_settings())


def _fail(text: str) -> NoReturn:
    console.print(f"[red]✗[/] {escape(text)}", soft_wrap=True)
    sys.exit(2)


def main() -> None:
    """Run the command line; a problem that a person can solve is a message, not a traceback."""
    os.environ.update(without_proxy())
    try:
        app()
    except (SettingsError, StackError, ServicesError, WarehouseError) as error:
        _fail(str(error))
    except (OSError, subprocess.TimeoutExpired, KafkaException, SQLAlchemyError) as error:
        _fail(f"{type(error).__name__}: {error}. The logs say more: make logs")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
