"""Why a record is no trade of ours, in the words of the dead letter."""

from __future__ import annotations

import json
from typing import Any

import pytest

from include.broker.dead_letters import DeadLetterReason
from spark_jobs.lib.rejects import explain

GOOD = {"e": "trade", "E": 1, "s": "BTCUSDT", "t": 5, "p": "1.50", "q": "2", "T": 1_610_064_000_000, "m": True}


def changed(**fields: Any) -> bytes:
    return json.dumps({**GOOD, **fields}).encode()


@pytest.mark.parametrize(
    ("value", "reason", "words"),
    [
        (b"", DeadLetterReason.MALFORMED_JSON, "not one JSON object"),
        (None, DeadLetterReason.MALFORMED_JSON, "not one JSON object"),
        (b"\xff\xfe\x00", DeadLetterReason.MALFORMED_JSON, "not one JSON object"),
        (b'{"e":"trade","t":', DeadLetterReason.MALFORMED_JSON, "not one JSON object"),
        (json.dumps(GOOD).encode() * 2, DeadLetterReason.MALFORMED_JSON, "Extra data"),
        (b"[" * 100_000, DeadLetterReason.MALFORMED_JSON, "not one JSON object"),
        (b"[1]", DeadLetterReason.SCHEMA_MISMATCH, "not list"),
        (changed(e="aggTrade"), DeadLetterReason.UNEXPECTED_EVENT, "aggTrade"),
        (changed(p=1.5), DeadLetterReason.SCHEMA_MISMATCH, "field p: str is expected, not float"),
        (changed(p=None), DeadLetterReason.SCHEMA_MISMATCH, "field p: str is expected, not NoneType"),
        (changed(t="5"), DeadLetterReason.SCHEMA_MISMATCH, "field t: int is expected, not str"),
        (changed(t=True), DeadLetterReason.SCHEMA_MISMATCH, "field t: int is expected, not bool"),
        (b'{"e":"trade","s":"BTCUSDT"}', DeadLetterReason.SCHEMA_MISMATCH, "field t: int is expected, not missing"),
        (changed(s="DOGEUSDT"), DeadLetterReason.UNEXPECTED_SYMBOL, "DOGEUSDT"),
        (changed(p="0"), DeadLetterReason.VALUE_OUT_OF_RANGE, "field p"),
        (changed(q="1e3"), DeadLetterReason.VALUE_OUT_OF_RANGE, "field q"),
        (changed(q="0.123456789"), DeadLetterReason.VALUE_OUT_OF_RANGE, "field q"),
        (changed(t=-1), DeadLetterReason.VALUE_OUT_OF_RANGE, "id -1"),
    ],
)
def test_reason_and_detail(value: bytes | None, reason: DeadLetterReason, words: str) -> None:
    found, detail = explain(value, {"BTCUSDT"})
    assert found is reason
    assert words in detail
    assert len(detail) <= 200
