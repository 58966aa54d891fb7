"""The hash chain of a timeline, and what may be written into it."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from include.incidents.entry_data import canonical, check_data, moment_text
from include.incidents.errors import InvalidEntryError
from include.incidents.ids import incident_id, parse_incident_id
from include.incidents.model import Entry, EntryKind, NewEntry
from include.incidents.timeline import RawEntry, entry_hash, genesis, raw, seal
from include.incidents.verification import Problem, check_chain
from include.playbook.names import Cause

ID = "INC-2026-0001"
AT = datetime(2026, 11, 6, 21, 20, 0, 5, tzinfo=UTC)


def chain(length: int) -> list[Entry]:
    entries: list[Entry] = []
    for number in range(1, length + 1):
        new = NewEntry(EntryKind.NOTE, "ops", f"line {number}", AT, {"b": number, "a": [1.5, None]})
        entries.append(seal(ID, number, new, AT + timedelta(seconds=1), entries[-1].hash if entries else genesis(ID)))
    return entries


def test_what_was_recorded_once_can_be_checked_by_every_later_version() -> None:
    """These hashes lie in people's databases: a change of what they cover needs a new origin, and checks of the old."""
    first, second = chain(2)
    assert genesis(ID) == "107ad58a56d6937ec13b7836c935f7ac0971b2df678336caea1beaf805b60420"
    assert first.previous == genesis(ID)
    assert first.hash == "9c69090082a59d82d09af769ba83da0362a555cc8b06cc9f49b86778cf926648"
    assert second.previous == first.hash
    assert second.hash == "c20f4040a64212745170506f9f822e9a5f869525e65c908f73868b0089a9b2cb"


def test_a_hash_covers_everything() -> None:
    entry = raw(chain(1)[0])
    for field in fields(RawEntry):
        if field.name != "hash":
            value = getattr(entry, field.name)
            changed = replace(entry, **{field.name: value + (1 if isinstance(value, int) else "x")})
            assert entry_hash(changed) != entry_hash(entry) == entry.hash, field.name
    assert genesis("INC-2026-0002") != genesis(ID)


def problems(entries: list[Entry], count: int, head: str) -> list[tuple[int | None, Problem]]:
    return [(f.number, f.problem) for f in check_chain(map(raw, entries), ID, count, head)]


def test_the_order_of_reading_does_not_matter_and_an_empty_timeline_is_missing() -> None:
    entries = chain(3)
    assert problems(entries[::-1], 3, entries[-1].hash) == []
    assert problems([], 2, entries[1].hash) == [(1, Problem.MISSING), (2, Problem.MISSING)]
    assert problems(entries, 3, entries[1].hash) == [(3, Problem.BROKEN_CHAIN)]
    assert problems([*entries, entries[1]], 3, entries[-1].hash) == [(2, Problem.INSERTED)]


def test_moments_are_written_in_utc_and_sort_as_text() -> None:
    east = datetime(2026, 11, 6, 23, 20, tzinfo=timezone(timedelta(hours=2)))
    assert moment_text(east) == "2026-11-06T21:20:00.000000Z" < moment_text(AT)


@pytest.mark.parametrize(
    "key",
    ["password", "mysql_password", "Passwd", "clientSecret", "SECRET", "token", "access-token", "apiKey", "api_key"],
)
def test_names_of_secrets_are_refused_at_any_depth(key: str) -> None:
    for data in ({key: 1}, {"a": {key: 1}}, {"a": [{"b": ({key: 1},)}]}):
        with pytest.raises(InvalidEntryError, match=key):
            check_data(data)


@pytest.mark.parametrize("key", ["tokenizer", "key", "secretary", "passed", "cause", "keyspace", "monkey", "ok"])
def test_other_names_are_not(key: str) -> None:
    assert check_data({key: 1}) == {key: 1}


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        ((1, [2, (3,)]), [1, [2, [3]]]),
        (float("inf"), "inf"),
        (True, True),
        (Cause.DISK_FULL, "disk_full"),
        (Path("a/b"), "a/b"),
        ({"b", "a"}, ["a", "b"]),
        (AT, "2026-11-06T21:20:00.000005Z"),
    ],
)
def test_values_become_json(value: Any, plain: Any) -> None:
    assert check_data({"x": value}) == {"x": plain}
    assert type(check_data({"x": value})["x"]) is type(plain)


def test_equal_values_have_one_text() -> None:
    assert canonical({"b": 1, "a": "é"}) == canonical({"a": "é", "b": 1}) == r'{"a":"\u00e9","b":1}'


@pytest.mark.parametrize(
    ("year", "number", "name"),
    [(2026, 1, "INC-2026-0001"), (2026, 9999, "INC-2026-9999"), (2027, 10000, "INC-2027-10000")],
)
def test_names_of_incidents(year: int, number: int, name: str) -> None:
    assert incident_id(year, number) == name
    assert parse_incident_id(name) == (year, number)
    assert parse_incident_id(name + "x") is None
