"""The dead-letter format survives its way through Kafka headers."""

from __future__ import annotations

import pytest

from include.broker.dead_letters import DeadLetter, DeadLetterReason


@pytest.mark.parametrize("raw", [b"", b"{broken", b"\xff\x00 not text", b'{"e":"trade"}'])
def test_raw_bytes_reason_and_time_survive(raw: bytes) -> None:
    letter = DeadLetter(raw, DeadLetterReason.SCHEMA_MISMATCH, "p is null – not a price", "btc_producer", "x@trade", 17)
    assert DeadLetter.from_record(raw, letter.headers()) == letter


def test_a_record_that_is_no_dead_letter_is_refused() -> None:
    with pytest.raises(KeyError):
        DeadLetter.from_record(b"", [("reason", b"malformed_json")])
