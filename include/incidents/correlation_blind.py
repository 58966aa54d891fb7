"""The observer that cannot see: an incident about the observer, never a reason to act on what it watches.

One blind probe is one incident, however many scenarios need it. Blindness that follows from a broken component is part
of that component's incident.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from include.health.verdicts import State
from include.incidents.correlation_sight import hiding, looked_at
from include.incidents.correlation_step import CorrelationLimits, Step, is_requested
from include.incidents.decisions import Adopt, ClearSymptom, Hold, Merge, Open, Place, Reason, Resolve, Suppress
from include.incidents.situation import OpenView
from include.playbook.names import Cause, Component, ScenarioId, Severity, Symptom

_OWNER = {
    Component.KAFKA: ScenarioId.KAFKA_DOWN,
    Component.PRODUCER: ScenarioId.PRODUCER_SILENT,
    Component.EXCHANGE: ScenarioId.PRODUCER_SILENT,
    Component.PROCESSOR: ScenarioId.STREAM_PROCESSOR_FAILURE,
    Component.MYSQL: ScenarioId.MYSQL_NOT_WRITING,
}


@dataclass(frozen=True, slots=True)
class _Blind:
    """One thing that cannot be seen. ``component``: what would have to be broken to explain it."""

    name: str
    since: float
    reason: str
    scenarios: tuple[ScenarioId, ...]
    component: Component

    @property
    def owner(self) -> ScenarioId:
        """The scenario that it is most about."""
        owner = _OWNER.get(self.component)
        return owner if owner in self.scenarios else self.scenarios[0]


class BlindWatch:
    """Remembers since when each scenario has been unknown, and until when a blindness was explained."""

    def __init__(self, limits: CorrelationLimits) -> None:
        self._limits = limits
        self._unknown_since: dict[ScenarioId, float] = {}
        self._explained_at: dict[str, float] = {}

    @property
    def idle(self) -> bool:
        """Everything is seen."""
        return not self._unknown_since

    def watch(self, step: Step) -> None:
        """Decide for every blindness, and for every open incident about one."""
        found = list(self._found(step))
        names = {blind.name for blind in found}
        self._explained_at = {name: at for name, at in self._explained_at.items() if name in names}
        for view in step.views:
            if view.blind:
                self._sight_back(step, view, found)
        views = [view for view in step.views if view.blind]
        unexplained = {s for blind in found if not hiding(step, blind.component) for s in blind.scenarios}
        for blind in found:
            self._decide(step, blind, views, unexplained)

    def _found(self, step: Step) -> Iterator[_Blind]:
        """Blind probes first, then what is unknown without one; the longest blindness first."""
        covered: set[ScenarioId] = set()
        for each in sorted(step.assessment.blind, key=lambda b: (b.since, b.probe)):
            if each.scenarios:
                covered |= set(each.scenarios)
                yield _Blind(each.probe, each.since, each.reason, each.scenarios, looked_at(each.probe))
        for scenario in ScenarioId:
            verdict = step.verdict(scenario)
            if verdict.state is not State.UNKNOWN:
                self._unknown_since.pop(scenario, None)
                continue
            since = self._unknown_since.setdefault(scenario, step.at)
            if scenario not in covered:
                yield _Blind(scenario, since, verdict.reason, (scenario,), verdict.target)

    def _decide(self, step: Step, blind: _Blind, views: list[OpenView], unexplained: set[ScenarioId]) -> None:
        if self._followed_from(step, blind, unexplained):
            return
        known = next((view for view in views if self._same(view, blind)), None)
        if known is not None:
            place = Place(known.incident.scenario, known.incident.target, known.incident.id)
            self._attach(step, blind, place, _members(known))
            return
        until = blind.since + min(step.playbook.scenarios[s].thresholds.blind_seconds for s in blind.scenarios)
        if (explained_at := self._explained_at.get(blind.name)) is not None:
            until = max(until, explained_at + self._limits.deadline)  # what hid it has only just healed
        opened = next((d for d in step.decisions if isinstance(d, Open) and d.target is Component.MONITORING), None)
        if step.at < until:
            said = _about(step, blind, blind.owner, Reason.BLIND_SHORTLY)
            step.decide(Hold(**said, until=until, episode=blind.since))
        elif opened is not None:
            self._attach(step, blind, Place(opened.scenario, opened.target), {opened.scenario})
        elif followed := [s for s in (blind.owner, *blind.scenarios) if s in step.followed]:
            self._open(step, blind, followed[0])
        else:
            said = _about(step, blind, blind.owner, Reason.NOT_FOLLOWED)
            step.decide(Suppress(**said, episode=blind.since))

    def _open(self, step: Step, blind: _Blind, scenario: ScenarioId) -> None:
        step.decide(
            Open(
                **_about(step, blind, scenario, Reason.BLIND),
                cause=Cause.MONITORING_BLIND,
                severity=Severity.SEV_3,
                onset=blind.since,
                summary=f"Monitoring is blind: {blind.reason}",
            )
        )
        self._attach(step, blind, Place(scenario, Component.MONITORING), {scenario})

    def _attach(self, step: Step, blind: _Blind, place: Place, members: set[ScenarioId]) -> None:
        """Every other scenario that cannot be judged for the same reason."""
        for scenario in blind.scenarios:
            if scenario not in members:
                members.add(scenario)
                said = _about(step, blind, scenario, Reason.SAME_BLINDNESS)
                step.decide(Adopt(**said, into=place, symptom=Symptom.NOT_OBSERVABLE, onset=blind.since))

    def _same(self, view: OpenView, blind: _Blind) -> bool:
        """One trouble of the observer: it concerns the same scenarios, or began at about the same time."""
        near = abs(view.incident.onset_at.timestamp() - blind.since) <= self._limits.late_root
        return near or not _members(view).isdisjoint(blind.scenarios)

    # --- Blindness that is no fault of the observer
    def _followed_from(self, step: Step, blind: _Blind, unexplained: set[ScenarioId]) -> bool:
        """What the probe looks at is broken, stopped or under suspicion: part of that, or to be seen shortly."""
        scenarios = hiding(step, blind.component)
        if not scenarios:
            return False
        self._explained_at[blind.name] = step.at
        place = next((step.placed[s] for s in scenarios if s in step.placed), None)
        if place is not None:
            for scenario in blind.scenarios:
                self._adopt(step, blind, scenario, place)
            self._merge(step, blind, place, unexplained)
            return True
        if any(is_requested(step.verdict(s)) for s in scenarios):
            said = _about(step, blind, blind.owner, Reason.ROOT_ON_REQUEST)
            step.decide(Suppress(**said, episode=blind.since))
        return True

    def _adopt(self, step: Step, blind: _Blind, scenario: ScenarioId, place: Place) -> None:
        if step.verdict(scenario).state is State.UNKNOWN and scenario not in step.placed:
            said = _about(step, blind, scenario, Reason.VIEW_TAKEN) | {"target": step.verdict(scenario).target}
            step.decide(Adopt(**said, into=place, symptom=Symptom.NOT_OBSERVABLE, onset=blind.since))

    def _merge(self, step: Step, blind: _Blind, place: Place, unexplained: set[ScenarioId]) -> None:
        """An incident about the same blindness that was opened a moment before its root was known, unless something
        else is blind there that the root does not explain: that would open it again.
        """
        for view in step.views:
            young = step.at - view.incident.opened_at.timestamp() <= self._limits.late_root
            about_it = view.incident.scenario in blind.scenarios and view.incident.scenario not in unexplained
            if view.blind and young and about_it:
                said = _about(step, blind, view.incident.scenario, Reason.ROOT_FOUND_LATE)
                step.decide(
                    Merge(
                        **said,
                        incident_id=view.incident.id,
                        into=place,
                        symptom=Symptom.NOT_OBSERVABLE,
                        onset=blind.since,
                    )
                )

    # --- Sight is back
    def _sight_back(self, step: Step, view: OpenView, found: list[_Blind]) -> None:
        blind_now = {scenario for blind in found for scenario in blind.scenarios}
        text = "It can be seen again."
        for symptom in view.attached:
            if symptom.scenario not in blind_now:
                step.decide(
                    ClearSymptom(
                        at=step.at,
                        scenario=symptom.scenario,
                        target=symptom.target,
                        reason=Reason.SIGHT_BACK,
                        text=text,
                        incident_id=view.incident.id,
                    )
                )
        if _members(view).isdisjoint(blind_now):
            step.decide(
                Resolve(
                    at=step.at,
                    scenario=view.incident.scenario,
                    target=view.incident.target,
                    reason=Reason.SIGHT_BACK,
                    text=text,
                    incident_id=view.incident.id,
                    version=view.incident.version,
                )
            )


def _members(view: OpenView) -> set[ScenarioId]:
    return {view.incident.scenario, *(symptom.scenario for symptom in view.attached)}


def _about(step: Step, blind: _Blind, scenario: ScenarioId, reason: Reason) -> dict[str, Any]:
    return {
        "at": step.at,
        "scenario": scenario,
        "target": Component.MONITORING,
        "reason": reason,
        "text": f"{blind.name} cannot see: {blind.reason}",
    }
