"""Where a scenario's trouble belongs: to an incident of its own, to that of its root, or to none (detection §4)."""

from __future__ import annotations

from dataclasses import dataclass, field

from include.health.verdicts import State, Verdict
from include.incidents.correlation_joining import Splits, is_own, joining, merge_late, opening
from include.incidents.correlation_roots import Candidate, RootFinder, Standing, stalled_component
from include.incidents.correlation_step import CorrelationLimits, Step, is_confirmed, is_requested
from include.incidents.decisions import Hold, Place, RaiseSeverity, Reason, SetCause, Suppress
from include.incidents.situation import OpenView
from include.playbook.names import Cause, ScenarioId

_REQUEST_SECONDS = 60.0  # a start so soon after a stop on request belongs to the request


@dataclass(slots=True)
class _Wait:
    """The wait of one symptom: since when it is confirmed, and who was suspected meanwhile."""

    began: float
    suspects: set[ScenarioId] = field(default_factory=set)


class Placer:
    """Remembers, per scenario, only what waits and what was stopped or started before."""

    def __init__(self, limits: CorrelationLimits) -> None:
        self._limits = limits
        self._waits: dict[ScenarioId, _Wait] = {}
        self._splits = Splits()
        self._requested: dict[ScenarioId, float] = {}
        self._excused: dict[ScenarioId, float] = {}  # until when it may suffer from what was stopped on request
        self._served: set[ScenarioId] = set()  # seen healthy, or in real trouble

    @property
    def idle(self) -> bool:
        """Nothing waits, and everything has been seen to work."""
        return not self._waits and not self._splits.waiting and len(self._served) == len(ScenarioId)

    def place_all(self, step: Step) -> None:
        """Decide for every scenario, roots before what they explain."""
        finder = RootFinder(step, self._limits)
        done: set[ScenarioId] = set()
        for scenario in ScenarioId:
            self._place(step, finder, scenario, done)

    def _place(self, step: Step, finder: RootFinder, scenario: ScenarioId, done: set[ScenarioId]) -> None:
        if scenario in done:
            return
        done.add(scenario)
        verdict = step.verdict(scenario)
        self._remember(step, verdict)
        if not is_confirmed(verdict) and not step.is_record(verdict):
            self._waits.pop(scenario, None)
            self._splits.forget(scenario)
            if verdict.state is State.HEALTHY:
                self._excused.pop(scenario, None)
            if verdict.state is State.RECOVERING and scenario not in step.own and scenario not in step.adopter:
                self._suppress(step, verdict, Reason.HEALING, "It was over before it would have opened an incident.")
            return
        for root in finder.explaining(verdict):
            self._place(step, finder, root, done)
        own = step.own.get(scenario)
        if own is not None and not own.record:
            self._waits.pop(scenario, None)
            merge_late(step, finder, verdict, own, self._limits)
        elif scenario in step.adopter:
            self._splits.look(step, finder, verdict)
        elif own is None or not step.is_record(verdict):
            self._find_place(step, finder, verdict, own)

    def _remember(self, step: Step, verdict: Verdict) -> None:
        if is_requested(verdict):
            self._requested[verdict.scenario] = step.at
        elif verdict.state is State.HEALTHY or (is_confirmed(verdict) and not step.is_record(verdict)):
            self._served.add(verdict.scenario)

    # --- A trouble that has no incident yet, or only a record
    def _find_place(self, step: Step, finder: RootFinder, verdict: Verdict, own: OpenView | None) -> None:
        if self._no_fault(step, verdict):
            return
        found = finder.candidates(verdict)
        best = found[0] if found else None
        if best and best.place and not is_own(best.place, own):
            self._join(step, verdict, best, best.place, own)
        elif text := self._excuse(step, verdict, best):
            self._suppress(step, verdict, Reason.ROOT_ON_REQUEST, text)
        elif (common := finder.common_cause(verdict)) and common.place and not is_own(common.place, own):
            self._join(step, verdict, common, common.place, own)
        elif verdict.scenario not in step.followed:
            text = f"No health Dag follows {verdict.scenario}: {verdict.reason}"
            self._suppress(step, verdict, Reason.NOT_FOLLOWED, text)
        else:
            self._open_or_wait(step, finder, verdict, found, own)

    def _no_fault(self, step: Step, verdict: Verdict) -> bool:
        """Trouble that never is an incident."""
        if is_requested(verdict):
            self._suppress(step, verdict, Reason.ON_REQUEST, verdict.reason)
        elif verdict.cause in (Cause.QUIET_MARKET, Cause.NONE):
            self._suppress(step, verdict, Reason.NO_FAULT, verdict.reason)
        elif self._just_started(step, verdict):
            self._suppress(step, verdict, Reason.JUST_STARTED, verdict.reason)
        else:
            return False
        return True

    def _excuse(self, step: Step, verdict: Verdict, best: Candidate | None) -> str:
        """Why it is no fault: it suffers from what somebody stopped, or did so until a moment ago and is given the time
        that symptoms are given after their root has healed. Loss of data is never excused.
        """
        if verdict.cause is Cause.RETENTION_LOSS:
            return ""
        if best and best.standing is Standing.REQUESTED:
            self._excused[verdict.scenario] = step.deadline(self._limits)
            return f"{verdict.target} suffers from what was stopped on request ({best.scenario}): {best.because}."
        if step.at < self._excused.get(verdict.scenario, 0.0):
            return f"{verdict.target} suffered from what was stopped on request until a moment ago."
        return ""

    def _just_started(self, step: Step, verdict: Verdict) -> bool:
        """A start that replaced nothing which this watch saw serving, or that followed a stop on request."""
        if verdict.cause is not Cause.PROCESS_RESTARTED or not step.is_record(verdict):
            return False
        requested = self._requested.get(verdict.scenario)
        on_request = requested is not None and verdict.onset - requested < _REQUEST_SECONDS
        return on_request or verdict.scenario not in self._served

    def _open_or_wait(
        self, step: Step, finder: RootFinder, verdict: Verdict, found: list[Candidate], own: OpenView | None
    ) -> None:
        wait = self._waits.setdefault(verdict.scenario, _Wait(step.at))
        if hold := self._hold(step, finder, verdict, found, wait):
            step.decide(hold)
            return
        reason, text = self._opening(step, finder, verdict, found, wait)
        if own is None:
            step.decide(opening(step, verdict, reason, text))
        else:
            self._raise_record(step, verdict, own, reason, text)

    def _hold(
        self, step: Step, finder: RootFinder, verdict: Verdict, found: list[Candidate], wait: _Wait
    ) -> Hold | None:
        """Whether it still waits, and for what. The wait for a root that is only suspected is bounded."""
        hold = step.playbook.scenarios[verdict.scenario].hold_seconds
        suspects = {c.scenario for c in found if c.standing is Standing.SUSPECT}
        lifted = bool(wait.suspects) and not suspects
        wait.suspects |= suspects
        if root := next((c for c in found if c.scenario in step.waiting), None):
            text = f"{root.scenario} explains it and waits for a root itself: {root.because}."
            return self._held(verdict, step, Reason.ROOT_WAITING, text, step.at + hold)
        if found and step.at < wait.began + hold:
            text = f"{found[0].scenario} would explain it, and is {step.verdict(found[0].scenario).state}."
            return self._held(verdict, step, Reason.ROOT_SUSPECTED, text, wait.began + hold)
        until = (verdict.onset or wait.began) + hold
        if not verdict.direct and not lifted and step.at < until and finder.has_scenarios_above(verdict):
            text = "It is inferred, and a root may still show itself."
            return self._held(verdict, step, Reason.WAITING_FOR_ROOT, text, until)
        return None

    def _held(self, verdict: Verdict, step: Step, reason: Reason, text: str, until: float) -> Hold:
        return Hold(**step.about(verdict, reason, f"{verdict.reason} {text}"), until=until, episode=verdict.onset)

    def _opening(
        self, step: Step, finder: RootFinder, verdict: Verdict, found: list[Candidate], wait: _Wait
    ) -> tuple[Reason, str]:
        """Why it is a root."""
        if step.is_record(verdict):
            return Reason.RECORD, "A record; nobody is paged."
        if found and found[0].standing is Standing.PENDING:
            text = f"{found[0].scenario} explains it ({found[0].because}), but no health Dag follows that."
            return Reason.ROOT_NOT_FOLLOWED, text
        if others := finder.broken_above(verdict):
            symptom = verdict.symptom or "this"
            return Reason.NOT_EXPLAINED, f"{', '.join(others)} is broken too, and does not explain {symptom}."
        stalled = step.assessment.stall
        at_stall = f" {stalled.reason}" if stalled and stalled_component(step) is verdict.target else ""
        if verdict.direct:
            return Reason.DIRECT, f"{verdict.target} itself was probed and failed; nothing above explains it.{at_stall}"
        if wait.suspects:
            names = ", ".join(sorted(wait.suspects))
            return Reason.SUSPICION_LIFTED, f"{names} was suspected to be the root, and was not confirmed.{at_stall}"
        return Reason.NO_ROOT_FOUND, f"No root showed itself in time.{at_stall}"

    def _raise_record(self, step: Step, verdict: Verdict, own: OpenView, reason: Reason, text: str) -> None:
        """A record turned into a fault: the same incident, worse."""
        incident = own.incident
        common = {"at": step.at, "scenario": verdict.scenario, "target": incident.target, "incident_id": incident.id}
        said = f"{verdict.reason} {text}"
        severity = step.severity_of(verdict)
        step.decide(RaiseSeverity(reason=reason, text=said, evidence=verdict.evidence, severity=severity, **common))  # type: ignore[arg-type]
        step.placed[verdict.scenario] = Place(verdict.scenario, incident.target, incident.id)
        if verdict.cause not in (incident.cause, Cause.UNKNOWN):
            step.decide(SetCause(reason=Reason.DIAGNOSED, text=verdict.reason, cause=verdict.cause, **common))  # type: ignore[arg-type]

    def _join(self, step: Step, verdict: Verdict, root: Candidate, into: Place, own: OpenView | None) -> None:
        self._waits.pop(verdict.scenario, None)
        step.decide(joining(step, verdict, root, into, own))

    def _suppress(self, step: Step, verdict: Verdict, reason: Reason, text: str) -> None:
        self._waits.pop(verdict.scenario, None)
        step.decide(Suppress(**step.about(verdict, reason, text), episode=verdict.onset))
