"""What rules have in common that know several ways of being broken: the judge, the troubles, and when to conclude."""

from __future__ import annotations

from abc import ABC, abstractmethod

from include.health.config import DetectorConfig
from include.health.rules.base import Figures, Finding, Judge
from include.health.rules.troubles import Troubles
from include.health.verdicts import Verdict
from include.playbook.names import Component, ScenarioId
from include.playbook.thresholds import Thresholds


class TroubleRules(ABC):
    """Base of rules (see :class:`include.health.rules.base.Rules`) whose observations end in ``self._troubles``."""

    scenario: ScenarioId
    target: Component

    def __init__(self, thresholds: Thresholds, config: DetectorConfig) -> None:
        self._judge = Judge(self.scenario, self.target, thresholds, config)
        self._troubles = Troubles(self._judge.evidence)

    def verdict(self, at: float) -> Verdict:
        """See :class:`include.health.rules.base.Rules`: made anew when something has changed or figures are due."""
        judge = self._judge
        if at < judge.settled_until and not self._troubles.changed:
            return judge.verdict
        self._troubles.changed = False
        return judge.conclude(at, self._finding(at), self._figures(at))

    @abstractmethod
    def _finding(self, at: float) -> Finding:
        """What the troubles come to."""

    @abstractmethod
    def _figures(self, at: float) -> Figures:
        """What a person reads on a healthy day."""
