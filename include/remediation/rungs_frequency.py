"""The rung that has btc_producer publish a part of the trades only, until the stream processor keeps up again."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from typing import Any

from include.health.observations import OffsetsFacts, ProcessorFacts
from include.playbook.names import ScenarioId
from include.playbook.thresholds import LagThresholds
from include.remediation.model import Finding, Need, Proof, RunRequest, Work
from include.remediation.processor_view import ProcessorView
from include.remediation.producer_feed import ProducerLooks
from include.remediation.reduced_frequency import begin_reduced_frequency, end_reduced_frequency
from include.remediation.rungs_common import OnlyWhenNeeded
from include.remediation.tools import Tools
from include.services.names import PRODUCER

_LOOK_SECONDS = 2.0  # between the two looks that make a rate
_USED_SHARE = 0.7  # of what the processor can count: the rest works off what waits
_MOST = 10
_FALLEN_SHARE = 0.75  # of the records before: fewer than these is a fall


@dataclass(frozen=True, slots=True)
class Traffic:
    """Records that arrive and that can be counted, per second; records that wait."""

    arriving: float
    countable: float
    waiting: int

    @property
    def drain_seconds(self) -> float:
        """Until nothing waits, if it goes on like this."""
        spare = self.countable - self.arriving
        return 0.0 if not self.waiting else self.waiting / spare if spare > 0 else math.inf

    @property
    def one_in(self) -> int:
        """Of so many blocks of trades one is to be published."""
        needed = math.ceil(self.arriving / (_USED_SHARE * self.countable)) if self.countable > 0 else _MOST
        return max(2, min(_MOST, needed))

    def in_facts(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "arriving_per_second": round(self.arriving, 1),
            "countable_per_second": round(self.countable, 1),
            "waiting_records": self.waiting,
        }

    def in_words(self) -> str:
        """For people."""
        return (
            f"{self.arriving:,.0f} records a second arrive, {self.countable:,.0f} can be counted, and "
            f"{self.waiting:,} wait"
        )


class ReduceFrequency(OnlyWhenNeeded):
    """Records arrive faster than they are counted, and nothing else has helped."""

    def __init__(self, tools: Tools, request: RunRequest) -> None:
        self.tools, self.request = tools, request
        self._looks, self._processor = ProducerLooks(tools, request), ProcessorView(tools)
        self._before: Traffic | None = None
        self._pause = threading.Event()
        self._earlier: tuple[float, OffsetsFacts] | None = None

    def need(self) -> Finding:
        """See :class:`include.remediation.model.RungWork`."""
        facts = self._looks.facts()
        if facts is None:
            return Finding(Need.UNKNOWN, "btc_producer does not answer, so nobody knows what it publishes.")
        if facts.sampling > 1:
            text = f"btc_producer already publishes only one of {facts.sampling} blocks of trades."
            return Finding(Need.NOT_NEEDED, text, {"one_in": facts.sampling})
        if (forbidden := self._looks.limit.known(facts)) is not None:
            return forbidden
        processor = self._processor.facts()
        if processor is None or processor.last_batch is None:
            text = "stream_processor does not count at all: fewer records would not help it."
            return Finding(Need.NOT_NEEDED, text)
        return self._of_traffic(processor)

    def services(self) -> tuple[str, ...]:
        """See :class:`include.remediation.model.RungWork`."""
        return (PRODUCER,)

    def do(self) -> Work:
        """Announce it, write the setting, restart with it."""
        one_in = 2 if self._before is None else self._before.one_in
        work = begin_reduced_frequency(self.tools, self.request, one_in)
        self._earlier = None
        return work

    def proof(self) -> Proof:
        """Fewer records arrive than before, and fewer wait than at the look before."""
        facts = self._looks.facts()
        if facts is None or facts.sampling == 1:
            return Proof(False, "btc_producer does not publish with the reduced frequency yet.")
        if self._earlier is None:
            self._earlier = self._offsets()
        self._pause.wait(_LOOK_SECONDS)
        later = self._offsets()
        if self._earlier is None or later is None:
            return Proof(False, "The broker does not tell its offsets.")
        arriving, waiting, waited = _rate(self._earlier, later), _waiting(later[1]), _waiting(self._earlier[1])
        told = {"arriving_per_second": round(arriving, 1), "waiting_records": waiting, "waited_records": waited}
        text = f"{arriving:,.0f} records a second arrive, and {waiting:,} wait (before: {waited:,})."
        fewer = self._before is None or arriving < _FALLEN_SHARE * self._before.arriving
        shrinks = waiting < waited or waiting == 0
        if not fewer:
            self._earlier = later
        return Proof(fewer and shrinks, text, told)

    def roll_back(self) -> Work | None:
        """Every trade again."""
        return end_reduced_frequency(self.tools, self.request)

    def _of_traffic(self, processor: ProcessorFacts) -> Finding:
        first = self._offsets()
        self._pause.wait(_LOOK_SECONDS)
        second = self._offsets()
        if first is None or second is None:
            return Finding(Need.UNKNOWN, "The broker does not tell its offsets, so nobody knows what waits.")
        self._before = traffic = Traffic(_rate(first, second), self._countable(processor), _waiting(second[1]))
        limits = self.tools.scenario(ScenarioId.KAFKA_LAG).thresholds_as(LagThresholds)
        oldest = max((own.waiting_seconds or 0.0 for own in second[1].partitions.values()), default=0.0)
        if oldest < limits.exit_seconds:
            text = f"No record waits longer than {oldest:.0f} s ({traffic.in_words()})."
            return Finding(Need.NOT_NEEDED, text, traffic.in_facts())
        if traffic.drain_seconds <= limits.drain_seconds:
            text = f"{traffic.in_words()}: that is worked off in {traffic.drain_seconds:.0f} s."
            return Finding(Need.NOT_NEEDED, text, traffic.in_facts())
        share = f"One of {traffic.one_in} blocks of trades would be published for a time"
        text = (
            f"{traffic.in_words()}. {share}; the averages of that time rest on these alone until the rest is repaired."
        )
        return Finding(Need.NEEDED, text, {**traffic.in_facts(), "one_in": traffic.one_in})

    def _offsets(self) -> tuple[float, OffsetsFacts] | None:
        facts = self._processor.offsets()
        return None if facts is None else (self.tools.clock.monotonic(), facts)

    def _countable(self, processor: ProcessorFacts) -> float:
        """Records per second of work, by the newest batches."""
        recent = self._processor.document().get("pace", {}).get("recent", {})
        rows, seconds = recent.get("rows", 0), recent.get("seconds", {}).get("total", 0.0)
        if not (rows and seconds) and (batch := processor.last_batch) is not None:
            rows, seconds = batch.input_rows, batch.duration_seconds
        return float(rows / seconds) if seconds > 0 else 0.0


def _rate(first: tuple[float, OffsetsFacts], second: tuple[float, OffsetsFacts]) -> float:
    seconds = second[0] - first[0]
    grown = sum(own.end for own in second[1].partitions.values()) - sum(o.end for o in first[1].partitions.values())
    return max(0.0, grown / seconds) if seconds > 0 else 0.0


def _waiting(facts: OffsetsFacts) -> int:
    return sum(
        max(0, own.end - (own.start if own.committed is None else own.committed)) for own in facts.partitions.values()
    )
