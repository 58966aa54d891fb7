"""What the probes, but those of MySQL, see of the simulated plant: facts, codes and deadlines as the real ones have.

What does not change is one object that is handed out again and again, so that a quiet second costs a few microseconds.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import msgspec

from include.health.observations import (
    BatchFacts,
    ClusterFacts,
    Code,
    ExchangeFacts,
    HostFacts,
    LogFacts,
    Observation,
    OffsetsFacts,
    PartitionFacts,
    Probe,
    ProcessesFacts,
    ProcessorFacts,
    ProducerFacts,
    ProducerSymbolFacts,
    RoundTripFacts,
)
from include.producer.status import Status
from include.services.names import PROCESSOR
from tests.detection.plant_market import SYMBOLS
from tests.detection.plant_seeing import POOL, failed, ok, round_trips

if TYPE_CHECKING:
    from tests.detection.plant import Plant

RETENTION_SECONDS = 7 * 86_400.0
_PROCESSES_ALL_OLD_SECONDS = 30.0


class Looks:
    """One method per probe; each takes the moment and gives an observation."""

    def __init__(self, plant: Plant, rng: random.Random) -> None:
        self._plant = plant
        self._turn = rng.randrange(POOL)
        self._tcp = round_trips(Probe.KAFKA_TCP, rng, 0.0004)
        self._canary = round_trips(Probe.KAFKA_CANARY, rng, 0.008)
        self._group = round_trips(Probe.KAFKA_GROUP, rng, 0.004)
        self._cluster = [
            ok(Probe.KAFKA_METADATA, ClusterFacts(brokers=1, controller=1, topic_problems={}, seconds=0.003 + i / 1e4))
            for i in range(20)
        ]
        self._no_errors = ok(Probe.LOGS, LogFacts(errors={}))
        self._roomy_host = [self._host(0.6 + i / 1e3) for i in range(20)]
        self._processes: tuple[float, Observation] | None = None
        self._producer_base: ProducerFacts | None = None

    # --- Processes -----------------------------------------------------------------------------------------------
    def processes(self, now: float) -> Observation:
        """``PROCESSES``."""
        plant = self._plant
        if plant.processes_settled and self._processes and now - self._processes[0] < _PROCESSES_ALL_OLD_SECONDS:
            return self._processes[1]
        facts = ProcessesFacts(services={process.name: process.facts(now) for process in plant.processes})
        observation = ok(Probe.PROCESSES, facts)
        self._processes = (now, observation) if plant.processes_settled else None
        return observation

    # --- Kafka ---------------------------------------------------------------------------------------------------
    def kafka_tcp(self, now: float) -> Observation:
        """``KAFKA_TCP``: a broker that hangs still takes connections."""
        process = self._plant.kafka
        if process.answers or process.hung:
            self._turn = turn = (self._turn + 1) % POOL
            return self._tcp[turn]
        return failed(Probe.KAFKA_TCP, Code.REFUSED, "connection refused")

    def kafka_canary(self, now: float) -> Observation:
        """``KAFKA_CANARY``."""
        broker = self._plant.broker
        if not broker.process.answers:
            return self._kafka_away(Probe.KAFKA_CANARY, 1.8)
        if broker.refuses is not None:
            return failed(Probe.KAFKA_CANARY, broker.refuses, f"Broker: {broker.refuses.value}", 0.02)
        return self._slowed(self._canary[self._turn])

    def kafka_metadata(self, now: float) -> Observation:
        """``KAFKA_METADATA``."""
        broker = self._plant.broker
        if not broker.process.answers:
            return self._kafka_away(Probe.KAFKA_METADATA, 1.8)
        if broker.topic_problems:
            facts = ClusterFacts(brokers=1, controller=1, topic_problems=dict(broker.topic_problems), seconds=0.004)
            return ok(Probe.KAFKA_METADATA, facts)
        return self._cluster[self._turn % 20]

    def kafka_group(self, now: float) -> Observation:
        """``KAFKA_GROUP``."""
        broker = self._plant.broker
        if not broker.process.answers:
            return self._kafka_away(Probe.KAFKA_GROUP, 2.7)
        if not broker.commits:
            return failed(Probe.KAFKA_GROUP, Code.TIMEOUT, "Broker: Coordinator not available", 2.7)
        return self._slowed(self._group[self._turn])

    def offsets(self, now: float) -> Observation:
        """``OFFSETS``: ends and commits in one round."""
        broker = self._plant.broker
        if not broker.process.answers:
            return self._kafka_away(Probe.OFFSETS, 1.8)
        ends, committed = broker.stale_ends or broker.ends, broker.committed
        ahead = self._plant.clock_ahead_of_records
        waiting = [broker.waiting_seconds(0, now), broker.waiting_seconds(1, now)]
        partitions = {
            p: PartitionFacts(
                end=ends[p],
                committed=committed[p],
                waiting_seconds=(waiting[p] + ahead if ends[p] > committed[p] else 0.0),
            )
            for p in (0, 1)
        }
        partitions[2] = PartitionFacts(end=0, committed=None, waiting_seconds=0.0)
        return ok(Probe.OFFSETS, OffsetsFacts(partitions=partitions, retention_seconds=self._plant.retention_seconds))

    def _kafka_away(self, probe: Probe, deadline: float) -> Observation:
        if self._plant.kafka.hung:
            return failed(probe, Code.TIMEOUT, "Local: Timed out", deadline)
        return failed(probe, Code.REFUSED, "no broker accepts connections", 0.65)

    def _slowed(self, observation: Observation) -> Observation:
        slow = self._plant.broker.slow
        if slow == 1.0:
            return observation
        seconds = observation.facts.seconds * slow  # type: ignore[union-attr]
        return ok(observation.probe, RoundTripFacts(seconds=seconds), min(seconds, 0.9))

    # --- Producer and exchange -----------------------------------------------------------------------------------
    def producer(self, now: float) -> Observation:
        """``PRODUCER``."""
        plant = self._plant
        producer, market, process = plant.producer, plant.market, plant.producer.process
        if not process.answers:
            if process.hung:
                return failed(Probe.PRODUCER, Code.TIMEOUT, "read timed out", 0.9)
            return failed(Probe.PRODUCER, Code.REFUSED, "connection refused")
        event_age = now - producer.data_at + 0.2
        calm = producer.calm()
        states = ("live", "live") if calm else producer.symbol_states()
        symbols = {
            symbol: ProducerSymbolFacts(
                received=producer.received[i], acknowledged=producer.acked[i], event_age_seconds=event_age, state=state
            )
            for i, (symbol, state) in enumerate(zip(SYMBOLS, states, strict=True))
        }
        base = self._producer_base
        if not calm or base is None or base.pid != process.pid or base.status != "live":
            base = self._producer_base = self._producer_slowly(now, symbols)
        facts = msgspec.structs.replace(
            base,
            age_seconds=now - process.started_at,
            symbols=symbols,
            silent_seconds=now - producer.data_at,
            silence_verdict=producer.verdict.value if producer.verdict else None,
            weight_used=producer.weight_used(now),
            window_valid=int(market.rate() * 10),
        )
        return ok(Probe.PRODUCER, facts)

    def _producer_slowly(self, now: float, symbols: dict[str, ProducerSymbolFacts]) -> ProducerFacts:
        producer = self._plant.producer
        status = producer.status(now)
        failing = ("stream",) if status in (Status.POLLING, Status.EXCHANGE_UNREACHABLE) else ()
        return ProducerFacts(
            status=status.value,
            pid=producer.process.pid,
            age_seconds=0.0,
            symbols=symbols,
            silent_seconds=0.0,
            silence_verdict=None,
            stream_proven=producer.untrusted_since is None,
            polling=producer.polling,
            times_limited=producer.times_limited,
            retry_after_seconds=producer.retry_after(now),
            weight_used=0,
            weight_limit=6_000,
            open_breakers=failing,
            buffered=producer.buffered,
            oldest_unacknowledged_seconds=producer.unacknowledged_seconds(now),
            publisher_state=producer.publisher.value,
            invalid_state=producer.flood.value,
            invalid_total=producer.invalid_total,
            window_valid=producer.window[0],
            window_invalid=producer.window[1],
            last_error=producer.last_error,
        )

    def exchange(self, now: float) -> Observation:
        """``EXCHANGE``: the oracle."""
        market = self._plant.market
        if market.rest is not None:
            took = 2.0 if market.rest is Code.TIMEOUT else 0.2
            text = f"{market.rest.value} from every endpoint"
            answers = {"api": market.rest.value, "data-api": market.rest.value}
            observation = failed(Probe.EXCHANGE, market.rest, text, took)
            return msgspec.structs.replace(observation, facts=ExchangeFacts(newest={}, answers=answers))
        newest = {SYMBOLS[0]: market.ids[0], SYMBOLS[1]: market.ids[1]}
        return ok(Probe.EXCHANGE, ExchangeFacts(newest=newest, weight_used=8), 0.08)

    # --- Processor -----------------------------------------------------------------------------------------------
    def processor(self, now: float) -> Observation:
        """``PROCESSOR``."""
        processor = self._plant.processor
        process = processor.process
        if not process.answers:
            if process.hung:
                return failed(Probe.PROCESSOR, Code.TIMEOUT, "read timed out", 0.9)
            return failed(Probe.PROCESSOR, Code.REFUSED, "connection refused")
        last, batch = processor.last, processor.batch
        phase = processor.phase(now)
        facts = ProcessorFacts(
            status=processor.status.value,
            pid=process.pid,
            age_seconds=now - process.started_at,
            query_run_id=f"run-{processor.query_runs}",
            batch_running=phase is not None,
            batch_age_seconds=now - batch.began if phase is not None and batch is not None else 0.0,
            batch_phase=phase.value if phase else None,
            phase_age_seconds=processor.phase_age(now),
            last_batch=None
            if last is None
            else BatchFacts(
                id=last.id,
                input_rows=last.rows,
                invalid_rows=0,
                duplicate_rows=0,
                duration_seconds=last.seconds,
                phase_seconds={"aggregate": last.seconds - last.mysql_seconds, "mysql": last.mysql_seconds},
                committed_age_seconds=now - last.committed_at,
            ),
            offsets={0: processor.done[0], 1: processor.done[1]},
            last_error=processor.error,
            last_error_age_seconds=now - processor.error_at if processor.error else None,
            last_error_code=processor.error_code if processor.error else None,
            last_error_number=processor.error_number if processor.error else None,
        )
        return ok(Probe.PROCESSOR, facts)

    # --- Host and logs -------------------------------------------------------------------------------------------
    def host(self, now: float) -> Observation:
        """``HOST``."""
        share = self._plant.database.disk_free_share
        if share == 0.6 and self._plant.kafka_disk_free_share == 0.6:
            return self._roomy_host[self._turn % 20]
        return self._host(self._plant.kafka_disk_free_share, share)

    @staticmethod
    def _host(kafka: float, mysql: float = 0.6) -> Observation:
        shares = {"kafka": kafka, "mysql": mysql, "checkpoint": kafka, "incidents": 0.6}
        free = {folder: int(share * 2e11) for folder, share in shares.items()}
        facts = HostFacts(
            disk_free_bytes=free, disk_free_share=shares, memory_free_share=0.5, file_descriptors_share=0.02
        )
        return ok(Probe.HOST, facts)

    def logs(self, now: float) -> Observation:
        """``LOGS``: what was logged since the last look."""
        errors, lines = self._plant.processor.errors, self._plant.log_errors
        if not errors and not lines:
            return self._no_errors
        told = {service: dict.fromkeys(by_class, 1) for service, by_class in lines.items()}
        newest = {service: next(iter(by_class.values())) for service, by_class in lines.items()}
        if errors:
            told[PROCESSOR] = dict(errors)
            newest[PROCESSOR] = self._plant.processor.error or "the transaction is tried again"
        errors.clear()
        lines.clear()
        return ok(Probe.LOGS, LogFacts(errors=told, newest=newest))
