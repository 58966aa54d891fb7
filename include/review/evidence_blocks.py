"""A block on disk: redacted, bounded, written whole."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from include.review.evidence import BlockEntry
from include.review.evidence_redaction import Redactor
from include.review.evidence_source import Gathered
from include.runtime.files import write_whole

LONGEST_TEXT = 4_096  # of a line of a log, or of one text in JSON
LARGEST_BLOCK = 1_000_000  # bytes
_MOST_HIGHLIGHTS, _LONGEST_HIGHLIGHT = 8, 300
_SMALLER = ((LONGEST_TEXT, 5_000), (1_024, 1_000), (256, 200), (64, 50))  # longest text, most members of a list


def write_block(folder: Path, gathered: Gathered, redactor: Redactor) -> BlockEntry:
    """Write it, readable by the owner only, and say what lies there. Raises ``OSError``."""
    found, name = gathered.found, gathered.source.name
    is_text = isinstance(found.content, str)
    text = _log_text(redactor.text(found.content)) if is_text else _json_text(redactor.value(found.content))
    path = folder / f"{name}.{'log' if is_text else 'json'}"
    data = text.encode("utf-8", "replace")
    write_whole(path, data.decode(), mode=0o600)
    return BlockEntry(
        name=name,
        kind=gathered.source.kind,
        file=path.name,
        sha256=hashlib.sha256(data).hexdigest(),
        bytes=len(data),
        collected_at=gathered.at,
        available=found.available,
        note=_cut(redactor.text(found.note), LONGEST_TEXT),
        highlights=tuple(_cut(redactor.text(each), _LONGEST_HIGHLIGHT) for each in found.highlights[:_MOST_HIGHLIGHTS]),
    )


def _log_text(text: str) -> str:
    """The newest lines that there is room for, in their order."""
    kept, room = [], LARGEST_BLOCK
    for line in reversed(text.splitlines()):
        short = _cut(line, LONGEST_TEXT)
        room -= len(short.encode("utf-8", "replace")) + 1
        if room < 0:
            break
        kept.append(short)
    return "".join(f"{line}\n" for line in reversed(kept))


def _json_text(content: Any) -> str:
    for longest, most in _SMALLER:
        text = json.dumps(_trimmed(content, longest, most), indent=1, ensure_ascii=False, default=str) + "\n"
        if len(text.encode("utf-8", "replace")) <= LARGEST_BLOCK:
            return text
    return json.dumps({"not_available": f"larger than {LARGEST_BLOCK} bytes"}) + "\n"


def _trimmed(value: Any, longest: int, most: int) -> Any:
    if isinstance(value, str):
        return _cut(value, longest)
    if isinstance(value, dict):
        return {str(key): _trimmed(each, longest, most) for key, each in value.items()}
    if isinstance(value, list | tuple):
        left = len(value) - most
        return [*(_trimmed(each, longest, most) for each in value[:most]), *([f"… {left} more"] if left > 0 else [])]
    return value


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"
