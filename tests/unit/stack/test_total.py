"""The closing line of ``make test``."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.total import total

FAST = '<testsuites><testsuite name="pytest" errors="1" failures="2" skipped="3" tests="20" time="1.5"/></testsuites>'
SERVICES = '<testsuites><testsuite name="pytest" errors="0" failures="0" skipped="0" tests="5" time="9"/></testsuites>'


@pytest.mark.parametrize(
    ("runs", "line"),
    [((SERVICES,), "5 passed, 0 failed, 0 skipped"), ((FAST, SERVICES), "19 passed, 3 failed, 3 skipped")],
)
def test_the_runs_are_added_up(tmp_path: Path, runs: tuple[str, ...], line: str) -> None:
    files = [tmp_path / f"{number}.xml" for number in range(len(runs))]
    for file, text in zip(files, runs, strict=True):
        file.write_text(text)
    assert total(files) == line
