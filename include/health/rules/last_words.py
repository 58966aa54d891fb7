"""What a process said in its log just before it ended: MySQL's own error number, or that it was Kafka."""

from __future__ import annotations

import re

from include.health.observations import Code, LogFacts, Observation
from include.warehouse.error_numbers import ErrorKind, kind_of

_NUMBER = re.compile(r"MySQL error (\d{4})\b|\b(\d{4}) \([0-9A-Z]{5}\)")  # ours, or the driver's with its SQL state


def last_words(service: str, observation: Observation) -> Code | None:
    """The class of the newest error that ``service`` has logged since the last look; ``None`` if it tells nothing."""
    facts = observation.facts
    if not isinstance(facts, LogFacts) or not (classes := facts.errors.get(service)):
        return None
    if number := _NUMBER.search(facts.newest.get(service, "")):
        kind = kind_of(int(number[1] or number[2]))
        return None if kind is ErrorKind.UNKNOWN else Code(kind.value)
    return Code.TRANSPORT if set(classes) == {"kafka"} else None
