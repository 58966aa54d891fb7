"""What a rung may use: the process host, the incidents, the guardrails, single looks. Made once for each task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from include.guardrails.guardrails import Guardrails
from include.health.observations import Observation
from include.health.observations import Probe as ProbeName
from include.incidents.store import IncidentStore
from include.playbook.names import ScenarioId
from include.playbook.scenario import Scenario
from include.runtime.clock import Clock, SystemClock
from include.runtime.temporary_settings import TemporarySettings
from include.services.controller import ServiceController
from include.settings import Settings

Look = Callable[[ProbeName], Observation]


@dataclass(frozen=True)
class Tools:
    """Collaborators of the runner and of the rungs.

    ``look`` does one operation of a health probe and raises nothing (:class:`include.remediation.looks.Looks`);
    ``scenario`` gives the playbook's scenario. ``clock``: for every wait, age and event time.
    """

    settings: Settings
    controller: ServiceController
    store: IncidentStore
    guardrails: Guardrails
    temporary: TemporarySettings
    look: Look
    scenario: Callable[[ScenarioId], Scenario]
    clock: Clock = field(default_factory=SystemClock)

    def now(self) -> datetime:
        """The present moment, aware, in UTC."""
        return datetime.fromtimestamp(self.clock.time_ms() / 1000, tz=UTC)
