"""How bad an incident is when it opens, and what harm makes of it."""

from __future__ import annotations

import itertools

import pytest

from include.playbook.names import Cause, ScenarioId, Severity
from include.playbook.playbook import get_playbook
from include.playbook.severity import HarmReason, raised_by_harm, severity_at_opening

S, C = ScenarioId, Cause
SEV_1, SEV_2, SEV_3, SEV_4 = Severity


@pytest.mark.parametrize(
    ("scenario", "cause", "severity"),
    [
        (S.KAFKA_DOWN, C.PROCESS_GONE, SEV_1),
        (S.KAFKA_DOWN, C.UNKNOWN, SEV_1),
        (S.KAFKA_DOWN, C.DEGRADED, SEV_3),
        (S.STREAM_PROCESSOR_FAILURE, C.PROCESS_GONE, SEV_1),
        (S.STREAM_PROCESSOR_FAILURE, C.BATCH_HUNG, SEV_1),
        (S.STREAM_PROCESSOR_FAILURE, C.BATCHES_SLOW, SEV_2),
        (S.STREAM_PROCESSOR_FAILURE, C.WRITE_FAILURE, SEV_2),
        (S.STREAM_PROCESSOR_FAILURE, C.UNKNOWN, SEV_2),
        (S.STREAM_PROCESSOR_FAILURE, C.PROCESS_RESTARTED, SEV_4),
        (S.MYSQL_NOT_WRITING, C.CREDENTIALS, SEV_2),
        (S.MYSQL_NOT_WRITING, C.TRAFFIC_SURGE, SEV_2),  # none of this scenario's: as if it were not known
        (S.PRODUCER_SILENT, C.FEED_SILENT, SEV_2),
        (S.PRODUCER_SILENT, C.RATE_LIMITED, SEV_3),
        (S.KAFKA_LAG, C.SPARK_CAPACITY, SEV_2),
        (S.KAFKA_LAG, C.OFFSETS_NOT_COMMITTED, SEV_4),
    ],
)
def test_severity_at_opening(scenario: ScenarioId, cause: Cause, severity: Severity) -> None:
    assert severity_at_opening(get_playbook(), scenario, cause) is severity


@pytest.mark.parametrize("scenario", ScenarioId)
def test_a_blind_observer_is_minor_whatever_it_watches(scenario: ScenarioId) -> None:
    assert severity_at_opening(get_playbook(), scenario, C.MONITORING_BLIND) is SEV_3


TWO, THREE = ("BTCUSDT", "ETHUSDT"), ("BTCUSDT", "ETHUSDT", "SOLUSDT")
R = HarmReason


@pytest.mark.parametrize(
    ("current", "harm", "expected"),  # harm: age of the rows, risk of loss, symbols hit, all symbols
    [
        (SEV_4, (None, 0.0, (), TWO), (SEV_4, R.NO_MORE_HARM)),  # freshness is not known: raises nothing
        (SEV_4, (15.0, 0.0, TWO, TWO), (SEV_4, R.NO_MORE_HARM)),
        (SEV_4, (15.1, 0.0, TWO, TWO), (SEV_3, R.STALE_ROWS)),
        (SEV_4, (61.0, 0.0, TWO, TWO), (SEV_2, R.STALE_ROWS)),
        (SEV_4, (301.0, 0.0, TWO, TWO), (SEV_1, R.STALE_ROWS)),
        (SEV_1, (61.0, 0.0, TWO, TWO), (SEV_1, R.NO_MORE_HARM)),  # never lowered
        (SEV_2, (61.0, 0.0, TWO, TWO), (SEV_2, R.NO_MORE_HARM)),
        (SEV_4, (301.0, 0.0, (), TWO), (SEV_1, R.STALE_ROWS)),  # not said whose: all
        (SEV_4, (301.0, 0.0, ("BTCUSDT",), TWO), (SEV_1, R.STALE_ROWS)),  # half of them is as good as all
        (SEV_4, (301.0, 0.0, ("BTCUSDT",), THREE), (SEV_2, R.STALE_ROWS_OF_SOME_SYMBOLS)),
        (SEV_4, (61.0, 0.0, ("BTCUSDT",), THREE), (SEV_3, R.STALE_ROWS_OF_SOME_SYMBOLS)),
        (SEV_4, (16.0, 0.0, ("BTCUSDT",), THREE), (SEV_3, R.STALE_ROWS_OF_SOME_SYMBOLS)),  # no milder than that
        (SEV_3, (0.0, 0.79, (), TWO), (SEV_3, R.NO_MORE_HARM)),
        (SEV_3, (0.0, 0.8, (), TWO), (SEV_2, R.POSSIBLE_LOSS)),
        (SEV_3, (0.0, 0.9, (), TWO), (SEV_1, R.POSSIBLE_LOSS)),
        (SEV_4, (301.0, 1.0, TWO, TWO), (SEV_1, R.POSSIBLE_LOSS)),  # both call for it: the worse news is told
        (SEV_4, (301.0, 0.8, TWO, TWO), (SEV_1, R.STALE_ROWS)),
    ],
)
def test_harm_raises(
    current: Severity,
    harm: tuple[float | None, float, tuple[str, ...], tuple[str, ...]],
    expected: tuple[Severity, HarmReason],
) -> None:
    stale, loss, hit, every = harm
    rules = get_playbook().severity.harm
    raised = raised_by_harm(rules, current, stale_seconds=stale, loss_risk=loss, symbols_hit=hit, all_symbols=every)
    assert raised == expected


def test_more_harm_is_never_milder_and_nothing_is_lowered() -> None:
    rules = get_playbook().severity.harm
    ages, risks = (None, 0.0, 16.0, 61.0, 301.0), (0.0, 0.5, 0.8, 0.9, 1.0)

    def raised(current: Severity, age: float | None, risk: float, hit: tuple[str, ...]) -> Severity:
        return raised_by_harm(rules, current, stale_seconds=age, loss_risk=risk, symbols_hit=hit, all_symbols=THREE)[0]

    for current, hit in itertools.product(Severity, (THREE[:1], THREE)):
        for (age, older), risk in itertools.product(itertools.pairwise(ages), risks):
            assert raised(current, older, risk, hit) <= raised(current, age, risk, hit) <= current
        for age, (risk, riskier) in itertools.product(ages, itertools.pairwise(risks)):
            assert raised(current, age, riskier, hit) <= raised(current, age, risk, hit)


def test_the_escalation_path_is_the_playbooks_and_a_record_wakes_nobody() -> None:
    policy = get_playbook().severity
    assert " → ".join(policy.path) == (
        "on-call engineer → senior data engineer → engineering lead → cloud operations team"
    )
    assert [len(policy.level(severity).told) for severity in Severity] == [4, 3, 1, 0]
    assert all(level.told[0].after_seconds == 0 for level in policy.levels if level.told)
