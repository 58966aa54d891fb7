"""What tables on a terminal are made of."""

from __future__ import annotations

from datetime import UTC, datetime

from rich.table import Table


def spaced(word: str) -> str:
    """A word of ours for a person: ``process gone``."""
    return word.replace("_", " ")


def in_utc(moment: datetime) -> str:
    """To the second."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def plain_table(*columns: str) -> Table:
    """Of plain text, in which only the last column gives way on a narrow terminal."""
    table = Table(box=None, padding=(0, 1), header_style="dim")
    for column in columns:
        table.add_column(column, no_wrap=column is not columns[-1])
    return table
