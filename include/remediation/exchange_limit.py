"""Does the exchange want to be left alone (HTTP 429, 418)? Then it is waited out: whatever we send makes it longer.

Who was told so leaves a note beside the running processes, so that no other task asks again only to learn the same.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from include.health.observations import Code, ExchangeFacts, Observation, Outcome, Probe, ProducerFacts
from include.health.probes.base import failed
from include.playbook.names import Cause
from include.remediation.diagnosis import current_cause
from include.remediation.model import Finding, Need, RunRequest
from include.remediation.tools import Tools
from include.runtime.files import write_whole

FILE_NAME = "exchange_limit.json"
LIMITED_CODES = frozenset({Code.RATE_LIMITED, Code.BANNED})
_LIMITED_CAUSES = frozenset({Cause.RATE_LIMITED, Cause.BANNED})


class ExchangeLimit:
    """What is known of the exchange's limits, and the one question that may be asked while nothing is known."""

    def __init__(self, tools: Tools, request: RunRequest) -> None:
        self._tools, self._request = tools, request
        self._file: Path = tools.settings.run_dir / FILE_NAME

    def known(self, facts: ProducerFacts | None = None) -> Finding | None:
        """``FORBIDDEN`` by the producer's own word, an earlier task's, or the diagnosis; nothing is sent."""
        now = self._tools.now()
        if facts is not None and facts.retry_after_seconds > 0:
            return _waited_out(now, now + timedelta(seconds=facts.retry_after_seconds), "btc_producer was told so")
        if (until := self._noted()) is not None and until > now:
            return _waited_out(now, until, "a request of ours was refused")
        if self._diagnosed():
            return _waited_out(now, None, "that is the diagnosis")
        return None

    def ask(self) -> Observation:
        """The newest ids by REST (probe ``EXCHANGE``), unless it is known that nothing may be sent."""
        if (forbidden := self.known()) is not None:
            return failed(Probe.EXCHANGE, Code.RATE_LIMITED, f"not asked: {forbidden.text}")
        seen = self._tools.look(Probe.EXCHANGE)
        if seen.code in LIMITED_CODES and isinstance(seen.facts, ExchangeFacts):
            self.told(seen.facts.retry_after_seconds)
        return seen

    def told(self, seconds: float) -> datetime:
        """Note for everybody that the exchange is to be left alone for so long; until when."""
        until = self._tools.now() + timedelta(seconds=seconds)
        self._file.parent.mkdir(parents=True, exist_ok=True)
        write_whole(self._file, json.dumps({"until": until.isoformat()}) + "\n")
        return until

    def _noted(self) -> datetime | None:
        try:
            return datetime.fromisoformat(json.loads(self._file.read_text(encoding="utf-8"))["until"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _diagnosed(self) -> bool:
        return current_cause(self._tools, self._request) in _LIMITED_CAUSES


def limited_finding(limit: ExchangeLimit, seen: Observation) -> Finding | None:
    """``FORBIDDEN`` if this answer of the exchange was a refusal for too many requests."""
    if seen.outcome is not Outcome.FAILED or seen.code not in LIMITED_CODES:
        return None
    return limit.known() or Finding(Need.FORBIDDEN, f"The exchange refuses requests: {seen.error}. It is waited out.")


def _waited_out(now: datetime, until: datetime | None, how: str) -> Finding:
    facts: dict[str, Any] = {"until": None if until is None else until.isoformat(timespec="seconds")}
    wait = "as long as it says"
    if until is not None:
        wait = f"until {until.astimezone(UTC):%H:%M:%S} UTC ({(until - now).total_seconds():.0f} s)"
    text = f"The exchange wants to be left alone ({how}): it is waited out {wait}. Whatever is sent makes it longer."
    return Finding(Need.FORBIDDEN, text, facts)
