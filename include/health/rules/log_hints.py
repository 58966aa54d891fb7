"""Why a process does not start or has ended, as its own log tells it."""

from __future__ import annotations

import re

from include.health.observations import LogFacts, Observation
from include.playbook.names import Cause

_TOLD_FOR_SECONDS = 120.0  # an older line is about an older trouble

_SIGNS: tuple[tuple[Cause, re.Pattern[str]], ...] = (
    (Cause.DISK_FULL, re.compile(r"no space left|disk[ _]?full|disk quota|errno: 28\b", re.IGNORECASE)),
    (Cause.PORT_CONFLICT, re.compile(r"address already in use|port[ _](is already |already )?(in use|conflict)", re.I)),
    (Cause.CORRUPTED_LOG, re.compile(r"corrupt|invalid magic|crc mismatch", re.IGNORECASE)),
)


class LogHints:
    """The newest line of one service's log that names a cause."""

    def __init__(self, service: str) -> None:
        self._service = service
        self._cause, self._at = Cause.UNKNOWN, float("-inf")
        self.line = ""

    def observe(self, at: float, observation: Observation) -> bool:
        """Take an observation of ``LOGS``; whether it names a cause."""
        facts = observation.facts
        if not isinstance(facts, LogFacts) or not (classes := facts.errors.get(self._service)):
            return False
        newest = [facts.newest[key] for key in (self._service, *classes) if key in facts.newest]
        for text in (*newest, *classes):
            for cause, sign in _SIGNS:
                if sign.search(text):
                    self._cause, self._at, self.line = cause, at, text
                    return True
        return False

    def cause(self, at: float) -> Cause | None:
        """The cause named a short while ago, if any."""
        return self._cause if at - self._at < _TOLD_FOR_SECONDS else None
