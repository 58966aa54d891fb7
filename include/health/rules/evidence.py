"""The few facts behind a verdict: of each kind the first that was seen and the newest."""

from __future__ import annotations

from include.health.observations import Observation, Probe
from include.health.verdicts import Evidence

_KINDS = 6  # kinds kept: two facts each


class EvidenceLog:
    """Facts by kind (probe and code); those of a new kind replace the kind not seen for longest."""

    def __init__(self) -> None:
        self._first: dict[tuple[Probe, str], Evidence] = {}
        self._newest: dict[tuple[Probe, str], Evidence] = {}

    def add(self, at: float, probe: Probe, code: str, text: str) -> None:
        """Keep a fact."""
        kind, fact = (probe, code), Evidence(at, probe, code, text)
        if kind not in self._first:
            if len(self._first) == _KINDS:
                oldest = min(self._newest, key=lambda known: self._newest[known].at)
                del self._first[oldest], self._newest[oldest]
            self._first[kind] = fact
        self._newest[kind] = fact

    def add_observation(self, at: float, observation: Observation) -> None:
        """Keep what a probe said of itself."""
        text = observation.error or observation.code.value
        self.add(at, observation.probe, observation.code.value, text)

    def kept(self) -> tuple[Evidence, ...]:
        """Oldest first."""
        if not self._first:
            return ()
        facts = {*self._first.values(), *self._newest.values()}
        return tuple(sorted(facts, key=lambda fact: (fact.at, fact.probe, fact.code)))

    def clear(self) -> None:
        """Forget everything."""
        if self._first:
            self._first, self._newest = {}, {}
