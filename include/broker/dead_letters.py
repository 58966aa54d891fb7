"""The dead-letter format, shared by btc_producer and stream_processor.

Value: the raw bytes, untouched. Headers: ``reason`` (:class:`DeadLetterReason`), ``detail`` (a sentence), ``stage``
(the process), ``origin`` (stream name, or ``topic-partition-offset``: one origin is one bad message, so a replay's
second copy can be told), ``failed_at`` (milliseconds since the epoch).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class DeadLetterReason(StrEnum):
    """Why a message could not be used."""

    MALFORMED_JSON = "malformed_json"
    SCHEMA_MISMATCH = "schema_mismatch"  # JSON, but not the fields and types of a trade
    VALUE_OUT_OF_RANGE = "value_out_of_range"  # a price, quantity, id or time that no trade can have
    UNEXPECTED_SYMBOL = "unexpected_symbol"
    UNEXPECTED_EVENT = "unexpected_event"  # a well-formed event of another kind
    NOT_STORABLE = "not_storable"  # passes every check, and a batch with it cannot be computed or written all the same


@dataclass(frozen=True)
class DeadLetter:
    """One unusable message with the facts about it."""

    raw: bytes
    reason: DeadLetterReason
    detail: str
    stage: str
    origin: str
    failed_at_ms: int

    def headers(self) -> list[tuple[str, bytes]]:
        """Kafka record headers."""
        return [
            ("reason", self.reason.value.encode()),
            ("detail", self.detail.encode()),
            ("stage", self.stage.encode()),
            ("origin", self.origin.encode()),
            ("failed_at", str(self.failed_at_ms).encode()),
        ]

    @classmethod
    def from_record(cls, value: bytes, headers: list[tuple[str, bytes]]) -> DeadLetter:
        """Read a dead letter back. Raises ``KeyError`` or ``ValueError`` when the record is none."""
        fields = {name: data.decode() for name, data in headers}
        return cls(
            raw=value,
            reason=DeadLetterReason(fields["reason"]),
            detail=fields["detail"],
            stage=fields["stage"],
            origin=fields["origin"],
            failed_at_ms=int(fields["failed_at"]),
        )
