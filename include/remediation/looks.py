"""Single looks with the probes of the health room, made when they are first needed."""

from __future__ import annotations

import threading
from collections.abc import Callable

from include.health.observations import Code, Observation, Outcome
from include.health.observations import Probe as ProbeName
from include.health.probes.base import Probe, blind
from include.services.controller import ServiceController
from include.settings import Settings

_Maker = Callable[[Settings, ServiceController], Probe]


class Looks:
    """Each probe is made once and keeps its connections (those of Kafka until a look fails); two looks of one probe
    never overlap.

    Safe for several threads. A look raises nothing: a probe's own fault is an observation that is ``BLIND``.
    """

    def __init__(self, settings: Settings, controller: ServiceController) -> None:
        self._settings, self._controller = settings, controller
        self._lock = threading.Lock()
        self._probes: dict[ProbeName, tuple[Probe, threading.Lock]] = {}

    def __call__(self, name: ProbeName) -> Observation:
        """Do the probe's operation once, within its own deadline."""
        try:
            probe, busy = self._probe(name)
        except Exception as error:  # a client that cannot be made says nothing about its target
            return blind(name, Code.OWN_FAULT, error)
        if not busy.acquire(timeout=probe.deadline):  # an earlier look hangs: for the prober this is an overrun, too
            return Observation(probe=name, outcome=probe.overrun, code=Code.TIMEOUT, error="an earlier look hangs")
        try:
            seen = probe.look()
            if seen.outcome is Outcome.FAILED and name in _MADE_ANEW:
                self._forget(name, probe)
            return seen
        except Exception as error:
            return blind(name, Code.OWN_FAULT, error)
        finally:
            busy.release()

    def close(self) -> None:
        """Free the connections."""
        with self._lock:
            probes, self._probes = list(self._probes.values()), {}
        for probe, _ in probes:
            probe.close()

    def _forget(self, name: ProbeName, probe: Probe) -> None:
        with self._lock:
            self._probes.pop(name, None)
        probe.close()

    def _probe(self, name: ProbeName) -> tuple[Probe, threading.Lock]:
        with self._lock:
            if name not in self._probes:
                self._probes[name] = (_MAKERS[name](self._settings, self._controller), threading.Lock())
            return self._probes[name]


# Their clients remember for half a minute that nobody listened; a broker that has just been started is asked anew.
_MADE_ANEW = frozenset({ProbeName.KAFKA_CANARY, ProbeName.KAFKA_METADATA, ProbeName.KAFKA_GROUP, ProbeName.OFFSETS})


# The clients behind the probes are imported with the first look: a rung that needs none of them starts at once.
def _processes(settings: Settings, controller: ServiceController) -> Probe:
    from include.health.probes.processes import ProcessesProbe

    return ProcessesProbe(controller, settings.run_dir)


def _kafka_tcp(settings: Settings, _: ServiceController) -> Probe:
    from include.health.probes.kafka_tcp import KafkaTcp

    return KafkaTcp(settings.bootstrap_servers)


def _kafka_canary(settings: Settings, _: ServiceController) -> Probe:
    from include.health.probes.kafka_canary import KafkaCanary

    return KafkaCanary(settings.bootstrap_servers)


def _kafka_metadata(settings: Settings, _: ServiceController) -> Probe:
    from include.broker.topics import expected_topics
    from include.health.probes.kafka_metadata import KafkaMetadata

    return KafkaMetadata(settings.bootstrap_servers, expected_topics(settings))


def _kafka_group(settings: Settings, _: ServiceController) -> Probe:
    from include.health.probes.kafka_group import KafkaGroup

    return KafkaGroup(settings.bootstrap_servers)


def _offsets(settings: Settings, _: ServiceController) -> Probe:
    from include.health.probes.offsets import KafkaOffsets

    return KafkaOffsets(settings.bootstrap_servers, settings.topic_retention_hours * 3_600, settings.trades_topic)


def _producer(settings: Settings, _: ServiceController) -> Probe:
    from include.health.probes.producer import ProducerHealth
    from include.market.weight import RetryAfterGate
    from include.runtime.clock import SystemClock

    return ProducerHealth(settings.producer_health_port, RetryAfterGate(SystemClock()), host=settings.producer_host)


def _exchange(settings: Settings, _: ServiceController) -> Probe:
    from include.health.probes.exchange import ExchangeOracle
    from include.market.weight import RetryAfterGate
    from include.runtime.clock import SystemClock

    return ExchangeOracle(settings.rest_endpoints, settings.symbols, RetryAfterGate(SystemClock()))


def _processor(settings: Settings, _: ServiceController) -> Probe:
    from include.health.probes.processor import ProcessorProbe

    return ProcessorProbe(settings)


def _mysql_canary(settings: Settings, _: ServiceController) -> Probe:
    from include.health.probes.mysql_canary import MysqlCanaryProbe

    return MysqlCanaryProbe(settings)


def _mysql_ledger(settings: Settings, _: ServiceController) -> Probe:
    from include.health.probes.mysql_ledger import MysqlLedgerProbe

    return MysqlLedgerProbe(settings)


def _mysql_schema(settings: Settings, _: ServiceController) -> Probe:
    from include.health.probes.mysql_schema import MysqlSchemaProbe

    return MysqlSchemaProbe(settings)


def _mysql_audit(settings: Settings, _: ServiceController) -> Probe:
    from include.health.probes.mysql_audit import MysqlAuditProbe

    return MysqlAuditProbe(settings)


def _mysql_locks(settings: Settings, _: ServiceController) -> Probe:
    from include.health.probes.mysql_locks import MysqlLocksProbe

    return MysqlLocksProbe(settings)


def _host(settings: Settings, _: ServiceController) -> Probe:
    from include.health.probes.host import HostProbe, watched_folders

    return HostProbe(watched_folders(settings), tuple)


def _logs(settings: Settings, controller: ServiceController) -> Probe:
    from include.health.probes.logs import logs_probe

    return logs_probe(settings, controller)


_MAKERS: dict[ProbeName, _Maker] = {
    ProbeName.PROCESSES: _processes,
    ProbeName.KAFKA_TCP: _kafka_tcp,
    ProbeName.KAFKA_CANARY: _kafka_canary,
    ProbeName.KAFKA_METADATA: _kafka_metadata,
    ProbeName.KAFKA_GROUP: _kafka_group,
    ProbeName.OFFSETS: _offsets,
    ProbeName.PRODUCER: _producer,
    ProbeName.EXCHANGE: _exchange,
    ProbeName.PROCESSOR: _processor,
    ProbeName.MYSQL_CANARY: _mysql_canary,
    ProbeName.MYSQL_LEDGER: _mysql_ledger,
    ProbeName.MYSQL_SCHEMA: _mysql_schema,
    ProbeName.MYSQL_AUDIT: _mysql_audit,
    ProbeName.MYSQL_LOCKS: _mysql_locks,
    ProbeName.HOST: _host,
    ProbeName.LOGS: _logs,
}
