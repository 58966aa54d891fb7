"""A pipeline through which the trades of one symbol flow, second by second, told in observations.

Each hop takes everything that the hop before it has, unless a story stops it. For stories about the rules that compare
positions; the whole plant with its processes and their reactions is in ``tests/detection``.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from include.health.observations import (
    BatchFacts,
    ExchangeFacts,
    Observation,
    OffsetsFacts,
    Outcome,
    PartitionFacts,
    Probe,
    ProcessFacts,
    ProducerSymbolFacts,
    RowsFacts,
    Seen,
)
from include.health.rules.base import Rules
from include.health.verdicts import Verdict
from tests.support.observing import START, ok, processes, processor, producer, runs

SYMBOL = "BTCUSDT"
Act = Callable[["Flow"], None]
Script = Mapping[float, Act]


class Flow:
    """``trades``: per second. ``stopped``: hops that take nothing (received, acked, counted, committed). ``reads``:
    most records counted in a second. ``told``: instead of a probe's own look; ``None`` for no look at all.
    ``producer``, ``processor`` and ``partition``: facts that are other than usual. ``batch_seconds``: of each batch.
    """

    def __init__(self, *, trades: float = 10.0) -> None:
        self.now, self.trades = 0.0, trades
        self.stopped: set[str] = set()
        self.reads: float | None = None
        self.told: dict[Probe, Observation | None] = {}
        self.services: dict[str, ProcessFacts] = {"btc_producer": runs(8), "stream_processor": runs(7)}
        self.producer: dict[str, Any] = {}
        self.processor: dict[str, Any] = {}
        self.partition: dict[str, Any] = {}
        self.exchange: dict[str, int] = {}
        self.batch_seconds, self.mysql_seconds, self.invalid_rows = 0.3, 0.05, 0
        self.traded = self.received = self.acked = self.counted = self.committed = 1_000
        self._part = 0.0
        self._ends = [1_000]  # end of the log, by second
        self._received_at = self._counted_at = 0.0
        self._batch, self._rows = 1, 10

    def as_usual(self) -> None:
        """Whatever a story has changed is over, except the processes."""
        self.stopped.clear()
        for facts in (self.told, self.producer, self.processor, self.partition):
            facts.clear()
        for look in ("_producer", "_processor", "_ledger"):
            self.__dict__.pop(look, None)

    def step(self) -> Seen:
        """One second more."""
        self.now += 1.0
        self._part += self.trades
        self.traded += int(self._part)
        self._part -= int(self._part)
        if "received" not in self.stopped and self.received != self.traded:
            self.received, self._received_at = self.traded, self.now
        if "acked" not in self.stopped:
            self.acked = self.received
        if "counted" not in self.stopped and self.acked > self.counted:
            read = self.acked - self.counted if self.reads is None else min(self.reads, self.acked - self.counted)
            self._count(int(read))
        if "committed" not in self.stopped:
            self.committed = self.counted
        self._ends.append(self.acked)
        return Seen(START + self.now, tuple(self._looks()))

    def run(self, until: float, script: Script | None = None) -> Iterator[Seen]:
        """Seconds up to ``until``; each act of the script when its second has come."""
        plan = sorted((script or {}).items())
        while self.now < until:
            while plan and plan[0][0] <= self.now:
                plan.pop(0)[1](self)
            yield self.step()

    @property
    def waiting(self) -> float:
        """Seconds since the oldest unread record came."""
        return 0.0 if self.committed >= self.acked else self.now - bisect_right(self._ends, self.committed) + 0.5

    def _count(self, rows: int) -> None:
        self.counted += rows
        self._counted_at, self._batch, self._rows = self.now, self._batch + 1, rows

    def _looks(self) -> Iterator[Observation]:
        looks = {
            Probe.PROCESSES: (1, lambda: processes(**self.services)),
            Probe.PRODUCER: (1, self._producer),
            Probe.EXCHANGE: (
                5,
                lambda: ok(Probe.EXCHANGE, ExchangeFacts(newest={SYMBOL: self.traded, **self.exchange})),
            ),
            Probe.OFFSETS: (2, self._offsets),
            Probe.PROCESSOR: (1, self._processor),
            Probe.MYSQL_LEDGER: (2, self._ledger),
        }
        for probe, (every, look) in looks.items():
            if self.now % every == 0:
                observation = self.told[probe] if probe in self.told else look()
                if observation is not None:
                    yield observation
        yield from (o for probe, o in self.told.items() if probe not in looks and o is not None)

    def _producer(self) -> Observation:
        own = ProducerSymbolFacts(
            received=self.received,
            acknowledged=self.acked,
            event_age_seconds=self.now - self._received_at,
            state="live",
        )
        usual = {"symbols": {SYMBOL: own}, "silent_seconds": self.now - self._received_at, "window_valid": 100}
        return producer(**{**usual, "buffered": self.received - self.acked, **self.producer})

    def _offsets(self) -> Observation:
        usual = {"end": self.acked, "committed": self.committed, "waiting_seconds": self.waiting}
        first = PartitionFacts(**{**usual, **self.partition})
        empty = PartitionFacts(end=0, committed=None, waiting_seconds=0.0)
        return ok(Probe.OFFSETS, OffsetsFacts(partitions={0: first, 1: empty}, retention_seconds=3_600.0))

    def _processor(self) -> Observation:
        batch = BatchFacts(
            id=self._batch,
            input_rows=self._rows,
            invalid_rows=self.invalid_rows,
            duplicate_rows=0,
            duration_seconds=self.batch_seconds,
            phase_seconds={"mysql": self.mysql_seconds, "aggregate": self.batch_seconds - self.mysql_seconds},
            committed_age_seconds=self.now - self._counted_at,
        )
        return processor(**{"last_batch": batch, "offsets": {0: self.counted}, **self.processor})

    def _ledger(self) -> Observation:
        age = self.now - self._counted_at
        facts = RowsFacts(
            counted={SYMBOL: self.counted},
            batches=self._batch,
            batch_age_seconds=age,
            row_age_seconds=age,
            offsets={0: self.counted},
        )
        return ok(Probe.MYSQL_LEDGER, facts)


def both(*acts: Act) -> Act:
    """All of them in the same second."""

    def act(flow: Flow) -> None:
        for each in acts:
            each(flow)

    return act


def leaves_out(one_in: int, *, settles: bool = True) -> Act:
    """From now on all trades fall into blocks that are left out; without ``settles`` one waits for Kafka."""

    def act(flow: Flow) -> None:
        flow.stopped.add("acked")
        look = flow._producer

        def told() -> Observation:
            own = ProducerSymbolFacts(
                received=flow.received,
                acknowledged=flow.acked,
                event_age_seconds=flow.now - flow._received_at,
                state="live",
                settled=flow.received if settles else flow.acked,
            )
            flow.producer.update(symbols={SYMBOL: own}, sampling=one_in, buffered=0)
            return look()

        flow._producer = told  # type: ignore[method-assign]

    return act


def watched(rules: Rules, flow: Flow, until: float, script: Script | None = None) -> dict[float, Verdict]:
    """The verdicts of one scenario's rules, by seconds since the start."""
    verdicts = {}
    for seen in flow.run(until, script):
        for observation in seen.observations:
            take = rules.handlers.get(observation.probe)
            if take is not None and observation.outcome is not Outcome.BLIND:
                take(seen.at, observation)
        verdicts[flow.now] = rules.verdict(seen.at)
    return verdicts


def first(verdicts: Mapping[float, Verdict], *states: str) -> float | None:
    """When one of these states was first concluded."""
    return next((second for second, verdict in verdicts.items() if verdict.state in states), None)


def changes(verdicts: Mapping[float, Verdict]) -> list[str]:
    """The states in their order."""
    words: list[str] = []
    for verdict in verdicts.values():
        if not words or words[-1] != verdict.state:
            words.append(verdict.state.value)
    return words
