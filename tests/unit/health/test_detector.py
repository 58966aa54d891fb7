"""The detector as a whole: what it makes of blindness, of gaps and steps of the clock, and of any stream at all."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from include.health.config import DetectorConfig
from include.health.detector import Detector
from include.health.observations import Code, Observation, Probe, Seen
from include.health.verdicts import Assessment, State
from include.playbook.names import Cause, ScenarioId
from include.playbook.playbook import get_playbook
from tests.support.observing import (
    START,
    Phase,
    assessed,
    blind,
    cluster,
    ended,
    failed,
    processes,
    processor,
    producer,
    round_trip,
    rows,
    runs,
    seconds,
)

K, S, M, P, L = ScenarioId
SERVICES = ("kafka", "mysql", "btc_producer", "stream_processor", "exchange")
ALL_RUN = processes(**{name: runs(number) for number, name in enumerate(SERVICES, start=50)})
KAFKA_WELL = (round_trip(Probe.KAFKA_TCP), round_trip(Probe.KAFKA_CANARY), cluster())
WELL = (ALL_RUN, *KAFKA_WELL, round_trip(Probe.MYSQL_CANARY), rows(), processor(), producer())
KAFKA_HANGS = (
    round_trip(Probe.KAFKA_TCP),
    failed(Probe.KAFKA_CANARY, Code.TIMEOUT),
    failed(Probe.KAFKA_METADATA, Code.TIMEOUT),
)
HUNG = (ALL_RUN, *KAFKA_HANGS)
BLIND = (ALL_RUN, *(blind(probe) for probe in (Probe.KAFKA_TCP, Probe.KAFKA_CANARY, Probe.KAFKA_METADATA)))


def detector(*scenarios: ScenarioId) -> Detector:
    """Of some scenarios, or of the whole playbook."""
    playbook = get_playbook()
    chosen = {each: playbook.scenarios[each].thresholds for each in scenarios}
    return Detector(chosen or playbook, DetectorConfig())


def at(assessments: list[Assessment], second: int) -> Assessment:
    return next(each for each in assessments if each.at == START + second)


def told(phases: list[Phase], until: float) -> list[Assessment]:
    return assessed(detector(K, M), seconds(phases, until))


def states(assessments: list[Assessment], scenario: ScenarioId = K) -> list[State]:
    return [each.verdicts[scenario].state for each in assessments]


def test_the_whole_playbook_is_judged() -> None:
    assert set(detector().feed(Seen(START)).verdicts) == set(ScenarioId)


def test_a_cold_start_is_unknown_and_not_blind_at_once() -> None:
    assessments = told([(0, ())], 30)
    first = assessments[0]
    assert (first.verdicts[K].state, first.verdicts[K].reason) == (State.UNKNOWN, "No observation yet.")
    assert first.verdicts[K].since == START
    assert not at(assessments, 14).blind
    assert Probe.KAFKA_CANARY in {each.probe for each in at(assessments, 17).blind}
    assert at(assessments, 17).verdicts[K].cause is Cause.MONITORING_BLIND


def test_blind_is_unknown_after_a_while_and_ends_with_the_first_look() -> None:
    assessments = told([(0, WELL), (20, BLIND), (60, WELL)], 70)
    assert at(assessments, 34).verdicts[K].state is State.HEALTHY
    blinded = at(assessments, 40)
    assert (blinded.verdicts[K].state, blinded.verdicts[K].cause) == (State.UNKNOWN, Cause.MONITORING_BLIND)
    assert "boom" in blinded.verdicts[K].reason
    canary = next(each for each in blinded.blind if each.probe is Probe.KAFKA_CANARY)
    assert (canary.since, canary.scenarios) == (START + 19, (K,))
    clear = at(assessments, 61)
    assert clear.verdicts[K].state is State.HEALTHY
    assert clear.verdicts[K].since in (START + 60, START + 61)
    assert Probe.KAFKA_CANARY not in {each.probe for each in clear.blind}


def test_what_it_can_do_without_is_reported_and_changes_no_verdict() -> None:
    without_metadata = (ALL_RUN, *KAFKA_WELL[:2], blind(Probe.KAFKA_METADATA))
    late = at(told([(0, WELL), (20, without_metadata)], 60), 60)
    assert late.verdicts[K].state is State.HEALTHY
    assert Probe.KAFKA_METADATA in {each.probe for each in late.blind}


def test_a_slow_probe_has_time_for_three_looks() -> None:
    group = round_trip(Probe.KAFKA_GROUP)
    assessments = told([(0, (*WELL, group)), (1, WELL)], 60)
    assert Probe.KAFKA_GROUP not in {each.probe for each in at(assessments, 29).blind}
    assert Probe.KAFKA_GROUP in {each.probe for each in at(assessments, 33).blind}


def test_a_probe_that_is_not_installed_is_not_missed() -> None:
    config = DetectorConfig(probes=frozenset({Probe.KAFKA_CANARY}))
    own = Detector({K: get_playbook().scenarios[K].thresholds}, config)
    assert not assessed(own, seconds([(0, (round_trip(Probe.KAFKA_CANARY),))], 100))[-1].blind


def test_not_to_see_a_confirmed_trouble_does_not_end_it() -> None:
    assessments = told([(0, WELL), (20, HUNG), (40, BLIND)], 300)
    assert set(states(assessments)[25:]) == {State.UNHEALTHY}
    assert at(assessments, 300).verdicts[K].cause is Cause.PROCESS_HUNG


def stream(*parts: tuple[float, tuple[Observation, ...], int]) -> Iterator[Seen]:
    """For each part: its begin, what it sees, for how many seconds."""
    for begin, looks, length in parts:
        for second in range(length):
            yield Seen(START + begin + second, looks)


def test_bad_looks_on_both_sides_of_a_gap_confirm_nothing() -> None:
    asleep = 6 * 3600
    found = states(
        assessed(detector(K), stream((0, WELL, 30), (30, HUNG, 2), (asleep, HUNG, 2), (asleep + 2, WELL, 9)))
    )
    assert State.UNHEALTHY not in found
    assert found[-1] is State.HEALTHY


def test_after_a_gap_nobody_is_blind_at_once() -> None:
    late = assessed(detector(K, M), stream((0, WELL, 30), (5000, (), 3)))
    assert not late[-1].blind
    assert late[-1].verdicts[K].state is State.UNKNOWN


def test_a_confirmed_trouble_outlives_a_gap() -> None:
    found = assessed(detector(K), stream((0, WELL, 30), (30, HUNG, 10), (9000, HUNG, 3)))
    assert set(states(found[-3:])) == {State.UNHEALTHY}
    assert found[-1].verdicts[K].onset == START + 30


@pytest.mark.parametrize("back", [5.0, 3600.0])
def test_a_step_back_of_the_clock_starts_anew(back: float) -> None:
    own = detector(K)
    assessed(own, stream((0, WELL, 30), (30, HUNG, 2)))
    after = assessed(own, stream((32 - back, HUNG, 2)))
    assert State.UNHEALTHY not in states(after)
    assert all(each.verdicts[K].since <= each.at for each in after)
    assert states(assessed(own, stream((34 - back, HUNG, 3))))[-1] is State.UNHEALTHY


def test_a_small_step_back_is_no_time_at_all() -> None:
    own = detector(K)
    before = assessed(own, stream((0, WELL, 30)))[-1]
    after = own.feed(Seen(before.at - 0.4, WELL))
    assert (after.at, after.verdicts[K].state) == (before.at, State.HEALTHY)


_LOOKS = st.sampled_from(
    [
        *KAFKA_WELL,
        *KAFKA_HANGS,
        failed(Probe.KAFKA_TCP, Code.REFUSED),
        failed(Probe.KAFKA_CANARY, Code.NO_LEADER),
        blind(Probe.KAFKA_CANARY),
        ALL_RUN,
        processes(kafka=ended(), mysql=runs()),
        round_trip(Probe.MYSQL_CANARY),
        failed(Probe.MYSQL_CANARY, Code.TIMEOUT),
        failed(Probe.MYSQL_CANARY, Code.CREDENTIALS),
        blind(Probe.MYSQL_CANARY),
        rows(),
        rows(2),
        processor(),
        processor(status="retrying_mysql", last_error_code=Code.LOCKED, last_error="lock", last_error_age_seconds=1.0),
        producer(),
        producer(oldest_unacknowledged_seconds=9.0),
        failed(Probe.PROCESSOR, Code.REFUSED),
    ]
)
_STEPS = st.lists(
    st.tuples(st.sampled_from([0.0, 0.3, 1.0, 1.0, 1.0, 5.0, 60.0]), st.lists(_LOOKS, max_size=4).map(tuple)),
    max_size=60,
)


def moments(steps: list[tuple[float, tuple[Observation, ...]]]) -> list[Seen]:
    now, found = START, []
    for wait, looks in steps:
        now += wait
        found.append(Seen(now, looks))
    return found


@settings(max_examples=60, deadline=None)
@given(_STEPS)
def test_the_same_stream_gives_the_same_conclusions(steps: list[tuple[float, tuple[Observation, ...]]]) -> None:
    seen = moments(steps)
    assert assessed(detector(), seen) == assessed(detector(), seen)


@settings(max_examples=60, deadline=None)
@given(_STEPS)
def test_time_never_goes_back_in_what_is_concluded(steps: list[tuple[float, tuple[Observation, ...]]]) -> None:
    before = dict.fromkeys(ScenarioId, 0.0)
    for assessment in assessed(detector(), moments(steps)):
        for scenario, verdict in assessment.verdicts.items():
            assert before[scenario] <= verdict.since <= assessment.at
            assert verdict.onset <= assessment.at
            before[scenario] = verdict.since


_DOWN, _BACK = failed(Probe.MYSQL_CANARY, Code.TIMEOUT), round_trip(Probe.MYSQL_CANARY)


@settings(max_examples=60, deadline=None)
@given(_STEPS, st.integers(0, 40))
@example([(0.0, (_DOWN,) * 3), (5.0, (_BACK,)), (5.0, (_BACK,)), (5.0, (_BACK, _BACK))], 12)  # back, and not seen since
def test_what_is_not_seen_neither_opens_nor_closes(
    steps: list[tuple[float, tuple[Observation, ...]]], blind_seconds: int
) -> None:
    own = detector(K, M)
    seen = moments(steps)
    last = assessed(own, seen)[-1] if seen else own.feed(Seen(START))
    looks = tuple(blind(probe) for probe in Probe)
    for step in range(blind_seconds):
        after = own.feed(Seen(last.at + 1 + step, looks))
        for scenario, verdict in last.verdicts.items():
            assert after.verdicts[scenario].state.bad is verdict.state.bad


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(
        [
            failed(Probe.KAFKA_CANARY, Code.TIMEOUT),
            failed(Probe.KAFKA_METADATA, Code.TIMEOUT),
            failed(Probe.KAFKA_TCP, Code.REFUSED),
            failed(Probe.KAFKA_GROUP, Code.TIMEOUT),
            cluster(crypto_trades="missing"),
            failed(Probe.MYSQL_CANARY, Code.CREDENTIALS),
            failed(Probe.MYSQL_CANARY, Code.TIMEOUT),
        ]
    ),
    st.integers(1, 30),
)
def test_a_single_bad_look_opens_nothing(look: Observation, second: int) -> None:
    assessments = told([(0, WELL), (second, (*WELL, look)), (second + 1, WELL)], second + 30)
    assert not any(state.bad for each in (K, M) for state in states(assessments, each))


def test_a_step_is_cheap() -> None:
    """Thirty days are 2.6 million steps. The bound is generous: this machine may be busy."""
    own = detector()
    looks = [Seen(START + second, WELL) for second in range(3_000)]
    began = time.process_time()
    for seen in looks:
        own.feed(seen)
    assert (time.process_time() - began) / len(looks) < 300e-6


def test_settled_verdicts_are_not_made_again() -> None:
    assessments = told([(0, WELL)], 100)
    for scenario in (K, M):
        assert len({id(each.verdicts[scenario]) for each in assessments}) <= 25
