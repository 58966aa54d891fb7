"""Errors of the stand-in exchange."""

from __future__ import annotations

from pathlib import Path


class StandInError(Exception):
    """The stand-in exchange cannot start or cannot do what was asked. The text is meant for a person."""


class JournalError(StandInError):
    """The journal of the generated ledger is damaged beyond its last line."""

    def __init__(self, path: Path, line: int, detail: str) -> None:
        super().__init__(f"{path}, line {line}: {detail}")


class ArchiveError(StandInError):
    """A trade archive does not hold what its layout promises."""

    def __init__(self, path: Path, line: int, column: str, detail: str) -> None:
        super().__init__(f"{path}, line {line}, column {column}: {detail}")
        self.path, self.line, self.column = path, line, column


class PortTakenError(StandInError):
    """A port is in use by another program."""

    def __init__(self, port: int, purpose: str) -> None:
        super().__init__(f"port {port} ({purpose}) on 127.0.0.1 is in use by another program")
        self.port = port


class FaultError(StandInError):
    """A fault was asked for that does not exist, or with a value that it does not take."""
