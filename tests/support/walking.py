"""Random walks over a store: the same ones in each run."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from tests.support.incident_stores import Backend


def run_walks(walk: type[RuleBasedStateMachine], make: Callable[[], Backend], examples: int) -> None:
    """``examples`` walks of up to forty steps; each begins with what ``make`` gives."""
    machine = type("Machine", (walk,), {"make": staticmethod(make)})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=40,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
