"""Errors of the incidents room. Their texts are meant for a person."""

from __future__ import annotations

from collections.abc import Iterable

from include.incidents.model import IncidentState


class IncidentStoreError(Exception):
    """A command was refused, or the store cannot be used. Nothing was written."""


class UnknownIncidentError(IncidentStoreError):
    """There is no incident with this id."""

    def __init__(self, incident_id: str) -> None:
        super().__init__(f"There is no incident {incident_id}.")
        self.incident_id = incident_id


class UnknownSymptomError(IncidentStoreError):
    """This symptom was never attached to this incident."""


class IllegalMoveError(IncidentStoreError):
    """The workflow does not allow this move. ``allowed`` are the states that can be reached from here in one move."""

    def __init__(self, what: str, state: IncidentState, allowed: Iterable[IncidentState]) -> None:
        self.state, self.allowed = state, tuple(allowed)
        words = ", ".join(self.allowed) if self.allowed else "nothing: this state is final"
        super().__init__(f"{what} Allowed from {state}: {words}.")


class NotOpenError(IncidentStoreError):
    """The incident is over; what was asked for makes sense only while it is open."""


class StaleVersionError(IncidentStoreError):
    """The incident was changed since it was read. Read it again and decide anew."""

    def __init__(self, incident_id: str, given: int, current: int) -> None:
        super().__init__(f"{incident_id} was changed meanwhile: version {current}, not {given}. Read it again.")
        self.incident_id, self.given, self.current = incident_id, given, current


class InvalidEntryError(IncidentStoreError):
    """A value cannot be written: no JSON, a secret by its name, no time zone, or the store's own to write."""


class StoreUnavailableError(IncidentStoreError):
    """The database does not answer, or refuses, and did so for as long as was allowed."""


class StoreVersionError(IncidentStoreError):
    """The database was made by another version of the product, which this one cannot read."""


class CorruptStoreError(IncidentStoreError):
    """A row holds a value that the product never writes. ``verify`` tells which."""


class WatchError(Exception):
    """The watch has nothing to tell its followers: it sees nothing, or the store is away. The text says why."""
