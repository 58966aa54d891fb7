"""Checking a timeline, and the rows that follow from it, against the hash chain.

Everything here reads what lies in the database as it is, parses with suspicion, and never fails on nonsense: nonsense
is a finding.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from include.incidents.book import Book
from include.incidents.derivation import derive_hand_overs, derive_incident, derive_symptoms, row_values
from include.incidents.errors import CorruptStoreError, UnknownIncidentError
from include.incidents.ids import incident_id, parse_incident_id
from include.incidents.timeline import RawEntry, entry_hash, genesis


class Problem(StrEnum):
    """What is wrong."""

    CHANGED = "changed"  # an entry's content is not what was recorded
    MOVED = "moved"  # an entry stands at another place than where it was recorded
    MISSING = "missing"  # an entry, or a whole incident, is gone
    INSERTED = "inserted"  # an entry that was not recorded by the store
    BROKEN_CHAIN = "broken_chain"  # an entry does not follow the one before it
    WRONG_ROW = "wrong_row"  # the incident's row says something else than its timeline
    WRONG_SYMPTOM = "wrong_symptom"  # likewise a symptom's row
    WRONG_HAND_OVER = "wrong_hand_over"  # likewise a hand-over's row


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong. ``number``: of the entry, ``None`` when it is about the incident."""

    incident_id: str
    number: int | None
    problem: Problem
    text: str

    def __str__(self) -> str:
        """As a person reads it."""
        place = f"{self.incident_id} entry {self.number}" if self.number is not None else self.incident_id
        return f"{place}: {self.text}"


def verify(book: Book, only: str | None = None) -> tuple[Finding, ...]:
    """Findings on one incident, or on all. Raises :class:`UnknownIncidentError` if there is no trace of ``only``."""
    known = book.known_ids()
    if only is not None:
        if only not in known:
            raise UnknownIncidentError(only)
        return tuple(_verify_one(book, only))
    found = [finding for each in known for finding in _verify_one(book, each)]
    return (*found, *_gone(book.counters(), known))


def check_chain(entries: Iterable[RawEntry], incident: str, count: int, head: str) -> Iterator[Finding]:
    """Findings on one timeline that should have ``count`` entries and end with the hash ``head``.

    An entry is not blamed for not following one that is blamed already, or gone.
    """
    previous: str | None = genesis(incident)
    expected = 1
    for entry in sorted(entries, key=lambda entry: entry.number):
        yield from _missing(incident, range(expected, min(entry.number, count + 1)))
        wrong = _wrong(entry, previous if entry.number == expected else None, range(expected, count + 1))
        if wrong:
            yield wrong
        previous, expected = None if wrong else entry.hash, max(expected, entry.number + 1)
    yield from _missing(incident, range(expected, count + 1))
    if expected == count + 1 and previous not in (None, head):
        yield Finding(
            incident, count, Problem.BROKEN_CHAIN, "its hash is not the one that the incident's row ends with"
        )


def _wrong(entry: RawEntry, previous: str | None, places: range) -> Finding | None:
    def finding(problem: Problem, text: str) -> Finding:
        return Finding(entry.incident_id, entry.number, problem, text)

    if entry.number not in places:
        return finding(Problem.INSERTED, "it was never recorded: there is no such entry, or another one has its number")
    if entry_hash(entry) != entry.hash:
        if (place := _recorded_as(entry, places.stop - 1)) is not None:
            return finding(Problem.MOVED, f"it was recorded as entry {place}")
        return finding(Problem.CHANGED, "its content does not fit its hash")
    if previous not in (None, entry.previous):
        return finding(Problem.BROKEN_CHAIN, "it does not follow the entry before it: one of them was put there later")
    return None


def _recorded_as(entry: RawEntry, count: int) -> int | None:
    """The place that the entry's hash was made for, if the entry is whole otherwise."""
    return next((n for n in range(1, count + 1) if entry_hash(entry, n) == entry.hash), None)


def _missing(incident: str, numbers: Iterable[int]) -> Iterator[Finding]:
    for number in numbers:
        yield Finding(incident, number, Problem.MISSING, "it was recorded and is gone")


def _verify_one(book: Book, incident: str) -> Iterator[Finding]:
    row, entries = book.raw_row(incident), book.raw_entries(incident)
    if row is None:
        yield Finding(incident, None, Problem.MISSING, f"its row is gone, {len(entries)} entries are left")
        return
    broken = list(check_chain(entries, incident, row["entries"], row["head"]))
    yield from broken
    if broken:  # what follows from a timeline that is not whole proves nothing about the rows
        return
    try:
        yield from _check_rows(book, row, entries)
    except (CorruptStoreError, ValueError, LookupError, TypeError, AttributeError) as error:
        yield Finding(incident, None, Problem.WRONG_ROW, f"its rows cannot be compared with its timeline: {error}")


def _check_rows(book: Book, row: Mapping[str, Any], entries: tuple[RawEntry, ...]) -> Iterator[Finding]:
    incident: str = row["id"]
    data: list[Mapping[str, Any]] = [json.loads(entry.data) for entry in entries]
    told = derive_incident(incident, zip((entry.recorded_at for entry in entries), data, strict=True))
    yield from _compare(incident, Problem.WRONG_ROW, "the incident's row", row, told)
    symptoms = {(s["scenario"], s["target"]): s for s in map(row_values, book.symptoms(incident))}
    yield from _compare_all(incident, Problem.WRONG_SYMPTOM, "symptom", symptoms, derive_symptoms(data))
    hand_overs = {(h["scenario"], h["occurrence"]): h for h in map(row_values, book.hand_overs(incident))}
    yield from _compare_all(incident, Problem.WRONG_HAND_OVER, "hand-over", hand_overs, derive_hand_overs(data))


def _compare_all(
    incident: str,
    problem: Problem,
    what: str,
    rows: Mapping[Any, Mapping[str, Any]],
    told: Mapping[Any, Mapping[str, Any]],
) -> Iterator[Finding]:
    for key in sorted({*rows, *told}, key=str):
        name = f"{what} {key[0]} ({key[1]})"
        if key not in told:
            yield Finding(incident, None, problem, f"{name}: the timeline does not tell of it")
        elif key not in rows:
            yield Finding(incident, None, problem, f"{name}: the timeline tells of it, and it is gone")
        else:
            yield from _compare(incident, problem, name, rows[key], told[key])


def _compare(
    incident: str, problem: Problem, what: str, row: Mapping[str, Any], told: Mapping[str, Any]
) -> Iterator[Finding]:
    for name, value in told.items():
        if row[name] != value:
            text = f"{what} says {name} = {row[name]!r}, the timeline says {value!r}"
            yield Finding(incident, None, problem, text)


def _gone(counters: Mapping[int, int], known: Iterable[str]) -> Iterator[Finding]:
    """Incidents that were counted and of which nothing is left; ids are given without gaps."""
    known = set(known)
    for year, count in sorted(counters.items()):
        for number in range(1, count + 1):
            if (name := incident_id(year, number)) not in known:
                yield Finding(name, None, Problem.MISSING, "it was opened, and nothing of it is left")
    for name in sorted(known):
        parsed = parse_incident_id(name)
        if parsed is None or parsed[1] > counters.get(parsed[0], 0):
            yield Finding(name, None, Problem.INSERTED, "its number was never given")
