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
        self._views = views
        self._limits = {probe: limits for probe in sorted(config.probes) if (limits := _limits(probe, views, config))}
        self._shortest = {probe: min(limits.values()) for probe, limits in self._limits.items()}
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
        self.saw.update(dict.fromkeys(self._limits, at))
        self._due, self.blind, self.unknown = at, (), {}

    def check(self, at: float) -> bool:
        """Look for blind probes, at most once a second; whether anything changed."""
        if at < self._due:
            return False
        found = tuple(blindness for probe in self._limits if (blindness := self._blindness(probe, at)))
        soonest = min((self.saw[probe] + shortest for probe, shortest in self._shortest.items()), default=at)
        self._due = max(soonest, at + _CHECK_SECONDS)
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
        if at - since <= self._shortest[probe]:
            return None
        scenarios = tuple(scenario for scenario, limit in self._limits[probe].items() if at - since > limit)
        return Blindness(probe, since, self._reason(probe), scenarios) if scenarios else None

    def _reason(self, probe: Probe) -> str:
        why = self._why.get(probe)
        if why is None:
            return f"The probe {probe} has not reported."
        return f"The probe {probe} cannot see: {why.error or why.code.value}."


def _limits(probe: Probe, views: Mapping[ScenarioId, View], config: DetectorConfig) -> dict[ScenarioId, float]:
    """Seconds that it may be without sight, for each scenario that looks at it."""
    missed = _LOOKS_MISSED * config.looks.get(probe, 1.0)
    return {scenario: max(view.blind_seconds, missed) for scenario, view in views.items() if probe in view.probes}
