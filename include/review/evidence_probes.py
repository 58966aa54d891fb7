"""One look by each probe of the health room, as evidence: what the pipeline's targets answer just now."""

from __future__ import annotations

import threading

import msgspec

from include.health.observations import Code, Observation, OffsetsFacts, Outcome
from include.health.observations import Probe as ProbeName
from include.health.probes.base import Probe
from include.review.evidence import BlockKind
from include.review.evidence_source import Found, Source, missing
from include.services.controller import ServiceController
from include.settings import Settings

_OF_KAFKA = frozenset({ProbeName.KAFKA_CANARY, ProbeName.KAFKA_METADATA, ProbeName.KAFKA_GROUP, ProbeName.OFFSETS})


class Probes:
    """The probes of one collection, made when they are first needed; safe for many threads, one look a probe."""

    def __init__(self, settings: Settings, controller: ServiceController) -> None:
        self._settings, self._controller = settings, controller
        self._making = threading.Lock()
        self._made: dict[ProbeName, Probe] = {}
        self._turns = {name: threading.Lock() for name in ProbeName}
        self._seen: dict[ProbeName, Observation] = {}

    def look(self, name: ProbeName) -> Observation:
        """The probe's one look; whoever else asks gets the same.

        What must fail is not tried: where nobody listens, nobody answers. And the exchange is not asked while it told
        the producer to wait (the two probes share what they know of that).
        """
        with self._turns[name]:
            if name not in self._seen:
                self._seen[name] = self._look(name)
            return self._seen[name]

    def close(self) -> None:
        """Free all connections in a daemon thread: one that hangs holds nobody up."""
        threading.Thread(target=self._close, name="evidence-close", daemon=True).start()

    def _look(self, name: ProbeName) -> Observation:
        if name in _OF_KAFKA and (tcp := self.look(ProbeName.KAFKA_TCP)).code is Code.REFUSED:
            return msgspec.structs.replace(tcp, probe=name, error=f"not tried, nobody listens: {tcp.error}")
        if name is ProbeName.EXCHANGE:
            self.look(ProbeName.PRODUCER)
        with self._making:
            if name not in self._made:
                self._made |= {probe.name: probe for probe in self._family(name)}
        return self._made[name].look()

    def _close(self) -> None:
        for turn, probe in ((self._turns[probe.name], probe) for probe in tuple(self._made.values())):
            with turn:  # a look that hangs keeps its probe, and its daemon thread
                probe.close()

    def _family(self, name: ProbeName) -> tuple[Probe, ...]:
        """The probes that are made together. Imported here: what is not asked for costs nothing."""
        if name is ProbeName.KAFKA_TCP:
            from include.health.probes.kafka_tcp import KafkaTcp

            return (KafkaTcp(self._settings.bootstrap_servers),)
        if name in (ProbeName.PROCESSES, ProbeName.PROCESSOR, ProbeName.HOST):
            from include.health.probes.process_probes import process_probes

            return process_probes(self._settings, self._controller)
        from include.health.probes import factory
        from include.health.probes.warehouse import warehouse_probes

        if name in _OF_KAFKA:
            return tuple(probe for probe in factory.kafka_probes(self._settings) if probe.name in _OF_KAFKA)
        if name in (ProbeName.PRODUCER, ProbeName.EXCHANGE):
            return factory.feed_probes(self._settings)
        return warehouse_probes(self._settings)


def probe_source(probes: Probes, name: ProbeName) -> Source:
    """A probe's look as it is. A target that fails is evidence; a probe that could not look has none."""
    kind = BlockKind.EXCHANGE if name is ProbeName.EXCHANGE else BlockKind.PROBE
    return Source(f"probe-{name}", kind, lambda: _as_found(probes.look(name)))


def offsets_source(probes: Probes) -> Source:
    """End and committed offset of every partition, and how long the next record has been waiting."""
    return Source("offsets", BlockKind.OFFSETS, lambda: _offsets(probes.look(ProbeName.OFFSETS)))


def _offsets(observation: Observation) -> Found:
    facts = observation.facts
    if not isinstance(facts, OffsetsFacts):
        return missing(_words(observation), msgspec.to_builtins(observation))
    lag = {number: max(0, each.end - (each.committed or 0)) for number, each in facts.partitions.items()}
    waiting = max((each.waiting_seconds or 0.0 for each in facts.partitions.values()), default=0.0)
    line = f"{sum(lag.values())} records not finished, the oldest waits for {waiting:.1f} s; by partition: {lag}"
    return Found(msgspec.to_builtins(observation), True, "", (line,), {"lag": sum(lag.values())})


def _as_found(observation: Observation) -> Found:
    content = msgspec.to_builtins(observation)
    if observation.outcome is Outcome.BLIND:
        return missing(_words(observation), content)
    good = observation.outcome is Outcome.OK and not observation.error
    return Found(content, highlights=() if good else (_words(observation),))


def _words(observation: Observation) -> str:
    number = "" if observation.number is None else f", number {observation.number}"
    said = f": {observation.error}" if observation.error else ""
    return f"{observation.probe} {observation.outcome} ({observation.code}{number}){said}"
