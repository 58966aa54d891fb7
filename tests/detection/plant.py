"""A simulated plant: exchange → btc_producer → Kafka → stream_processor → MySQL, second by second, from a seed.

It yields what the real probes would have seen (:class:`Seen`) at their cadences, with their noise, and faults switched
on and off by a script take their true course through every hop.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator

from include.health.observations import Observation, Probe, Seen
from include.services.names import EXCHANGE, KAFKA, MYSQL, PROCESSOR, PRODUCER
from tests.detection.plant_kafka import Broker
from tests.detection.plant_looks import RETENTION_SECONDS, Looks
from tests.detection.plant_looks_mysql import MysqlLooks
from tests.detection.plant_market import Market
from tests.detection.plant_mysql import Database
from tests.detection.plant_processes import Process
from tests.detection.plant_processor import Processor
from tests.detection.plant_producer import Producer

MIDNIGHT = 1_767_225_600.0  # 2026-01-01 00:00 UTC
EVERY: dict[Probe, int] = {
    Probe.PROCESSES: 1,
    Probe.KAFKA_TCP: 1,
    Probe.KAFKA_CANARY: 1,
    Probe.KAFKA_METADATA: 2,
    Probe.KAFKA_GROUP: 10,
    Probe.OFFSETS: 2,
    Probe.PRODUCER: 1,
    Probe.EXCHANGE: 5,
    Probe.PROCESSOR: 1,
    Probe.MYSQL_CANARY: 1,
    Probe.MYSQL_LEDGER: 2,
    Probe.MYSQL_SCHEMA: 10,
    Probe.MYSQL_AUDIT: 60,
    Probe.MYSQL_LOCKS: 10,
    Probe.HOST: 10,
    Probe.LOGS: 5,
}

Action = Callable[["Plant"], None]
Script = Iterable[tuple[float, Action]]  # seconds after the begin, and what happens then
Look = Callable[[float], Observation]

_CYCLE = 60  # seconds after which the schedule of the looks repeats
_LONG_LOOK_SECONDS = 0.5  # its result comes with a later second


class Plant:
    """``hour``: of the day at which it begins. ``cold``: nothing runs yet. ``now``: seconds since the epoch."""

    def __init__(
        self, *, seed: int = 1, hour: float = 12.0, cold: bool = False, quiet_minutes: bool = True, script: Script = ()
    ) -> None:
        rng = random.Random(seed)
        self.begin = self.now = MIDNIGHT + hour * 3_600
        self.kafka = Process(KAFKA, 4.0, rng)
        self.mysql = Process(MYSQL, 1.0, rng)
        self.exchange = Process(EXCHANGE, 1.0, rng)
        producing = Process(PRODUCER, 2.0, rng, supervised=True)
        processing = Process(PROCESSOR, 1.5, rng, supervised=True)
        self.processes = (self.exchange, producing, self.kafka, processing, self.mysql)
        self.market = Market(rng, quiet_minutes=quiet_minutes)
        self.broker = Broker(self.kafka)
        self.database = Database(self.mysql)
        self.producer = Producer(producing, self.market, self.broker)
        self.processor = Processor(processing, self.broker, self.database, rng)
        self.retention_seconds = RETENTION_SECONDS
        self.kafka_disk_free_share = 0.6
        self.clock_offset = 0.0  # of the observer's clock
        self.clock_ahead_of_records = 0.0
        self.observer_away = False
        self.probe_faults: dict[Probe, Look] = {}
        self.log_errors: dict[str, dict[str, str]] = {}  # newest line by service and class, since somebody looked
        self.processes_settled = True
        self._script = sorted(script, key=lambda entry: entry[0])
        self._next_action = 0
        self._schedule = _make_schedule(Looks(self, rng), MysqlLooks(self, rng))
        self._busy_until: dict[Probe, float] = {}
        self._late: list[tuple[float, Observation]] = []
        if not cold:
            self._warm()

    def run(self, seconds: int) -> Iterator[Seen]:
        """The next ``seconds``, one :class:`Seen` each."""
        for _ in range(seconds):
            seen = self.step()
            if seen is not None:
                yield seen

    def step(self) -> Seen | None:
        """One second; ``None`` while nobody observes."""
        self.now = now = self.now + 1.0
        script = self._script
        if self._next_action < len(script) and now >= self.begin + script[self._next_action][0]:
            self._act(now)
        if not self.processes_settled:
            self._tend_processes(now)
        self.processor.step(now)  # of what came before this second
        self.market.step(now)
        self.producer.step(now)
        if not self.processor.process.alive:
            self.processes_settled = False
        observations = self._look(now)
        return None if self.observer_away else Seen(now + self.clock_offset, observations)

    def unsettle(self) -> None:
        """A process was touched."""
        self.processes_settled = False

    # --- Inside --------------------------------------------------------------------------------------------------
    def _act(self, now: float) -> None:
        while self._next_action < len(self._script) and now >= self.begin + self._script[self._next_action][0]:
            self._script[self._next_action][1](self)
            self._next_action += 1
        self.processes_settled = False

    def _tend_processes(self, now: float) -> None:
        for process in self.processes:
            process.step(now)
        self.processes_settled = all(process.settled(now) for process in self.processes)

    def _look(self, now: float) -> tuple[Observation, ...]:
        faults, busy = self.probe_faults, self._busy_until
        seen = []
        for probe, look in self._schedule[int(now) % _CYCLE]:
            if busy and busy.get(probe, 0.0) > now:
                continue
            observation = faults[probe](now) if faults and probe in faults else look(now)
            if observation.took_seconds >= _LONG_LOOK_SECONDS:
                busy[probe] = now + observation.took_seconds
                self._late.append((now + observation.took_seconds, observation))
            else:
                seen.append(observation)
        if self._late:
            due = [observation for at, observation in self._late if at <= now]
            self._late = [entry for entry in self._late if entry[0] > now]
            return (*due, *seen)
        return tuple(seen)

    def _warm(self) -> None:
        now = self.now
        for process in self.processes:
            process.begin(now)
        self.market.traded_at = now
        self.producer.begin(now)
        self.processor.begin(now)


def _make_schedule(looks: Looks, mysql: MysqlLooks) -> list[list[tuple[Probe, Look]]]:
    """The looks of each second of a minute; the slow ones are spread."""
    by_probe: dict[Probe, Look] = {p: getattr(looks, p.value, None) or getattr(mysql, p.value) for p in EVERY}
    places = {probe: place if EVERY[probe] > 1 else 0 for place, probe in enumerate(EVERY)}
    return [
        [(probe, look) for probe, look in by_probe.items() if (second + places[probe]) % EVERY[probe] == 0]
        for second in range(_CYCLE)
    ]
