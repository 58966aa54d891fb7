"""Text from outside as Markdown that means nothing but itself.

Whatever an incident, a log or a person says is shown as it is: no markup, no HTML, no link, no line of its own, no
characters that turn the direction of reading. What looks like an address of the network becomes a code span, since some
renderers make links of bare addresses, whatever is escaped.
"""

from __future__ import annotations

import re
import unicodedata

_SPECIAL = re.compile(r"([\\`*\[\]<>|~&$]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9]))")  # within a word _ is plain
_ADDRESS = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*://|www\.|mailto:)[^\s|`]+|[^\s|`@]{1,64}@[^\s|`@]+\.[^\s|`@]+")
_LIST_NUMBER = re.compile(r"^(\d{1,9})([.)])")
_FENCE = re.compile(r"`+")
_REPLACED = "\N{REPLACEMENT CHARACTER}"


def plain_line(text: str, most: int | None = None) -> str:
    """One line without control characters; cut after ``most`` characters."""
    line = " ".join(_harmless(text if most is None else text[: 4 * most]).split())
    return line if most is None or len(line) <= most else f"{line[: max(most - 1, 0)]}…"


def escaped(text: str, most: int | None = None) -> str:
    """As a part of a paragraph, a list item or a cell of a table."""
    line = plain_line(text, most)
    parts, at = [], 0
    for match in _ADDRESS.finditer(line):
        parts += [_escape(line[at : match.start()]), code(match[0])]
        at = match.end()
    parts.append(_escape(line[at:]))
    return _first_character("".join(parts))


def code(text: str, most: int | None = None) -> str:
    """As a code span, whatever backticks it has; also within a table."""
    line = plain_line(text, most).replace("|", "\N{FULLWIDTH VERTICAL LINE}")
    if not line:
        return ""
    fence = "`" * (max((len(run) for run in _FENCE.findall(line)), default=0) + 1)
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{pad}{line}{pad}{fence}"


def quoted(text: str, most: int | None = None) -> list[str]:
    """A person's words as a block quote, line by line."""
    text = text if most is None or len(text) <= most else f"{text[: most - 1]}…"
    lines = [escaped(line) for line in text.split("\n")]
    return [f"> {line}".rstrip() + ("\\" if line and following else "") for line, following in _with_next(lines)]


def _with_next(lines: list[str]) -> list[tuple[str, str]]:
    return list(zip(lines, [*lines[1:], ""], strict=True))


def _escape(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", text)


def _first_character(text: str) -> str:
    """Nothing at the beginning makes a heading, a list, a rule or a table's line of it."""
    if text[:1] in {"#", "-", "+", "=", ":"}:
        return f"\\{text}"
    return _LIST_NUMBER.sub(r"\1\\\2", text)


def _harmless(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(each if each in "\n\t" or unicodedata.category(each)[0] != "C" else _REPLACED for each in text)
