"""The simulated plant: what it shows on a quiet day, that faults take their course, that it is the same each time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import pairwise

import pytest

from include.health.observations import Code, Observation, Outcome, Probe, Seen
from include.services.names import KAFKA, MYSQL, PROCESSOR, PRODUCER
from tests.detection import plant_mysql
from tests.detection.actions import blinded, continued, exchange, hung, killed, left_alone, mysql, sets, started
from tests.detection.plant import EVERY, Action, Plant
from tests.detection.plant_market import Stream


def seen(plant: Plant, seconds: int) -> list[Seen]:
    return list(plant.run(seconds))


def looks(rounds: list[Seen], probe: Probe) -> list[Observation]:
    return [observation for each in rounds for observation in each.observations if observation.probe is probe]


# --- A quiet day -------------------------------------------------------------------------------------------------
def test_a_quiet_hour_shows_every_probe_at_its_cadence_and_nothing_wrong() -> None:
    rounds = seen(Plant(), 3_600)
    counts = Counter(observation.probe for each in rounds for observation in each.observations)
    assert {probe: 3_600 // every for probe, every in EVERY.items()} == dict(counts)
    assert {observation.outcome for each in rounds for observation in each.observations} == {Outcome.OK}
    assert [each.at for each in rounds] == [rounds[0].at + second for second in range(3_600)]


def test_the_same_seed_gives_the_same_day_and_another_one_another() -> None:
    def traded(seed: int) -> list[int]:
        return [o.facts.newest["BTCUSDT"] for o in looks(seen(Plant(seed=seed), 120), Probe.EXCHANGE)]  # type: ignore[union-attr]

    assert traded(1) == traded(1)
    assert traded(1) != traded(2)


def test_positions_follow_each_other_at_every_hop() -> None:
    plant = Plant()
    for _ in plant.run(600):
        first = plant.market.first_ids
        done, ends = plant.processor.done, plant.broker.ends
        for s in (0, 1):
            acknowledged = plant.producer.acked[s]
            assert first[s] + done[s] <= first[s] + ends[s] == acknowledged <= plant.producer.received[s]
            assert plant.producer.received[s] <= plant.market.ids[s]
    assert min(plant.processor.done) > 1_000


# --- Faults and their consequences -------------------------------------------------------------------------------
FAULTS: list[tuple[Action, Probe, Outcome, Code]] = [
    (killed(KAFKA), Probe.KAFKA_TCP, Outcome.FAILED, Code.REFUSED),
    (killed(KAFKA), Probe.KAFKA_CANARY, Outcome.FAILED, Code.REFUSED),
    (killed(KAFKA), Probe.OFFSETS, Outcome.FAILED, Code.REFUSED),
    (hung(KAFKA), Probe.KAFKA_TCP, Outcome.OK, Code.OK),
    (hung(KAFKA), Probe.KAFKA_CANARY, Outcome.FAILED, Code.TIMEOUT),
    (hung(KAFKA), Probe.KAFKA_METADATA, Outcome.FAILED, Code.TIMEOUT),
    (sets("broker", commits=False), Probe.KAFKA_GROUP, Outcome.FAILED, Code.TIMEOUT),
    (killed(MYSQL), Probe.MYSQL_CANARY, Outcome.FAILED, Code.REFUSED),
    (hung(MYSQL), Probe.MYSQL_LEDGER, Outcome.FAILED, Code.TIMEOUT),
    (mysql(plant_mysql.CREDENTIALS), Probe.MYSQL_CANARY, Outcome.FAILED, Code.CREDENTIALS),
    (mysql(plant_mysql.READ_ONLY), Probe.MYSQL_LEDGER, Outcome.OK, Code.OK),
    (mysql(plant_mysql.ROWS_LOCKED), Probe.MYSQL_CANARY, Outcome.OK, Code.OK),
    (mysql(plant_mysql.CONNECTIONS), Probe.MYSQL_CANARY, Outcome.FAILED, Code.CAPACITY),
    (exchange(Stream.CLOSED, Code.BANNED), Probe.EXCHANGE, Outcome.FAILED, Code.BANNED),
    (left_alone(PRODUCER), Probe.PRODUCER, Outcome.FAILED, Code.REFUSED),
    (hung(PROCESSOR), Probe.PROCESSOR, Outcome.FAILED, Code.TIMEOUT),
    (blinded(Probe.HOST, Code.OWN_FAULT, "OSError"), Probe.HOST, Outcome.BLIND, Code.OWN_FAULT),
]


@pytest.mark.parametrize(("action", "probe", "outcome", "code"), FAULTS)
def test_a_fault_shows_in_the_probe_that_looks_at_it(
    action: Action, probe: Probe, outcome: Outcome, code: Code
) -> None:
    plant = Plant(script=((60.4, action),))
    before, after = seen(plant, 60), seen(plant, 60)[15:]
    assert {o.outcome for o in looks(before, probe)} == {Outcome.OK}
    assert {(o.outcome, o.code) for o in looks(after, probe)} == {(outcome, code)}


def test_a_look_that_hangs_is_told_at_its_deadline_and_not_begun_again_before() -> None:
    plant = Plant(script=((60.4, hung(KAFKA)),))
    seen(plant, 60)
    failures = [each.at - plant.begin for each in seen(plant, 12) if looks([each], Probe.KAFKA_CANARY)]
    assert failures == [63.0, 65.0, 67.0, 69.0, 71.0]


Course = Callable[[Plant], str]
STATUS: Course = lambda plant: plant.processor.status.value  # noqa: E731
PRODUCING: Course = lambda plant: plant.producer.status(plant.now).value  # noqa: E731
COURSES: list[tuple[str, tuple[tuple[float, Action], ...], Course, list[str]]] = [
    (
        "MySQL is away for ten minutes",
        ((60.4, killed(MYSQL)), (660.4, started(MYSQL))),
        STATUS,
        ["running", "retrying_mysql", "failed", "starting", "restarting_query", "failed", "starting"],
    ),
    (
        "Kafka is away for a minute",
        ((60.4, killed(KAFKA)), (120.4, started(KAFKA))),
        STATUS,
        ["running", "restarting_query", "running"],
    ),
    (
        "Kafka is away for a minute",
        ((60.4, killed(KAFKA)), (120.4, started(KAFKA))),
        PRODUCING,
        ["live", "buffering_kafka_away", "live"],
    ),
    (
        "the feed is silent",
        ((60.4, exchange(Stream.SILENT)), (300.4, exchange())),
        PRODUCING,
        ["live", "silent", "polling", "live"],
    ),
    (
        "the exchange is away",
        ((60.4, exchange(Stream.CLOSED, Code.SERVER_ERROR)), (300.4, exchange())),
        PRODUCING,
        ["live", "exchange_unreachable", "live"],
    ),
]


@pytest.mark.parametrize(("what", "script", "course", "expected"), COURSES)
def test_a_fault_takes_its_course(
    what: str, script: tuple[tuple[float, Action], ...], course: Course, expected: list[str]
) -> None:
    plant, states = Plant(script=script), []
    for _ in range(900):
        plant.step()
        if not states or states[-1] != course(plant):
            states.append(course(plant))
    assert states[: len(expected)] == expected, what


def test_what_was_buffered_while_kafka_was_away_comes_late_and_whole() -> None:
    plant = Plant(script=((60.4, killed(KAFKA)), (180.4, started(KAFKA))))
    seen(plant, 180)
    assert plant.producer.buffered > 1_000
    assert max(plant.broker.lag_seconds(plant.now), plant.producer.unacknowledged_seconds(plant.now)) > 110
    seen(plant, 120)
    assert plant.producer.buffered == 0
    assert plant.producer.acked == plant.market.ids
    assert plant.broker.lag_seconds(plant.now) < 3


def test_supervision_gives_up_on_a_job_that_ends_at_once_and_tries_again_after_its_rest() -> None:
    plant = Plant(script=tuple((60.4 + 3 * i, killed(PROCESSOR)) for i in range(40)))
    starts = []
    for _ in range(400):
        plant.step()
        if plant.processor.process.started_at > plant.begin and plant.processor.process.starts > len(starts) + 1:
            starts.append(plant.processor.process.started_at - plant.begin)
    pauses = [b - a for a, b in pairwise(starts)]
    assert len([start for start in starts if start < 120]) == 5
    assert max(pauses) >= 60


def test_a_frozen_process_goes_on_where_it_was() -> None:
    plant = Plant(script=((60.4, hung(PROCESSOR)), (120.4, continued(PROCESSOR))))
    seen(plant, 110)
    assert plant.broker.lag_seconds(plant.now) > 45
    seen(plant, 30)
    assert plant.broker.lag_seconds(plant.now) < 3
    assert plant.processor.process.starts == 1


def test_a_quiet_market_brings_nothing_and_breaks_nothing() -> None:
    plant = Plant(script=((60.4, sets("market", quiet=True)),))
    seen(plant, 60)
    ids = list(plant.market.ids)
    rounds = seen(plant, 300)
    assert plant.market.ids == ids
    assert {o.outcome for each in rounds for o in each.observations} == {Outcome.OK}
    assert looks(rounds, Probe.PRODUCER)[-1].facts.silence_verdict == "quiet"  # type: ignore[union-attr]


def test_a_quiet_second_costs_some_microseconds() -> None:
    """Loose by a factor of ten, as other tests may run beside this one."""
    import time

    plant = Plant()
    began = time.perf_counter()
    for _ in plant.run(5_000):
        pass
    assert (time.perf_counter() - began) / 5_000 < 150e-6
