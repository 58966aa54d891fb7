"""What every command shares: the terminal, the exit codes, and the way in which a question is refused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

import typer
from rich.console import Console
from rich.markup import escape

from include.settings import load_settings

if TYPE_CHECKING:
    from include.guardrails.guardrails import Guardrails
    from include.incidents.store import IncidentStore

DIFFERS, REFUSED = 1, 2  # exit codes: what was checked is not right; the question cannot be answered

console = Console(highlight=False)


@contextmanager
def incident_store() -> Iterator[IncidentStore]:
    """The incident store of the settings; imported here so that the playbook can be read without a database."""
    from include.incidents.errors import IncidentStoreError
    from include.incidents.factory import store_from_settings

    store = store_from_settings(load_settings())
    try:
        yield store
    except IncidentStoreError as error:
        refuse(str(error))
    finally:
        store.close()


@contextmanager
def guardrails_of_settings() -> Iterator[Guardrails]:
    """The guardrails of the settings; imported here for the same reason."""
    from include.guardrails.errors import GuardrailError
    from include.guardrails.factory import guardrails_from_settings
    from include.incidents.errors import IncidentStoreError

    guardrails = guardrails_from_settings(load_settings())
    try:
        yield guardrails
    except (GuardrailError, IncidentStoreError) as error:
        refuse(str(error))
    finally:
        guardrails.close()


def refuse(text: str) -> NoReturn:
    """Say why not, and end with the exit code for it."""
    console.print(f"[red]✗[/] {escape(text)}", soft_wrap=True)
    raise typer.Exit(REFUSED)
