"""How the looks at the simulated plant are made."""

from __future__ import annotations

import random

from include.health.observations import Code, Observation, Outcome, Probe, RoundTripFacts

POOL = 251  # round trips that are handed out in turn


def ok(probe: Probe, facts: object, took: float = 0.005) -> Observation:
    """It succeeded."""
    return Observation(probe=probe, outcome=Outcome.OK, facts=facts, took_seconds=took)  # type: ignore[arg-type]


def failed(probe: Probe, code: Code, text: str, took: float = 0.005, number: int | None = None) -> Observation:
    """The target failed it."""
    return Observation(
        probe=probe, outcome=Outcome.FAILED, code=code, error=text, number=number, took_seconds=round(took, 3)
    )


def blind(probe: Probe, code: Code, text: str, took: float = 0.005) -> Observation:
    """The probe failed by itself."""
    return Observation(probe=probe, outcome=Outcome.BLIND, code=code, error=text, took_seconds=took)


def round_trips(probe: Probe, rng: random.Random, median: float) -> list[Observation]:
    """Round trips with a long tail: one in a few hundred takes ten times as long."""
    times = [min(median * 12, median * rng.lognormvariate(0.0, 0.5)) for _ in range(POOL - 1)] + [median * 10]
    return [ok(probe, RoundTripFacts(seconds=round(t, 5)), round(t, 5)) for t in times]
