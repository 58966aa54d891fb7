"""After the broker is back: producer and Spark go on by themselves as a rule, and are restarted only if they do not."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from include.health.observations import OffsetsFacts, Outcome, Probe, ProcessorFacts, ProducerFacts
from include.playbook.names import ScenarioId
from include.remediation.model import Finding, Need, Proof, RungWork, RunRequest, Work
from include.remediation.rungs_common import blind_finding, facts_of
from include.remediation.tools import Tools
from include.remediation.waiting import until

Maker = Callable[[Tools, RunRequest], RungWork]


class Progress(NamedTuple):
    """How far a process is by its own word. ``waiting``: there is something that it could do and has not done."""

    position: tuple[int, ...]
    waiting: bool


class Client(NamedTuple):
    """A process that works with Kafka: how to see it go on, and the seconds that it gets for that."""

    name: str
    progress: Callable[[Tools], Progress | None]
    seconds: float


def after_kafka(restart: Maker, client: Client) -> Maker:
    """The rung ``restart``; in the ladder of Kafka only if the process does not go on by itself."""

    def make(tools: Tools, request: RunRequest) -> RungWork:
        work = restart(tools, request)
        return AfterKafka(work, tools, client) if request.scenario is ScenarioId.KAFKA_DOWN else work

    return make


class AfterKafka:
    """The work is that of the rung it wraps; the need is its own."""

    def __init__(self, work: RungWork, tools: Tools, client: Client) -> None:
        self._work, self._tools, self._client = work, tools, client

    def need(self) -> Finding:
        """See :class:`include.remediation.model.RungWork`."""
        canary = self._tools.look(Probe.KAFKA_CANARY)
        if canary.outcome is Outcome.BLIND:
            return blind_finding(canary, "The broker")
        if canary.outcome is Outcome.FAILED:
            text = f"The broker does not take a test message ({canary.error}), so {self._client.name} cannot go on yet."
            return Finding(Need.FORBIDDEN, text, facts_of(canary))
        name, before = self._client.name, self._client.progress(self._tools)
        if before is None:
            return self._work.need()
        after = until(self._tools.clock, self._client.seconds, self._look, lambda seen: _goes_on(before, seen))
        if after is not None and _goes_on(before, after):
            how = "has gone on" if after.position != before.position else "has nothing left to do"
            return Finding(Need.NOT_NEEDED, f"{name} {how} by itself.", {"position": list(after.position)})
        found = self._work.need()
        if found.need is not Need.NOT_NEEDED:
            return found
        text = f"The broker is back, and {name} has not gone on by itself within {self._client.seconds:g} s."
        return Finding(Need.NEEDED, text, {**found.facts, "position": list(before.position)})

    def services(self) -> tuple[str, ...]:
        """As the wrapped rung."""
        return self._work.services()

    def do(self) -> Work:
        """As the wrapped rung."""
        return self._work.do()

    def proof(self) -> Proof:
        """As the wrapped rung."""
        return self._work.proof()

    def roll_back(self) -> Work | None:
        """As the wrapped rung."""
        return self._work.roll_back()

    def _look(self) -> Progress | None:
        return self._client.progress(self._tools)


def _goes_on(before: Progress, after: Progress | None) -> bool:
    return after is not None and (after.position != before.position or not after.waiting)


def producer_progress(tools: Tools) -> Progress | None:
    """Trade ids acknowledged by Kafka; waiting while it has received more. ``None``: it does not tell."""
    facts = tools.look(Probe.PRODUCER).facts
    if not isinstance(facts, ProducerFacts):
        return None
    symbols = [symbol for _, symbol in sorted(facts.symbols.items())]
    waiting = facts.buffered > 0 or any(symbol.received != symbol.acknowledged for symbol in symbols)
    return Progress(tuple(-1 if s.acknowledged is None else s.acknowledged for s in symbols), waiting)


def processor_progress(tools: Tools) -> Progress | None:
    """The last batch that ended; waiting while the topic holds more than was counted. ``None``: it does not tell."""
    facts = tools.look(Probe.PROCESSOR).facts
    if not isinstance(facts, ProcessorFacts):
        return None
    topic = tools.look(Probe.OFFSETS).facts
    waiting = not isinstance(topic, OffsetsFacts) or any(
        facts.offsets.get(number) != partition.end for number, partition in topic.partitions.items() if partition.end
    )
    last = facts.last_batch.id if facts.last_batch is not None else -1
    return Progress((facts.pid, last), waiting)


PRODUCER = Client("btc_producer", producer_progress, 8.0)
PROCESSOR = Client("stream_processor", processor_progress, 15.0)
