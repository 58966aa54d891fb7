"""From what the probes see to what is concluded: a pure function of the observations and their moments.

The same code runs live and over recorded or simulated traces. A step must cost some twenty microseconds, so whatever
has settled is handed out again as it is.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from include.health.config import DetectorConfig
from include.health.harm import HarmMeter
from include.health.observations import Observation, Outcome, Probe, Seen
from include.health.position_ledger import PositionLedger
from include.health.rules.base import Handler, Rules
from include.health.rules.catalog import rules_of
from include.health.sight import Sight, View
from include.health.verdicts import Assessment, Blindness, State, Verdict
from include.playbook.names import Cause, ScenarioId, Symptom
from include.playbook.playbook import Playbook
from include.playbook.thresholds import Thresholds

_STEP_BACK_SECONDS = 1.0
_POSITIONS = frozenset({Probe.EXCHANGE, Probe.PRODUCER, Probe.OFFSETS, Probe.PROCESSOR, Probe.MYSQL_LEDGER})


class Detector:
    """Feed it everything that is seen, in order.

    ``playbook``: the whole playbook, or thresholds by scenario. Time comes from ``Seen.at`` alone. After a gap the
    observer was away: confirmed troubles stay, runs of samples start again. After a step back of the clock nothing that
    is remembered can be dated any more: everything starts anew. Smaller steps back count as no time.
    """

    def __init__(self, playbook: Playbook | Mapping[ScenarioId, Thresholds], config: DetectorConfig) -> None:
        self._thresholds: Mapping[ScenarioId, Thresholds] = (
            {name: scenario.thresholds for name, scenario in playbook.scenarios.items()}
            if isinstance(playbook, Playbook)
            else playbook
        )
        self._config = config
        self._last: float | None = None
        self._verdicts: dict[ScenarioId, Verdict] = {}
        self._begin()

    def feed(self, seen: Seen) -> Assessment:
        """Take what was seen at one moment; what is concluded then."""
        at = seen.at
        if self._last is None or not self._last <= at <= self._last + self._config.gap_seconds:
            at = self._mended(at)
        self._last = at
        if seen.observations:
            self._take(at, seen.observations)
        changed = self._sight.check(at)
        for scenario, shown in self._shown.items():
            verdict = shown.rules.verdict(at)
            if verdict is not shown.source or changed:
                verdict = shown.update(at, verdict, self._sight.unknown.get(scenario))
                self._verdicts = {**self._verdicts, scenario: verdict}
        return Assessment(
            at=at,
            verdicts=self._verdicts,
            stall=self._ledger.stall(at),
            blind=self._sight.blind,
            harm=self._harm.harm(at),
        )

    def _begin(self) -> None:
        """Know nothing."""
        rules = rules_of(self._thresholds, self._config)
        self._shown = {each.scenario: _Shown(each) for each in rules}
        self._ledger, self._harm = PositionLedger(self._config), HarmMeter(self._config)
        views = {
            each.scenario: View(frozenset(each.handlers), each.needs, self._thresholds[each.scenario].blind_seconds)
            for each in rules
        }
        self._sight = Sight(views, self._config)
        self._routes: dict[Probe, tuple[Handler, ...]] = {
            probe: tuple(each.handlers[probe] for each in rules if probe in each.handlers) for probe in Probe
        }
        for probe in _POSITIONS:
            self._routes[probe] += (self._ledger.observe, self._harm.observe)

    def _take(self, at: float, observations: tuple[Observation, ...]) -> None:
        routes, saw, blind = self._routes, self._sight.saw, Outcome.BLIND
        for observation in observations:
            probe = observation.probe
            if observation.outcome is blind:
                self._sight.blinded(observation)
                self._harm.observe(at, observation)
                continue
            saw[probe] = at
            for take in routes[probe]:
                take(at, observation)

    def _mended(self, at: float) -> float:
        """The moment does not follow the last one: what to take it for."""
        if self._last is None:
            return at
        if at > self._last:
            for shown in self._shown.values():
                shown.rules.resumed(at)
            self._ledger.resumed(at)
            self._sight.resumed(at)
        elif at < self._last - _STEP_BACK_SECONDS:
            self._begin()
        else:
            return self._last
        return at


class _Shown:
    """The verdict of one scenario as it is shown: unknown while a probe that the rules need is blind. A confirmed
    trouble stays what it is: not to see it does not end it.
    """

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.source: Verdict | None = None
        self._state: State | None = None
        self._since = 0.0

    def update(self, at: float, source: Verdict, blindness: Blindness | None) -> Verdict:
        """The rules' own verdict, or that nothing can be said."""
        self.source = source
        verdict = source
        if blindness is not None and source.state in (State.HEALTHY, State.SUSPECT, State.UNKNOWN):
            verdict = msgspec.structs.replace(
                source,
                state=State.UNKNOWN,
                cause=Cause.MONITORING_BLIND,
                symptom=Symptom.NOT_OBSERVABLE,
                reason=blindness.reason,
                onset=blindness.since,
                severity=None,
                direct=False,
            )
        if verdict.state is not self._state:
            self._state, self._since = verdict.state, at
        return verdict if verdict.since == self._since else msgspec.structs.replace(verdict, since=self._since)
