"""What a figure's own past says is normal."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.health.baseline import Baseline


def _learned(values: list[float], *, every: float = 5.0, window: float = 3600.0) -> Baseline:
    baseline = Baseline(window)
    for i, value in enumerate(values):
        baseline.add(1_000_000 + i * every, value)
    return baseline


@given(st.lists(st.integers(-1000, 1000), min_size=1, max_size=200))
def test_median_and_deviation_equal_their_definitions(values: list[float]) -> None:
    baseline = _learned(values)
    median = float(np.quantile(values, 0.5, method="higher"))
    assert baseline.median == median
    deviations = np.abs(np.asarray(values) - median)
    assert baseline.deviation == float(np.quantile(deviations, 0.5, method="higher"))


def test_cold_until_enough_is_known() -> None:
    assert not _learned([1.0] * 29).ready
    assert _learned([1.0] * 30).ready


def test_the_past_beyond_the_window_is_forgotten() -> None:
    baseline = _learned([100.0] * 200 + [1.0] * 121, every=5.0, window=600.0)
    assert (baseline.median, baseline.quantile(1.0)) == (1.0, 1.0)


def test_an_outage_is_not_learned_and_does_not_age_what_is_known() -> None:
    baseline = _learned([1.0] * 600)
    baseline.frozen = True
    for second in range(7200):
        baseline.add(1_003_000 + second, 50.0)
    baseline.frozen = False
    baseline.add(1_020_000, 1.0)
    assert baseline.ready
    assert baseline.quantile(1.0) == 1.0


def test_fast_samples_are_thinned_out_evenly() -> None:
    source = random.Random(3)
    baseline = _learned([source.gauss(10, 1) for _ in range(20_000)], every=0.5)
    assert baseline.median == pytest.approx(10, abs=0.2)
    assert baseline.deviation == pytest.approx(0.6745, abs=0.1)
    assert baseline.quantile(0.95) == pytest.approx(11.645, abs=0.3)
    assert len(baseline._sorted) <= 800
