"""One fault, one incident: what is to be done about an assessment, given the incidents that are open.

Pure and deterministic: no clock but the assessment's, no memory but of what waits. Design §5, detection §4, ADR 0008.
"""

from __future__ import annotations

from collections.abc import Collection

from include.health.verdicts import Assessment, State, Verdict
from include.incidents.correlation_blind import BlindWatch
from include.incidents.correlation_healing import Healer
from include.incidents.correlation_placing import Placer
from include.incidents.correlation_step import CorrelationLimits, Step
from include.incidents.correlation_upkeep import keep_up
from include.incidents.decisions import Decision
from include.incidents.situation import OpenView
from include.playbook.names import ScenarioId
from include.playbook.playbook import Playbook

ALL_SCENARIOS = frozenset(ScenarioId)


class Correlator:
    """Feed it every assessment in order. ``symbols``: those that the pipeline computes, to weigh how many are hit."""

    def __init__(
        self, playbook: Playbook, symbols: tuple[str, ...] = (), limits: CorrelationLimits | None = None
    ) -> None:
        limits = limits or CorrelationLimits()
        self._playbook, self._symbols = playbook, symbols
        self._healer = Healer(limits)
        self._placer = Placer(limits)
        self._blind = BlindWatch(limits)
        self._judged: dict[ScenarioId, Verdict] | None = None
        self._well = self._idle = False

    def decide(
        self,
        assessment: Assessment,
        views: Collection[OpenView],
        followed: Collection[ScenarioId] = ALL_SCENARIOS,
    ) -> tuple[Decision, ...]:
        """What is to be done, in this order. ``views``: all open incidents as they stand. Scenarios that are not
        ``followed`` open nothing; they may be roots and symptoms.

        As long as nothing has been done about a decision it is decided again.
        """
        if not views and self._calm(assessment):
            return ()
        self._idle = False
        step = Step(self._playbook, assessment, views, followed)
        if views:
            self._healer.heal_all(step)
        self._placer.place_all(step)
        keep_up(step, self._symbols)
        self._blind.watch(step)
        return tuple(step.decisions)

    def _calm(self, assessment: Assessment) -> bool:
        """All is well, and has been: nothing to look at. The same verdicts are judged once."""
        if assessment.verdicts is not self._judged:
            self._judged = assessment.verdicts
            self._well = all(v.state is State.HEALTHY for v in assessment.verdicts.values())
        if not self._well or assessment.blind:
            return False
        if not self._idle:  # and once idle, until they are asked again
            self._idle = self._placer.idle and self._blind.idle
        return self._idle
