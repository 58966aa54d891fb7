"""Growth of short series: Theil-Sen and Mann-Kendall over a sliding window, minima within intervals."""

from __future__ import annotations

import itertools
import random
import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.health.trend import Envelope, TrendWindow, growth_chance, score, theil_sen

_VALUES = st.lists(st.integers(-50, 50), min_size=2, max_size=30)


def _window(values: list[float], size: int = 30, step: float = 5.0) -> TrendWindow:
    window = TrendWindow(size)
    for i, value in enumerate(values):
        window.add(i * step, value)
    return window


def _score(values: list[float]) -> int:
    """Mann-Kendall's S as its definition says, by numpy."""
    series = np.asarray(values, dtype=float)
    return int(np.sign(series[None, :] - series[:, None])[np.triu_indices(len(series), 1)].sum())


@given(_VALUES)
def test_the_slope_is_the_median_of_all_pairs(values: list[float]) -> None:
    series, times = np.asarray(values, dtype=float), np.arange(len(values)) * 5.0
    rows, columns = np.triu_indices(len(values), 1)
    reference = float(np.median((series[columns] - series[rows]) / (times[columns] - times[rows])))
    assert theil_sen([(i * 5.0, value) for i, value in enumerate(values)]) == pytest.approx(reference)


@given(st.lists(st.integers(-5, 5), min_size=2, max_size=60), st.integers(2, 12))
def test_a_window_that_slides_knows_what_a_new_one_would(values: list[float], size: int) -> None:
    slid = _window(values, size).trend()
    kept = values[-size:]
    assert score(kept) == _score(kept)
    assert slid.points == len(kept)
    assert slid.p == growth_chance(_score(kept), kept)
    assert slid.slope == pytest.approx(_window(kept, size).trend().slope)


@pytest.mark.parametrize("n", [2, 3, 4, 5, 6])
def test_chances_of_few_points_are_those_of_all_orders(n: int) -> None:
    scores = [_score(list(order)) for order in itertools.permutations(range(n))]
    for found in {found for found in scores if found > 0}:
        share = sum(other >= found for other in scores) / len(scores)
        assert growth_chance(found, range(n)) == pytest.approx(share)


def test_the_normal_distribution_goes_on_where_counting_ends() -> None:
    for pairs in range(3, 45, 2):  # 10 points are counted out; with ties of no weight they would not be
        counted, near = growth_chance(pairs, range(10)), growth_chance(pairs, [*range(9), 8])
        assert near == pytest.approx(counted, abs=0.02)


@pytest.mark.parametrize(("points", "digits"), [(6, None), (12, None), (30, None), (12, 0), (30, 0)])
def test_noise_is_rarely_called_growth(points: int, digits: int | None) -> None:
    """With and without ties: at p < 0.05 at most about 5 % of series without growth."""
    random_source, trials = random.Random(points), 1500
    alarms = sum(
        _window([round(random_source.gauss(0, 2), digits) for _ in range(points)]).trend().p < 0.05
        for _ in range(trials)
    )
    assert alarms / trials < 0.067  # 0.05 and three standard errors


@pytest.mark.parametrize("slope", [0.2, 1.0])
def test_growth_beneath_noise_and_dips_is_found(slope: float) -> None:
    source, found = random.Random(1), 0
    for _ in range(100):
        values = [slope * 5 * i + source.gauss(0, 1) - (6 if i % 9 == 8 else 0) for i in range(30)]
        trend = _window(values).trend()
        found += trend.p < 0.05 and abs(trend.slope - slope) < 0.15
    assert found >= 99


def test_what_falls_or_stands_still_does_not_grow() -> None:
    assert _window([5, 4, 3, 2, 1, 0]).trend().p == 1.0
    assert _window([7] * 20).trend() == (0.0, 1.0, 20)


def test_an_outlier_does_not_make_a_slope() -> None:
    assert _window([1, 1, 1, 900, 1, 1, 1]).trend().slope == 0.0


def test_a_saw_has_the_envelope_of_its_minima() -> None:
    envelope, finished = Envelope(5.0, 30), []
    for second in range(0, 100, 2):
        minimum = envelope.add(second, (second % 10) * 100)
        if minimum is not None:
            finished.append(minimum)
    assert finished[0::2] == [0] * 10
    assert statistics.fmean(finished[1::2]) == 600
    assert envelope.window.trend().p > 0.05


def test_a_series_that_was_interrupted_begins_anew() -> None:
    envelope = Envelope(5.0, 30)
    for second in range(0, 60):
        envelope.add(second, second)
    assert envelope.window.trend().p < 0.001
    envelope.add(300, 0)
    assert len(envelope.window) == 1
    envelope.clear()
    assert envelope.window.trend() == (0.0, 1.0, 0)


@settings(max_examples=50)
@given(st.lists(st.floats(0, 1e6), min_size=6, max_size=30), st.floats(1, 1e3), st.floats(0, 1e6))
def test_scale_and_offset_do_not_change_significance(values: list[float], scale: float, offset: float) -> None:
    ordered = [round(value) for value in values]
    moved = [value * round(scale) + round(offset) for value in ordered]
    assert _window(moved).trend().p == _window(ordered).trend().p


def test_ties_are_allowed_for() -> None:
    """Four low values and then four high ones: one order in 70."""
    values = [0, 0, 0, 0, 1, 1, 1, 1]
    assert growth_chance(_score(values), values) == pytest.approx(1 / 70, abs=0.003)
