"""What may be written into a timeline: JSON values, cleaned text, aware moments, no secrets."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from enum import Enum
from itertools import pairwise
from pathlib import Path
from typing import Any

from include.incidents.errors import InvalidEntryError

# Keys under which the store itself keeps what an entry changed; see ``include.incidents.recording``.
CHANGE, ATTACHMENT, HAND_OVER = "change", "attachment", "hand_over"
RESERVED_KEYS = frozenset({CHANGE, ATTACHMENT, HAND_OVER})

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_SECRET_WORDS = frozenset({"password", "passwords", "passwd", "passphrase", "secret", "secrets", "token", "tokens"})
_SECRET_PAIRS = frozenset({("api", "key"), ("private", "key"), ("access", "key")})
_SECRET_JOINED = frozenset({"apikey", "privatekey", "accesskey", "authorization"})


def check_data(data: Mapping[str, Any]) -> dict[str, Any]:
    """The data as plain JSON values: tuples become lists, enum members their values, moments ISO text, figures that
    are no number (NaN, infinity) their names.

    Raises :class:`InvalidEntryError` for a key that looks like a secret's, a key that the store itself writes, or a
    value that JSON does not have.
    """
    if taken := sorted(RESERVED_KEYS & data.keys()):
        raise InvalidEntryError(f"The store itself writes {', '.join(taken)} into an entry; choose another key.")
    return {key: _plain(value, key) for key, value in _items(data, "")}


def canonical(value: Any) -> str:
    """The one JSON text of a value: sorted keys, no spaces, ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def clean_text(text: str) -> str:
    """Text that every database takes: characters that cannot be stored are replaced by a mark."""
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode("utf-8")


def utc(moment: datetime) -> datetime:
    """The moment in UTC. Raises :class:`InvalidEntryError` for one without a time zone."""
    if moment.tzinfo is None:
        raise InvalidEntryError(f"{moment.isoformat()} has no time zone; moments of an incident are aware, in UTC.")
    return moment.astimezone(UTC)


def moment_text(moment: datetime) -> str:
    """ISO 8601 in UTC to the microsecond, always of the same length: it sorts as text."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _items(data: Mapping[Any, Any], where: str) -> list[tuple[str, Any]]:
    for key in data:
        if not isinstance(key, str):
            raise InvalidEntryError(f"Keys of an entry's data are text; {where or 'it'} has {key!r}.")
        if _looks_secret(key):
            raise InvalidEntryError(
                f"{where}{key} looks like the name of a secret. Secrets are not written into a timeline, which cannot"
                " be changed afterwards; leave the value out, or choose a name that says what it is."
            )
    return list(data.items())


def _looks_secret(key: str) -> bool:
    words = [word.lower() for word in _WORDS.findall(key)]
    return bool(
        _SECRET_WORDS & set(words) or _SECRET_JOINED & {"".join(words), *words} or _SECRET_PAIRS & set(pairwise(words))
    )


def _plain(value: Any, where: str) -> Any:
    value = value.value if isinstance(value, Enum) else value
    if isinstance(value, Mapping):
        return {key: _plain(each, f"{where}.{key}") for key, each in _items(value, f"{where}.")}
    if isinstance(value, list | tuple):
        return [_plain(each, f"{where}[{index}]") for index, each in enumerate(value)]
    if isinstance(value, set | frozenset):
        return _plain(sorted(value, key=str), where)
    return _scalar(value, where)


def _scalar(value: Any, where: str) -> bool | int | float | str | None:
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, datetime):
        return moment_text(utc(value))
    if isinstance(value, date | Path):
        return str(value)
    raise InvalidEntryError(f"{where} is a {type(value).__name__}, which JSON does not have.")
