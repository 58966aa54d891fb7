"""What a person sees on the terminal: steps with their time, colours on a terminal only."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

console = Console(highlight=False)


@contextmanager
def step(text: str) -> Iterator[None]:
    """One step of a long command: announced when it starts, with its duration when it is done."""
    started = time.monotonic()
    console.print(f"[dim]…[/] {text}")
    yield
    console.print(f"[green]✓[/] {text} [dim]({time.monotonic() - started:.1f} s)[/]")


def progress(line: str) -> None:
    """A line within a step."""
    console.print(f"  {line}", style="dim", markup=False)
