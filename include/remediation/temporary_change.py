"""Settings of stream_processor that a remedy changes for a time."""

from __future__ import annotations

from include.remediation.model import RunRequest
from include.remediation.tools import Tools
from include.runtime.temporary_settings import TemporarySetting

INTERVAL, MOST_OFFSETS = "micro_batch_seconds", "max_offsets_per_trigger"
OF_PROCESSOR = (INTERVAL, MOST_OFFSETS)


def change(tools: Tools, request: RunRequest, name: str, value: float, because: str) -> None:
    """Put ``value`` into force for the next start. What an earlier change of it replaced stays on record as before."""
    before = float(getattr(tools.settings, name))
    earlier = tools.temporary.get(name)
    tools.temporary.put(
        TemporarySetting(
            name=name,
            value=in_words(value),
            before=earlier.before if earlier is not None else in_words(before),
            incident_id=request.incident_id,
            by=request.requested_by,
            because=because,
            since=tools.now().isoformat(timespec="seconds"),
        )
    )


def in_words(value: float) -> str:
    """As in an environment variable: whole numbers without a point."""
    return str(int(value)) if float(value).is_integer() else str(value)
