"""Errors in a process's log: which lines tell of one, and what kind of error it is."""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

LONGEST_LINE = 300
_MOST_LINES = 8  # of one error; what comes behind is its stack

# "2026-01-01T00:00:00.000Z [error    ] …", "2026-01-01T00:00:00.000Z [ERROR] …", "2026-01-01  0:00:00 12 [ERROR] …"
_HEADER = re.compile(r"\d{4}-\d\d-\d\d[T ] ?\d?\d:\d\d:\d\d\S*\s+(?:\d+ )?\[(\w+) *\]")
_TRACEBACK = "Traceback (most recent call last):"
_BARE_ERROR = re.compile(r"\[Errno \d+\] |(?:Exception in thread .*|[\w.$]+)(?:Error|Exception)(?::|$)")
_ERRORS = frozenset({"error", "critical", "fatal"})
_WARNINGS = frozenset({"warn", "warning"})
_ASKED_TO_STOP = ("StopRequestedError", "RetryInterruptedError")  # how the stream processor leaves a batch: no error
_PLAN = "=== Streaming Query ==="  # from here on Spark describes the query, which always names Kafka


class ErrorClass(StrEnum):
    """What an error is about, as far as its words tell."""

    SCHEMA = "schema"
    MYSQL = "mysql"
    SERIALIZATION = "serialization"
    KAFKA = "kafka"
    EXCHANGE = "exchange"
    OTHER = "other"


# The first that fits counts: an error of MySQL may be about a schema, an error of Kafka about serialization.
_SIGNS: tuple[tuple[ErrorClass, re.Pattern[str]], ...] = (
    (
        ErrorClass.SCHEMA,
        re.compile(r"\(schema\)|unknown column|table '.*' doesn't exist|MigrationError", re.IGNORECASE),
    ),
    (ErrorClass.MYSQL, re.compile(r"mysql|mariadb|sqlalchemy|WarehouseFailed", re.IGNORECASE)),
    (
        ErrorClass.SERIALIZATION,
        re.compile(r"serializ|UnicodeDecode|malformed|JSONDecode|not (one )?json|msgspec", re.IGNORECASE),
    ),
    (ErrorClass.KAFKA, re.compile(r"kafka", re.IGNORECASE)),
    (
        ErrorClass.EXCHANGE,
        re.compile(r"websocket|exchange|binance|reading the stream|repair step|trades skipped", re.IGNORECASE),
    ),
)


class LogError(NamedTuple):
    """One error; ``text`` is its line, with the exception that followed it, at most 300 characters."""

    kind: ErrorClass
    text: str


class ErrorFinder:
    """Finds the errors in the lines of one log, which may come in pieces.

    An error is a line of level error and above with all that follows it without a time of its own; or an exception
    that came without such a line, as when a process dies of it.
    """

    def __init__(self) -> None:
        self._error: list[str] | None = None  # the one being read
        self._inside_told = False  # the lines belong to something that was judged already

    def feed(self, lines: Iterable[str]) -> list[LogError]:
        """The errors in the next ``lines``."""
        found: list[LogError] = []
        for line in lines:
            if header := _HEADER.match(line):
                self._finish(found)
                level = header[1].lower()
                self._error = [line] if level in _ERRORS else None
                self._inside_told = level in _WARNINGS
            elif self._error is not None:
                self._continue(line)
            elif not self._inside_told and (line.startswith(_TRACEBACK) or _BARE_ERROR.match(line)):
                self._error = [line]
        if self._error is not None:  # its stack may come with the next piece
            self._finish(found)
            self._inside_told = True
        return found

    def _continue(self, line: str) -> None:
        """Keep what tells something: not the stack's frames. The last line of a traceback is the exception."""
        if self._error is None or not line or line[0].isspace():
            return
        if len(self._error) < _MOST_LINES:
            self._error.append(line)
        else:
            self._error[-1] = line

    def _finish(self, found: list[LogError]) -> None:
        lines, self._error = self._error, None
        if lines is None:
            return
        whole = "\n".join(lines).split(_PLAN)[0]
        if any(sign in whole for sign in _ASKED_TO_STOP):
            return
        kind = next((kind for kind, sign in _SIGNS if sign.search(whole)), ErrorClass.OTHER)
        found.append(LogError(kind, _short([line for line in lines if not line.startswith(_TRACEBACK)] or lines)))


def _short(lines: list[str]) -> str:
    """The line itself, and the exception behind it as far as there is room."""
    text = lines[0][:LONGEST_LINE]
    if len(lines) > 1:
        text = f"{text} … {lines[-1]}"
    return text if len(text) <= LONGEST_LINE else text[: LONGEST_LINE - 1] + "…"
