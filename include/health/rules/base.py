"""What every scenario's rules are made of: the protocol, a finding, and the judge that turns findings into verdicts."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Protocol

import msgspec

from include.health.config import DetectorConfig
from include.health.observations import Observation, Probe
from include.health.rules.evidence import EvidenceLog
from include.health.verdicts import State, Verdict
from include.playbook.names import Cause, Component, ScenarioId, Severity, Symptom
from include.playbook.thresholds import Thresholds

Handler = Callable[[float, Observation], None]
Figures = dict[str, float | int | str | None]


class Rules(Protocol):
    """The rules of one scenario. They never read a clock: ``at`` never goes back from one call to the next."""

    scenario: ScenarioId
    target: Component
    needs: frozenset[Probe]  # without any of which nothing can be said

    @property
    def handlers(self) -> Mapping[Probe, Handler]:
        """Who takes the observations of the probes that it wants. A blind one says nothing, and is not handed on."""
        ...

    def verdict(self, at: float) -> Verdict:
        """What is known at ``at``: the same object as long as nothing has changed."""
        ...

    def resumed(self, at: float) -> None:
        """Nobody looked for a while, up to ``at``: what needs an unbroken run of samples starts again."""
        ...


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What one look at all signals says. ``state``: any but ``FLAPPING``. ``onset``: first bad sample, 0 if none."""

    state: State
    reason: str
    cause: Cause = Cause.NONE
    symptom: Symptom | None = None
    direct: bool = False
    severity: Severity | None = None
    onset: float = 0.0


_RECHECK_SECONDS = 2.0  # what is not healthy may change by the mere passing of time
_AGAIN = "Good again, but not for long enough yet; it was:"
_NOT_SEEN = Finding(state=State.UNKNOWN, reason="No observation yet.", cause=Cause.UNKNOWN)


class Judge:
    """Keeps the verdict of one scenario.

    A confirmed trouble keeps its first onset until it is over. An unknown finding leaves a confirmed trouble as it is.
    Turning unhealthy ``flaps`` times within ``flap_window_seconds`` is flapping, until ``flap_calm_seconds`` have
    passed without a bad finding. ``evidence`` is for the rules to fill; it is emptied when a scenario is healthy again.
    ``settled_until``: when new figures are due; rules that saw nothing remarkable hand out the same verdict until then.
    """

    def __init__(self, scenario: ScenarioId, target: Component, thresholds: Thresholds, config: DetectorConfig) -> None:
        self.scenario, self.target = scenario, target
        self._thresholds, self._refresh = thresholds, config.figures_seconds
        self.evidence = EvidenceLog()
        self._turns: deque[float] = deque(maxlen=thresholds.flaps)  # when it turned unhealthy
        self._flapping = False
        self._last_bad = 0.0
        self._finding = _NOT_SEEN
        self._said = Cause.NONE, ""  # the first words on the present cause, which tell most
        self._figures: Figures = {}
        self.settled_until = 0.0
        self.verdict = self._made(_NOT_SEEN, State.UNKNOWN, 0.0, 0.0)

    @property
    def bad(self) -> bool:
        """Whether an incident of this scenario must not be closed."""
        return self.verdict.state.bad

    def recovering(self, onset: float = 0.0) -> Finding:
        """The present trouble, with good samples, but not enough of them."""
        return msgspec.structs.replace(self._finding, state=State.RECOVERING, onset=onset or self._finding.onset)

    def persisting(self) -> Finding:
        """The present trouble, of which nothing more exact can be said now."""
        return msgspec.structs.replace(self._finding, state=State.UNHEALTHY)

    def conclude(self, at: float, finding: Finding, figures: Figures) -> Verdict:
        """The verdict at ``at``; the same object if nothing that matters has changed."""
        state = self._state(at, finding)
        if state.bad and not finding.state.bad:
            finding = self._lasting(finding, state)
        old = self.verdict
        if finding.state is State.UNHEALTHY and finding.cause is not self._said[0]:
            self._said = finding.cause, finding.reason
        if state is State.HEALTHY:
            self.evidence.clear()
            self._said = Cause.NONE, ""
        if state is old.state and at < self.settled_until and finding == self._finding:
            return old
        since = old.since if state is old.state else at
        self._finding, self._figures = finding, figures
        self.settled_until = at + (self._refresh if state is State.HEALTHY else _RECHECK_SECONDS)
        self.verdict = self._made(finding, state, since, self._onset(finding, state, since))
        return self.verdict

    def resumed(self, at: float) -> None:
        """See :meth:`Rules.resumed`: a flapping scenario must be seen calm for the whole time."""
        self._last_bad = max(self._last_bad, at)
        self.settled_until = 0.0

    def _state(self, at: float, finding: Finding) -> State:
        """Of the scenario, from that of its signals and what was before."""
        before = self.verdict.state
        if finding.state.bad:
            self._last_bad = at
            if not before.bad:
                self._turn(at)
            return State.FLAPPING if self._flapping else finding.state
        if finding.state is State.UNKNOWN and before.bad:
            return before
        if self._flapping and at - self._last_bad < self._thresholds.flap_calm_seconds:
            return State.FLAPPING
        self._flapping = False
        return finding.state

    def _turn(self, at: float) -> None:
        self._turns.append(at)
        full = len(self._turns) == self._thresholds.flaps
        self._flapping = full and at - self._turns[0] <= self._thresholds.flap_window_seconds

    def _lasting(self, finding: Finding, state: State) -> Finding:
        """The verdict stays bad although its signals are not: it keeps what it said, and why it stays."""
        if state is State.FLAPPING and finding.state is not State.UNKNOWN:
            reason = f"Unhealthy {len(self._turns)} times in a short while; not yet calm for long enough."
            return msgspec.structs.replace(self._finding, reason=reason)
        return self._finding

    def _onset(self, finding: Finding, state: State, since: float) -> float:
        """The earliest sign of the present trouble."""
        if state in (State.HEALTHY, State.UNKNOWN):
            return 0.0
        old = self.verdict.onset
        if state.bad and self.verdict.state.bad and old:
            return old
        return finding.onset or old or since

    def _reason(self, finding: Finding, state: State) -> str:
        if state is not State.RECOVERING:
            return finding.reason
        cause, said = self._said
        return f"{_AGAIN} {said if cause is finding.cause else finding.reason}"

    def _made(self, finding: Finding, state: State, since: float, onset: float) -> Verdict:
        return Verdict(
            scenario=self.scenario,
            target=self.target,
            state=state,
            cause=finding.cause,
            reason=self._reason(finding, state),
            since=since,
            onset=onset,
            symptom=finding.symptom,
            direct=finding.direct,
            severity=finding.severity,
            evidence=self.evidence.kept(),
            figures=self._figures,
        )
