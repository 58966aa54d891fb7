"""Every rung of the playbook can be run, and starts quickly."""

from __future__ import annotations

import subprocess
import sys

import pytest

from include.playbook.ladder import RungId
from include.playbook.names import ScenarioId
from include.playbook.playbook import get_playbook
from include.remediation.registry import RUNGS
from include.remediation.rungs_common import Validation
from include.settings import PROJECT_ROOT
from tests.support.remediating import Bench

HEAVY = ("pyspark", "pandas", "numpy", "confluent_kafka", "mysql.connector", "requests", "websockets")


def test_every_rung_has_its_work() -> None:
    assert RUNGS.keys() == set(RungId)


@pytest.mark.parametrize("scenario", list(ScenarioId))
def test_every_rung_of_a_ladder_can_be_made(bench: Bench, scenario: ScenarioId) -> None:
    request = bench.request(bench.incident(), scenario=scenario)
    for rung in get_playbook().scenarios[scenario].ladder:
        work = RUNGS[rung.id](bench.tools, request)
        assert isinstance(work.services(), tuple)
        assert isinstance(work, Validation) is rung.only_looks, rung.id


def test_the_runner_imports_nothing_heavy() -> None:
    """A task imports it for each rung: clients are imported with the first look. The store needs SQLAlchemy anyway."""
    code = f"import sys, include.remediation.runner; print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT_ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
