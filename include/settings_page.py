"""``docs/configuration.md``, made of the settings: ``python -m include.settings_page`` rewrites it.

A section is what stands below a heading in :class:`~include.settings.Settings` (``# --- Kafka ---``), so that a setting
is described, grouped and checked in one place.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
import types
import typing
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from include.settings import ENV_FILE_VARIABLE, PREFIX, PROJECT_ROOT, Settings
from include.settings_errors import bounds

PAGE = PROJECT_ROOT / "docs" / "configuration.md"
COMMAND = "make configuration"

_HEADING = re.compile(r"    # --- (?P<name>.+?) -+$")
_HEAD = f"""\
# Configuration

<!-- Made of include/settings.py by `{COMMAND}`; a test compares. -->

Every setting is an environment variable, read once when a process starts. What counts, in this order: the environment;
the file `.env` in the project's folder (`{ENV_FILE_VARIABLE}` names another one; empty: none); for secrets, the files
of the secrets' folder; the default. A value that is not allowed, or a name that does not exist, ends the process with a
message that says what is allowed.

Lists are comma-separated. A secret is best given as a file, which the default column names: `make up` makes those that
it needs under `secrets` in the home, containers get them in `/run/secrets`.
"""
_WORDS: dict[Any, str] = {int: "whole number", float: "number", str: "text", SecretStr: "text", bool: "true or false"}


def page() -> str:
    """The page as it must be."""
    return "\n".join([_HEAD, *(_section(name, fields) for name, fields in sections().items())])


def sections() -> dict[str, dict[str, FieldInfo]]:
    """The settings by the heading that they stand below, in the order of the source."""
    lines = inspect.getsource(Settings).splitlines()
    headings = {number: match["name"] for number, line in enumerate(lines, 1) if (match := _HEADING.match(line))}
    (definition,) = ast.parse("\n".join(lines)).body
    found: dict[str, dict[str, FieldInfo]] = {}
    for statement in typing.cast(ast.ClassDef, definition).body:
        name = statement.target.id if _is_field(statement) else ""
        if name in Settings.model_fields:
            heading = headings[max(number for number in headings if number < statement.lineno)]
            found.setdefault(heading, {})[name] = Settings.model_fields[name]
    return found


def _is_field(statement: ast.stmt) -> typing.TypeGuard[Any]:
    return isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)


def _section(heading: str, fields: Mapping[str, FieldInfo]) -> str:
    rows = [_row(name, info) for name, info in fields.items()]
    return "\n".join([f"## {heading}\n", "| variable | default | allowed | meaning |", "|---|---|---|---|", *rows, ""])


def _row(name: str, info: FieldInfo) -> str:
    meaning = info.description or ""
    if info.annotation is SecretStr:
        cells = [f"`{PREFIX}{name.upper()}`", f"secret: file `{PREFIX.lower()}{name}`", allowed(info), meaning]
    else:
        cells = [f"`{PREFIX}{name.upper()}`", default(info.default), allowed(info), meaning]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def default(value: Any) -> str:
    """As one would type it into ``.env``."""
    if value is None:
        return "unset"
    if isinstance(value, Path):
        text = str(value.relative_to(PROJECT_ROOT)) if value.is_relative_to(PROJECT_ROOT) else str(value)
    elif isinstance(value, tuple):
        text = ",".join(map(str, value))
    elif isinstance(value, dict):
        text = ",".join(f"{key}={item}" for key, item in value.items())
    else:
        text = repr(value).removesuffix(".0") if isinstance(value, float) else str(value)
    return f"`{text}`" if text else "empty"


def allowed(info: FieldInfo) -> str:
    """The kind of value and its bounds, in words; patterns as code."""
    found = [re.sub(r"of the form (.+)$", r"of the form `\1`", bound) for bound in bounds(info)]
    kind = _kind(info.annotation)
    return ", ".join([kind, *found] if kind else found)


def _kind(annotation: Any) -> str:
    origin = typing.get_origin(annotation)
    if origin in (typing.Union, types.UnionType):
        (annotation,) = (each for each in typing.get_args(annotation) if each is not types.NoneType)
        origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _kind(typing.get_args(annotation)[0])
    if origin is tuple:
        return "list of whole numbers" if int in typing.get_args(annotation) else "list"
    if origin is dict:
        return "list of name=value"
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return ""  # the bounds name its values
    return _WORDS.get(annotation, "path")


def main() -> int:
    """Write the page, if it differs."""
    if not PAGE.is_file() or PAGE.read_text() != page():
        PAGE.write_text(page())
        sys.stdout.write(f"Written: {PAGE.relative_to(PROJECT_ROOT)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
