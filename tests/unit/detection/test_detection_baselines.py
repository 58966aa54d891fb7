"""The baselines: each fires on a case made for it, and does not on its counterpart."""

from __future__ import annotations

import pytest

from include.health.observations import Code, Observation, Outcome, Probe, Seen
from include.playbook.names import Component
from include.services.names import KAFKA, MYSQL, PRODUCER
from tests.detection.actions import Action, killed, left_alone, sets
from tests.detection.baselines import (
    Alert,
    Baseline,
    Burrow,
    BurrowStatus,
    FixedThresholds,
    PartitionWindow,
    SilenceTimer,
)
from tests.detection.plant import Plant

OK, WARN, STOP, STALL, REWIND = BurrowStatus

# commits: (seconds, offset, end of the log then); the end now; seconds now; what the wiki's rules make of it
WINDOWS = [
    ("nothing was committed yet", [], 100, 0, OK),
    ("lag shrinks now and then", [(0, 10, 40), (60, 40, 60), (120, 60, 90)], 95, 150, OK),
    ("lag was zero once", [(0, 30, 30), (60, 50, 60), (120, 60, 80)], 95, 150, OK),
    ("everything is read by now", [(0, 10, 40), (60, 20, 60), (120, 95, 120)], 95, 999, OK),
    ("lag never shrinks", [(0, 10, 20), (60, 20, 40), (120, 30, 60)], 80, 150, WARN),
    ("the same offset again and again", [(0, 10, 20), (60, 10, 40), (120, 10, 60)], 80, 150, STALL),
    ("nothing committed for longer than the window", [(0, 10, 20), (60, 20, 40), (120, 30, 60)], 80, 241, STOP),
    ("the offset went back", [(0, 50, 90), (60, 20, 95), (120, 30, 99)], 120, 150, REWIND),
]


@pytest.mark.parametrize(("story", "commits", "end", "now", "status"), WINDOWS, ids=[each[0] for each in WINDOWS])
def test_burrow_judges_a_window_of_commits(
    story: str, commits: list[tuple[int, int, int]], end: int, now: int, status: BurrowStatus
) -> None:
    window = PartitionWindow.empty(10)
    for at, offset, then in commits:
        window.commit(at, offset, then)
    window.ends.append(end)
    assert window.status(now) is status


def test_burrow_does_not_call_a_consumer_stopped_that_had_read_everything_a_moment_ago() -> None:
    window = PartitionWindow.empty(10)
    for at in range(0, 100, 10):
        window.commit(at, 10 + at, 30 + at - at // 10)
    window.ends.extend([100, 100, 120])  # 100 was committed: the new record came just now
    assert window.status(400) is OK
    window.ends.extend([120] * 10)
    assert window.status(400) is STOP


def alerts(baseline: Baseline, action: Action, seconds: int = 900) -> list[Alert]:
    plant = Plant(script=((300.4, action),))
    return [
        Alert(alert.at - plant.begin - 300.4, alert.component, alert.text)
        for each in plant.run(300 + seconds)
        for alert in baseline.feed(each)
    ]


CASES = [
    (Burrow, sets("processor", stuck=True), Component.LAG, 20, 120),
    (FixedThresholds, killed(KAFKA), Component.KAFKA, 180, 184),
    (FixedThresholds, killed(MYSQL), Component.MYSQL, 60, 64),
    (FixedThresholds, left_alone(PRODUCER), Component.PRODUCER, 60, 64),
    (SilenceTimer, left_alone(PRODUCER), Component.PRODUCER, 119, 124),
    (SilenceTimer, sets("market", quiet=True), Component.PRODUCER, 119, 124),  # which is its false alarm
]


@pytest.mark.parametrize(("make", "action", "component", "earliest", "latest"), CASES)
def test_a_baseline_fires_on_a_case_made_for_it(
    make: type[Baseline], action: Action, component: Component, earliest: float, latest: float
) -> None:
    found = [alert for alert in alerts(make(), action) if alert.component is component]
    assert len(found) == 1
    assert earliest <= found[0].at <= latest


@pytest.mark.parametrize("make", [Burrow, FixedThresholds, SilenceTimer])
def test_a_baseline_is_quiet_on_a_calm_hour(make: type[Baseline]) -> None:
    baseline = make()
    assert [alert for each in Plant().run(3_600) for alert in baseline.feed(each)] == []


def test_a_threshold_needs_its_time_without_a_break() -> None:
    rules, down = FixedThresholds(), Observation(probe=Probe.KAFKA_TCP, outcome=Outcome.FAILED, code=Code.REFUSED)
    up = Observation(probe=Probe.KAFKA_TCP, outcome=Outcome.OK)
    told = [at for at in range(0, 1_000) for _ in rules.feed(Seen(float(at), (up if at in (100, 600) else down,)))]
    assert told == [281, 781]
