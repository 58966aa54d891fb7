"""Thirty quiet days: nobody is paged, and they are replayed in less than a minute."""

from __future__ import annotations

import pytest

from tests.detection.quiet_days import replay_in_halves

_MINUTE = 60.0
_MAKING_SECONDS = 27.0  # for the same days where the minute was measured (docs/benchmarks.md): how fast a machine is


@pytest.mark.integration  # it needs no service, but a minute and two cores
@pytest.mark.timeout(400)
def test_thirty_quiet_days_page_nobody_and_replay_in_under_a_minute() -> None:
    replayed = replay_in_halves(30)
    assert [(page.at, page.scenario, page.text) for page in replayed.pages] == []
    assert replayed.steps == 30 * 86_400
    allowed = _MINUTE * max(1.0, replayed.plant_seconds / _MAKING_SECONDS)
    told = f"{replayed.step_microseconds:.0f} µs for each round, on a machine that may take {allowed:.0f} s"
    assert replayed.judge_seconds < allowed, told
