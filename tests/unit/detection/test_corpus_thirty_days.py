"""Thirty quiet days: nobody is paged, and they are replayed in less than a minute."""

from __future__ import annotations

import pytest

from tests.detection.quiet_days import replay_in_halves


@pytest.mark.integration  # it needs no service, but half a minute and a core
@pytest.mark.timeout(400)
def test_thirty_quiet_days_page_nobody_and_replay_in_under_a_minute() -> None:
    replayed = replay_in_halves(30)
    assert [(page.at, page.scenario, page.text) for page in replayed.pages] == []
    assert replayed.steps == 30 * 86_400
    assert replayed.judge_seconds < 60, f"{replayed.step_microseconds:.0f} µs for each round"
