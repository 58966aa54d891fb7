"""Errors of the warehouse room."""

from __future__ import annotations

from include.warehouse.error_numbers import ErrorKind


class WarehouseError(Exception):
    """Something is wrong between us and the database. The text is meant for a person."""


class WarehouseFailedError(WarehouseError):
    """A transaction failed for good: its error is not transient, or it was retried for as long as allowed."""

    def __init__(self, kind: ErrorKind, number: int | None, attempts: int, seconds: float, cause: Exception) -> None:
        super().__init__(
            f"MySQL error {number if number is not None else 'without a number'} ({kind.value}) after {attempts} "
            f"attempt{'s' if attempts != 1 else ''} in {seconds:.1f} s: {cause}"
        )
        self.kind, self.number, self.attempts = kind, number, attempts


class RetryInterruptedError(WarehouseError):
    """The process was asked to stop while it waited for the database. Nothing was written."""


class MigrationError(WarehouseError):
    """A migration cannot be applied, or an applied one was changed afterwards."""


class RecountError(WarehouseError):
    """A recount of trades still overlaps what is counted already: counting it would count trades twice."""
