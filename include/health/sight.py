"""What the observer can see: which probes have been blind for too long, and what that leaves unknown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from include.health.config import DetectorConfig
from include.health.observations import Observation, Probe
from include.health.verdicts import Blindness
from include.playbook.names import ScenarioId

_LOOKS_MISSED = 3  # a slow probe may miss two
_CHECK_SECONDS = 1.0


@dataclass(frozen=True)
class View:
    """What one scenario looks at: ``probes``, and those of them that it ``needs``."""

    probes: frozenset[Probe]
    needs: frozenset[Probe]
    blind_seconds: float


class Sight:
    """Follows when each probe saw something last. A probe that never did is counted from the first moment on."""

    def __init__(self, views: Mapping[ScenarioId, View], config: DetectorConfig) -> None:
        self._views, self._looks = views, config.looks
        wanted = frozenset[Probe]().union(*(view.probes for view in views.values()))
        self._probes = tuple(sorted(wanted & config.probes))
        self.saw: dict[Probe, float] = {}  # when each saw something last; written by the detector, for speed
        self._why: dict[Probe, Observation] = {}
        self._due = 0.0
        self.blind: tuple[Blindness, ...] = ()
        self.unknown: dict[ScenarioId, Blindness] = {}  # scenarios of which nothing can be said

    def blinded(self, observation: Observation) -> None:
        """A probe failed for a reason of its own."""
        self._why[observation.probe] = observation

    def resumed(self, at: float) -> None:
        """The observer was away, which is no fault of its probes: they get their time again."""
        self.saw = dict.fromkeys(self._probes, at)
        self._due, self.blind, self.unknown = at, (), {}

    def check(self, at: float) -> bool:
        """Look for blind probes, about once a second; whether anything changed."""
        if at < self._due:
            return False
        self._due = at + _CHECK_SECONDS
        found = tuple(blindness for probe in self._probes if (blindness := self._blindness(probe, at)))
        if found == self.blind:
            return False
        self.blind, self.unknown = found, {}
        for blindness in found:
            for scenario in blindness.scenarios:
                if blindness.probe in self._views[scenario].needs:
                    self.unknown.setdefault(scenario, blindness)
        return True

    def _blindness(self, probe: Probe, at: float) -> Blindness | None:
        since = self.saw.setdefault(probe, at)
        missed = _LOOKS_MISSED * self._looks.get(probe, 1.0)
        scenarios = tuple(
            scenario
            for scenario, view in self._views.items()
            if probe in view.probes and at - since > max(view.blind_seconds, missed)
        )
        return Blindness(probe, since, self._reason(probe, since), scenarios) if scenarios else None

    def _reason(self, probe: Probe, since: float) -> str:
        why = self._why.get(probe)
        if why is None:
            return f"The probe {probe} has not reported."
        return f"The probe {probe} cannot see: {why.error or why.code.value}."
