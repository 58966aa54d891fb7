"""How a scenario's trouble becomes part of its root's incident, and when it becomes one of its own again."""

from __future__ import annotations

from include.health.verdicts import Verdict
from include.incidents.correlation_roots import Candidate, RootFinder
from include.incidents.correlation_step import CorrelationLimits, Step
from include.incidents.decisions import Adopt, ClearSymptom, Merge, Open, Place, Reason
from include.incidents.model import IncidentState
from include.incidents.situation import OpenView
from include.playbook.names import ScenarioId, Symptom

# Classes that name a fault by themselves. Others (silent, slow, gone) may be the late consequence of anything.
_SPECIFIC = frozenset(
    {
        Symptom.MYSQL_CONNECTIONS,
        Symptom.MYSQL_LOCKED,
        Symptom.MYSQL_READ_ONLY,
        Symptom.MYSQL_DISK_FULL,
        Symptom.MYSQL_CREDENTIALS,
        Symptom.MYSQL_SCHEMA,
        Symptom.MYSQL_DATA,
        Symptom.KAFKA_REFUSES,
        Symptom.EXCHANGE_UNREACHABLE,
        Symptom.RATE_LIMITED,
        Symptom.BAD_FRAMES,
        Symptom.ID_GAP,
        Symptom.ROWS_MISSING,
    }
)


def opening(step: Step, verdict: Verdict, reason: Reason, text: str) -> Open:
    """An incident of its own."""
    return Open(
        **step.about(verdict, reason, text),
        cause=verdict.cause,
        severity=step.severity_of(verdict),
        onset=verdict.onset or verdict.since or step.at,
        summary=verdict.reason,
    )


def joining(step: Step, verdict: Verdict, root: Candidate, into: Place, own: OpenView | None) -> Adopt | Merge:
    """Part of the root's incident; the record that it may have is merged."""
    if own is not None:
        return _merging(step, verdict, root, into, own)
    symptom = verdict.symptom or Symptom.NOT_OBSERVABLE
    return Adopt(
        **step.about(verdict, root.reason, f"{verdict.reason} {_responsible(root, symptom)}"),
        into=into,
        symptom=symptom,
        onset=verdict.onset or step.at,
    )


def merge_late(step: Step, finder: RootFinder, verdict: Verdict, own: OpenView, limits: CorrelationLimits) -> None:
    """The root was found a moment after its symptom had opened an incident."""
    late = own.incident.opened_at.timestamp() + limits.late_root
    if step.at > late:
        return
    roots = finder.candidates(verdict, latest_onset=late)
    common = finder.common_cause(verdict)
    if common is not None and _nearer_to_the_source(common.scenario, verdict.scenario):
        roots.append(common)
    for root in roots:
        if root.place and not is_own(root.place, own):
            step.decide(_merging(step, verdict, root, root.place, own))
            return


def is_own(place: Place, own: OpenView | None) -> bool:
    """Whether that is the scenario's own incident."""
    return own is not None and place.incident_id == own.incident.id


def _responsible(root: Candidate, what: str) -> str:
    """The sentence that says why."""
    if root.reason is Reason.COMMON_CAUSE:
        return f"It shares its cause with {root.scenario}, the host: {root.because}"
    return f"{root.scenario} is responsible for {what}: {root.because}."


def _nearer_to_the_source(one: ScenarioId, other: ScenarioId) -> bool:
    order = list(ScenarioId)
    return order.index(one) < order.index(other)


def _explained(finder: RootFinder, verdict: Verdict) -> bool:
    """By any open incident, however long ago it began."""
    candidates = finder.candidates(verdict, latest_onset=float("inf"))
    return any(c.place for c in candidates) or finder.common_cause(verdict) is not None


def _merging(step: Step, verdict: Verdict, root: Candidate, into: Place, own: OpenView) -> Merge:
    reason = Reason.ROOT_FOUND_LATE if root.reason is Reason.EXPLAINED else root.reason
    about = step.about(verdict, reason, f"{verdict.reason} {_responsible(root, 'it')}")
    return Merge(
        **about | {"target": own.incident.target},
        incident_id=own.incident.id,
        into=into,
        symptom=verdict.symptom or Symptom.NOT_OBSERVABLE,
        onset=verdict.onset or step.at,
    )


class Splits:
    """Attached scenarios that show a fault which no open incident explains: two faults stay two."""

    def __init__(self) -> None:
        self._since: dict[ScenarioId, float] = {}

    @property
    def waiting(self) -> bool:
        """Something may have to be split."""
        return bool(self._since)

    def forget(self, scenario: ScenarioId) -> None:
        """Its trouble is over."""
        self._since.pop(scenario, None)

    def look(self, step: Step, finder: RootFinder, verdict: Verdict) -> None:
        """Split it when it has been unexplained for as long as it would wait for a root."""
        scenario = verdict.scenario
        adopter = step.adopter[scenario]
        attached = next(s for s in adopter.attached if s.scenario is scenario)
        verified = attached.residual or adopter.incident.state is IncidentState.VERIFYING  # has a deadline
        own_fault = verdict.symptom in _SPECIFIC and not verified and not step.is_record(verdict)
        if not own_fault or _explained(finder, verdict) or scenario not in step.followed:
            self.forget(scenario)
            return
        since = self._since.setdefault(scenario, step.at)
        if step.at - since < step.playbook.scenarios[scenario].hold_seconds:
            return
        self.forget(scenario)
        text = f"{verdict.reason} {adopter.incident.id} does not explain {verdict.symptom}: a fault of its own."
        step.decide(
            ClearSymptom(
                at=step.at,
                scenario=scenario,
                target=attached.target,
                reason=Reason.NOT_EXPLAINED,
                text=text,
                incident_id=adopter.incident.id,
            )
        )
        step.decide(opening(step, verdict, Reason.NOT_EXPLAINED, text))
