"""What a process said before it ended."""

from __future__ import annotations

import pytest

from include.health.observations import Code, LogFacts, Observation, Outcome, Probe
from include.health.rules.last_words import last_words

OURS = "query ended error=WarehouseFailedError: MySQL error 1054 (schema) after 1 attempt in 0.0 s"
DRIVERS = "ProgrammingError: (mysql.connector.errors.ProgrammingError) 1045 (28000): Access denied for user"


@pytest.mark.parametrize(
    ("classes", "line", "code"),
    [
        ({"schema": 1}, OURS, Code.SCHEMA),
        ({"mysql": 2}, DRIVERS, Code.CREDENTIALS),
        ({"mysql": 1}, "MySQL error 9999 after 1 attempt", None),  # not in the table
        ({"kafka": 3}, "KafkaException: Local: Timed out", Code.TRANSPORT),
        ({"kafka": 1, "other": 1}, "ValueError: 1054 apples", None),  # the newest line is about something else
        ({"other": 1}, "ZeroDivisionError: division by zero", None),
        ({}, "", None),
    ],
)
def test_the_newest_line_tells_whose_trouble_it_was(classes: dict[str, int], line: str, code: Code | None) -> None:
    facts = LogFacts(errors={"stream_processor": classes} if classes else {}, newest={"stream_processor": line})
    seen = Observation(probe=Probe.LOGS, outcome=Outcome.OK, facts=facts)
    assert last_words("stream_processor", seen) is code
    assert last_words("btc_producer", seen) is None
