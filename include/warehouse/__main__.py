"""``python -m include.warehouse migrate|status``: bring the schema up to date, or say how it stands."""

from __future__ import annotations

import sys

import typer
from sqlalchemy.exc import DBAPIError

from include.settings import get_settings
from include.settings_errors import SettingsError
from include.warehouse.error_numbers import describe
from include.warehouse.errors import WarehouseError
from include.warehouse.migrations import migrate as apply_migrations
from include.warehouse.migrations import migration_states, schema_problems

app = typer.Typer(add_completion=False, help="The schema of the warehouse.", no_args_is_help=True)


@app.command()
def migrate() -> None:
    """Apply the migrations that are missing. Safe to repeat."""
    applied = apply_migrations(get_settings())
    typer.echo("\n".join(f"applied {name}" for name in applied) or "nothing to do: the schema is up to date")


@app.command()
def status() -> None:
    """List the migrations, and say what is wrong with the tables. Exit code 1 when something is."""
    settings = get_settings()
    for state in migration_states(settings):
        typer.echo(f"{state.version:04d}_{state.name}: {'applied' if state.applied else 'not applied'}")
    problems = schema_problems(settings)
    for problem in problems:
        typer.echo(problem, err=True)
    if problems:
        raise typer.Exit(1)
    typer.echo("the tables are what the migrations made")


def main() -> None:
    """Run the command; failures that a person can act on are said in one line."""
    try:
        app()
    except SettingsError as error:
        sys.exit(_fail(2, str(error)))
    except WarehouseError as error:
        sys.exit(_fail(1, str(error)))
    except DBAPIError as error:
        sys.exit(_fail(1, f"MySQL: {describe(error)}"))


def _fail(code: int, message: str) -> int:
    typer.echo(message, err=True)
    return code


if __name__ == "__main__":
    main()
