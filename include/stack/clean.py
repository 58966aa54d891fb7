"""``make clean``: drop the run-time state (data, logs, secrets); downloads stay."""

from __future__ import annotations

import shutil

from include.settings import Settings
from include.stack.errors import StackError
from include.stack.leftovers import find_leftovers

# Named one by one: a mistyped PIPELINE_HOME must not cost anybody a folder of their own.
_STATE = ("run", "log", "data", "secrets", "airflow")


def clean(settings: Settings) -> list[str]:
    """Remove the state folders of ``settings.home`` and return their names.

    Raises :class:`StackError` while processes of the stack are running.
    """
    if running := find_leftovers(settings):
        raise StackError(f"{len(running)} processes of this stack are running. Run make down first.")
    removed = []
    for name in _STATE:
        folder = settings.home / name
        if folder.is_dir():
            shutil.rmtree(folder)
            removed.append(name)
    return removed
