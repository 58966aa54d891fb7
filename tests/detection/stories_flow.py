"""Stories of the feed and of growing lag."""

from __future__ import annotations

from include.health.observations import Code
from include.playbook.names import Cause, Component
from include.services.names import PRODUCER
from tests.detection.actions import (
    all_of,
    continued,
    dying,
    exchange,
    hung,
    killed,
    left_alone,
    logged,
    sets,
    started,
)
from tests.detection.plant import Plant
from tests.detection.plant_market import Stream
from tests.detection.story import CALM_BEFORE, L, M, P, Paging, S, Story, Visible, fault, simple

_EXCHANGE = frozenset({Component.PRODUCER, Component.EXCHANGE})


def _limited(code: Code) -> object:
    """The exchange refuses, and the producer asks it for something."""

    def act(plant: Plant) -> None:
        plant.market.rest, plant.producer.wants_more_rest = code, True
        plant.market.retry_after_until = 0.0
        plant.producer.use_rest(plant.now)

    return act


FEED_STORIES = (
    simple(
        "producer_killed_unsupervised",
        "The producer gets SIGKILL while its supervision is paused.",
        left_alone(PRODUCER),
        started(PRODUCER),
        fault(P, Cause.PROCESS_GONE, within=2, target=Component.PRODUCER),
    ),
    simple(
        "producer_killed",
        "The producer gets SIGKILL, supervision has it back at once: a record, no page.",
        killed(PRODUCER),
        None,
        fault(P, Cause.PROCESS_RESTARTED, within=5, lasts=60, target=Component.PRODUCER, paging=Paging.RECORD),
    ),
    simple(
        "producer_hung",
        "The producer stands still.",
        hung(PRODUCER),
        continued(PRODUCER),
        fault(P, Cause.PROCESS_HUNG, within=10, target=Component.PRODUCER),
    ),
    simple(
        "feed_silent",
        "The stream answers pings and brings nothing, while the exchange trades; the producer falls back to REST.",
        exchange(Stream.SILENT),
        exchange(),
        fault(P, Cause.FEED_SILENT, within=10),
    ),
    simple(
        "producer_cut_off_from_kafka",
        "The producer alone cannot talk to Kafka; the broker is well.",
        sets("producer", cut_off=True),
        sets("producer", cut_off=False),
        fault(P, Cause.KAFKA_CONNECTION, within=30, target=Component.PRODUCER),
    ),
    simple(
        "producer_gap_does_not_close",
        "One trade of a symbol is missing and cannot be fetched: what follows on it is held back.",
        sets("producer", gap=1),
        sets("producer", gap=None),
        fault(P, Cause.SILENT_LOSS, within=90, target=Component.PRODUCER),
    ),
    simple(
        "producer_port_conflict",
        "The producer ends, and at each start finds its health port taken.",
        all_of(killed(PRODUCER), dying(PRODUCER, 1.0), logged(PRODUCER, "OSError: [Errno 98] Address already in use")),
        all_of(dying(PRODUCER, None), started(PRODUCER)),
        fault(P, Cause.PORT_CONFLICT, Cause.CRASH_LOOP, Cause.PROCESS_GONE, within=15, target=Component.PRODUCER),
    ),
    Story(
        "rate_limit_then_ban",
        "HTTP 429, and half a minute later 418; the stream goes on.",
        (
            (CALM_BEFORE, _limited(Code.RATE_LIMITED)),  # type: ignore[arg-type]
            (CALM_BEFORE + 30, _limited(Code.BANNED)),  # type: ignore[arg-type]
            (CALM_BEFORE + 330, all_of(exchange(), sets("producer", wants_more_rest=False))),
        ),
        1_500,
        (fault(P, Cause.BANNED, Cause.RATE_LIMITED, within=50, lasts=330),),
    ),
    simple(
        "exchange_outage",
        "The exchange closes its streams and answers 503.",
        exchange(Stream.CLOSED, Code.SERVER_ERROR),
        exchange(),
        fault(P, Cause.EXCHANGE_OUTAGE, within=30),
    ),
    simple(
        "network_gone",
        "No endpoint of the exchange can be reached.",
        exchange(Stream.CLOSED, Code.UNREACHABLE),
        exchange(),
        fault(P, Cause.NETWORK, within=30),
    ),
    simple(
        "bad_frames",
        "The exchange changes the form of its frames; the producer falls back to REST.",
        exchange(Stream.GARBAGE),
        exchange(),
        fault(P, Cause.SERIALIZATION, within=15),
    ),
    Story(
        "producer_flapping",
        "The producer is killed every three quarters of a minute, and is back at once each time.",
        tuple((CALM_BEFORE + 45 * i, killed(PRODUCER)) for i in range(14)),
        1_900,
        (
            fault(
                P,
                Cause.PROCESS_RESTARTED,
                Cause.CRASH_LOOP,
                Cause.PROCESS_GONE,
                within=5,
                lasts=640,
                target=Component.PRODUCER,
                paging=Paging.EITHER,
            ),
        ),
    ),
    Story(
        "feed_flapping",
        "The stream is silent and well in turns, forty seconds each.",
        tuple((CALM_BEFORE + 40 * i, exchange(Stream.SILENT if i % 2 == 0 else Stream.OK)) for i in range(16)),
        1_900,
        (fault(P, Cause.FEED_SILENT, within=10, lasts=600),),
    ),
)


def _dips(begin: float, end: float, high: float, low: float) -> tuple[tuple[float, object], ...]:
    """``high`` times the usual rate, and every ten minutes ``low`` times for twenty seconds."""
    script: list[tuple[float, object]] = [(begin, sets("market", surge=[high, high]))]
    at = begin + 580
    while at < end:
        script += [(at, sets("market", surge=[low, low])), (at + 20, sets("market", surge=[high, high]))]
        at += 600
    return tuple(script)


_LEVEL = (0.0, sets("market", curve=False))

GROWTH_STORIES = (
    Story(
        "lag_slow_writes",
        "Each row takes MySQL a tenth of a second: batches carry less than what is traded.",
        (
            _LEVEL,
            (1.0, sets("processor", most_offsets=60)),
            (CALM_BEFORE, all_of(sets("database", seconds_per_row=0.12), sets("processor", most_offsets=24))),
            (CALM_BEFORE + 300, all_of(sets("database", seconds_per_row=0.0), sets("processor", most_offsets=500))),
        ),
        1_500,
        (
            fault(
                L,
                Cause.SLOW_MYSQL_WRITES,
                within=30,
                lasts=300,
                visible=Visible.LAG,
                also={S: (Cause.BATCHES_SLOW,), M: (Cause.DEGRADED,)},
            ),
        ),
    ),
    Story(
        "lag_volume",
        "Four times the usual trades for five minutes, twice what a batch may take.",
        (
            _LEVEL,
            (1.0, sets("processor", most_offsets=40)),
            (CALM_BEFORE, sets("market", surge=[4.0, 4.0])),
            (CALM_BEFORE + 300, all_of(sets("market", surge=[1.0, 1.0]), sets("processor", most_offsets=500))),
        ),
        1_500,
        (
            fault(
                L,
                Cause.TRAFFIC_SURGE,
                Cause.SPARK_CAPACITY,
                within=30,
                lasts=300,
                visible=Visible.LAG,
            ),
        ),
    ),
    Story(
        "lag_skew",
        "One symbol trades eight times as much: nearly all that waits is in its partition.",
        (
            _LEVEL,
            (1.0, sets("processor", most_offsets=50)),
            (CALM_BEFORE, sets("market", surge=[8.0, 1.0])),
            (CALM_BEFORE + 300, all_of(sets("market", surge=[1.0, 1.0]), sets("processor", most_offsets=500))),
        ),
        1_500,
        (
            fault(
                L,
                Cause.SKEWED_PARTITION,
                Cause.TRAFFIC_SURGE,
                Cause.SPARK_CAPACITY,
                within=30,
                lasts=300,
                visible=Visible.LAG,
            ),
        ),
    ),
    Story(
        "lag_slow_growth_with_dips",
        "Two per cent more is traded than the job carries, for three hours, with dips that a last sample would take "
        "for recovery.",
        (
            _LEVEL,
            (CALM_BEFORE - 0.1, sets("processor", most_offsets=20)),
            *_dips(CALM_BEFORE, 10_800, 1.02, 0.75),  # type: ignore[arg-type]
            (10_800.4, all_of(sets("market", surge=[1.0, 1.0]), sets("processor", most_offsets=500))),
        ),
        11_600,
        (
            fault(
                L,
                Cause.SPARK_CAPACITY,
                Cause.TRAFFIC_SURGE,
                within=120,
                lasts=10_500,
                visible=Visible.LAG,
            ),
        ),
    ),
)
