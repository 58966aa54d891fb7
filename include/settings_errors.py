"""What is said about wrong settings: which one, what was received, what is allowed."""

from __future__ import annotations

import difflib
import os
from collections.abc import Collection, Mapping
from enum import StrEnum
from pathlib import Path

from pydantic import ValidationError
from pydantic.fields import FieldInfo


class SettingsError(Exception):
    """One or more settings are wrong. The text is meant for the person who started the program."""


def explain(error: ValidationError, fields: Mapping[str, FieldInfo], prefix: str) -> str:
    """One line for each wrong setting. What may hold a secret is not repeated."""
    lines = []
    for item in error.errors():
        if not item["loc"]:  # a rule over several settings names its setting itself
            lines.append(f"  {item['msg'].removeprefix('Value error, ')}")
            continue
        field = str(item["loc"][0])
        received = "(hidden)" if "password" in field or field.endswith("_url") else repr(item["input"])
        lines.append(
            f"  {prefix}{field.upper()}: received {received}: {item['msg']}. Allowed: {allowed(fields[field])}"
        )
    return "These settings are wrong:\n" + "\n".join(lines)


def allowed(info: FieldInfo) -> str:
    """What a setting accepts, in words: its description and its bounds."""
    return " ".join([info.description or "", *(f"Must be {b}." for b in bounds(info))]).strip()


def bounds(info: FieldInfo) -> list[str]:
    """The limits of a setting, in words, each fit to follow "must be"."""
    found = [text for meta in info.metadata if (text := _bound(meta))]
    if isinstance(info.annotation, type) and issubclass(info.annotation, StrEnum):
        found.append(f"one of {', '.join(info.annotation)}")
    return found


def _bound(meta: object) -> str:
    words = {"ge": "at least", "gt": "greater than", "le": "at most", "lt": "less than"}
    parts = [f"{text} {getattr(meta, name)}" for name, text in words.items() if getattr(meta, name, None) is not None]
    pattern = getattr(meta, "pattern", None)
    return " and ".join(parts + ([f"of the form {pattern}"] if pattern else []))


def refuse_unknown(env_file: Path, known: Collection[str], prefix: str) -> None:
    """A misspelt setting must not be ignored in silence. Raises :class:`SettingsError`."""
    names = set(os.environ)
    if env_file.is_file():
        names |= {line.split("=", 1)[0].strip() for line in env_file.read_text().splitlines() if "=" in line}
    if unknown := sorted(n for n in names if n.startswith(prefix) and n not in known):
        hints = [
            f"  {n} (did you mean {m[0]}?)" if (m := difflib.get_close_matches(n, known)) else f"  {n}" for n in unknown
        ]
        raise SettingsError("These settings do not exist:\n" + "\n".join(hints))
