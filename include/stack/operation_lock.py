"""One up, down or clean at a time in a run-time folder: a second one would end what the first is starting."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from include.runtime.errors import AlreadyRunningError
from include.runtime.single_instance import hold_single_instance
from include.settings import Settings
from include.stack.errors import StackError


@contextmanager
def exclusive(settings: Settings) -> Iterator[None]:
    """Hold the folder for the time of the block. Raises :class:`StackError` naming the holder's pid.

    The lock lies beside the folders that ``clean`` drops.
    """
    try:
        descriptor = hold_single_instance("stack", settings.home)
    except AlreadyRunningError as error:
        holder = f"pid {error.pid or 'unknown'}"
        raise StackError(
            f"Another up, down or clean is at work in {settings.home} ({holder}). Wait for it to end."
        ) from error
    try:
        yield
    finally:
        os.close(descriptor)
