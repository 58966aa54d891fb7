"""Stories in which nobody may be paged, and those of the observer's own troubles."""

from __future__ import annotations

from include.health.observations import Code, Probe
from include.playbook.names import Cause, Component
from include.services.names import KAFKA, PROCESSOR, PRODUCER
from tests.detection.actions import Action, all_of, blinded, exchange, on_request, seeing, sets, started
from tests.detection.plant import Plant
from tests.detection.plant_market import Stream
from tests.detection.plant_seeing import failed
from tests.detection.story import CALM_BEFORE, K, L, M, P, Paging, S, Story, fault


def _moved(seconds: float) -> Action:
    def act(plant: Plant) -> None:
        plant.clock_offset += seconds

    return act


def _canary_hiccup(times: int) -> Action:
    """The canary fails a few times although nothing is wrong."""

    def act(plant: Plant) -> None:
        left = [times]

        def look(now: float) -> object:
            left[0] -= 1
            if left[0] <= 0:
                del plant.probe_faults[Probe.KAFKA_CANARY]
            return failed(Probe.KAFKA_CANARY, Code.TIMEOUT, "Local: Timed out", 2.0)

        plant.probe_faults[Probe.KAFKA_CANARY] = look  # type: ignore[assignment]

    return act


def _ends_frozen(plant: Plant) -> None:
    plant.broker.stale_ends = list(plant.broker.ends)


def _once_limited(plant: Plant) -> None:
    plant.market.rest = Code.RATE_LIMITED
    plant.producer.use_rest(plant.now)
    plant.market.rest = None


def _stale_ends() -> tuple[tuple[float, Action], ...]:
    script: list[tuple[float, Action]] = []
    for begin in (300.4, 500.4, 700.4):
        script += [(begin, _ends_frozen), (begin + 10, sets("broker", stale_ends=None))]
    return tuple(script)


QUIET_STORIES = (
    Story("calm_hour", "Nothing happens for an hour at noon.", (), 3_600, records=False),
    Story(
        "quiet_market",
        "Nothing at all is traded for twenty minutes.",
        ((300.4, sets("market", quiet=True)), (1_500.4, sets("market", quiet=False))),
        2_100,
        records=False,
    ),
    Story(
        "thin_night",
        "Three hours of a night in which whole minutes bring no trade.",
        (),
        10_800,
        hour=1.0,
        quiet_minutes=True,
        records=False,
    ),
    Story(
        "surge_within_capacity",
        "Five times the usual trades for ten minutes, which the job carries.",
        ((300.4, sets("market", surge=[5.0, 5.0])), (900.4, sets("market", surge=[1.0, 1.0]))),
        1_500,
        records=False,
    ),
    Story(
        "pause_of_a_batch",
        "One batch takes nine seconds longer, as after a start or in a long garbage collection.",
        ((300.4, sets("processor", pause_seconds=9.0)), (900.4, sets("processor", pause_seconds=9.0))),
        1_500,
    ),
    Story(
        "canary_hiccups",
        "Single canaries are lost now and then, two in a row at most.",
        tuple((300.4 + 100 * i, _canary_hiccup(1 + i % 2)) for i in range(10)),
        1_500,
    ),
    Story(
        "stream_reconnects",
        "The stream connection breaks for two seconds, every five minutes.",
        tuple(
            (300.4 + 300 * i + after, exchange(stream))
            for i in range(6)
            for after, stream in ((0.0, Stream.CLOSED), (2.0, Stream.OK))
        ),
        2_400,
    ),
    Story(
        "one_refusal",
        "One HTTP 429, obeyed: a warning at most.",
        ((300.4, _once_limited),),
        1_200,
    ),
    Story(
        "stale_end_offsets",
        "A broker with old metadata tells end offsets that lie behind the commits, for ten seconds at a time.",
        _stale_ends(),
        1_200,
    ),
    Story(
        "cold_start",
        "Everything is started at the same time.",
        ((0.4, all_of(*(started(name) for name in ("kafka", "mysql", "exchange", PRODUCER, PROCESSOR)))),),
        1_200,
        cold=True,
    ),
    Story(
        "rolling_restart",
        "Producer and job are restarted on request, one after the other.",
        (
            (300.4, on_request(PRODUCER)),
            (304.4, started(PRODUCER)),
            (420.4, on_request(PROCESSOR)),
            (426.4, started(PROCESSOR)),
        ),
        1_500,
    ),
    Story(
        "kafka_restart_on_request",
        "The broker is restarted on request: eight seconds without it.",
        ((300.4, on_request(KAFKA)), (304.4, started(KAFKA))),
        1_200,
    ),
    Story(
        "catch_up_of_the_feed",
        "The producer was stopped on request for ten minutes; then it fetches all that is missing in seconds.",
        ((300.4, on_request(PRODUCER)), (900.4, started(PRODUCER))),
        1_800,
        (
            fault(
                P, Cause.STOPPED_ON_REQUEST, within=60, paging=Paging.EITHER, optional=True, target=Component.PRODUCER
            ),
        ),
    ),
    Story(
        "catch_up_of_the_job",
        "The job was stopped on request for ten minutes; then it works through the backlog.",
        ((300.4, on_request(PROCESSOR)), (900.4, started(PROCESSOR))),
        1_800,
        (
            fault(
                S, Cause.STOPPED_ON_REQUEST, within=60, paging=Paging.EITHER, optional=True, target=Component.PROCESSOR
            ),
        ),
    ),
)

OBSERVER_STORIES = (
    Story(
        "clock_step",
        "The clock of the host is set forward by 75 seconds, and back ten minutes later.",
        ((300.4, _moved(75.0)), (900.4, _moved(-75.0))),
        1_500,
    ),
    Story(
        "observer_away",
        "Nobody looks for 90 seconds, twice.",
        tuple(
            (at, sets("", observer_away=away))
            for at, away in ((300.4, True), (390.4, False), (700.4, True), (790.4, False))
        ),
        1_500,
    ),
    Story(
        "probe_own_credentials",
        "The probe of MySQL has lost its password: the database is well.",
        (
            (CALM_BEFORE, blinded(Probe.MYSQL_CANARY, Code.OWN_CREDENTIALS, "there is no password for the account")),
            (CALM_BEFORE + 300, seeing(Probe.MYSQL_CANARY)),
        ),
        1_300,
        (fault(M, Cause.MONITORING_BLIND, within=60, lasts=300, target=Component.MONITORING),),
    ),
    Story(
        "probe_crashes",
        "The probe of Kafka raises at every look: the broker is well.",
        (
            (CALM_BEFORE, blinded(Probe.KAFKA_CANARY, Code.OWN_FAULT, "TypeError: unexpected keyword argument")),
            (CALM_BEFORE + 300, seeing(Probe.KAFKA_CANARY)),
        ),
        1_300,
        (fault(K, Cause.MONITORING_BLIND, within=60, lasts=300, target=Component.MONITORING),),
    ),
    Story(
        "probe_misses_its_deadline",
        "The probe of the offsets does not come back in time, by its own fault.",
        (
            (CALM_BEFORE, blinded(Probe.OFFSETS, Code.TIMEOUT, "no answer within 2 s", took=2.0)),
            (CALM_BEFORE + 300, seeing(Probe.OFFSETS)),
        ),
        1_300,
        (
            fault(
                L,
                Cause.MONITORING_BLIND,
                within=60,
                lasts=300,
                target=Component.MONITORING,
                also=dict.fromkeys((K, S, M, P), (Cause.MONITORING_BLIND,)),
            ),
        ),
    ),
)
