"""Compares what was opened with a story's labels, in the same terms for every detector."""

from __future__ import annotations

from dataclasses import dataclass, field

from include.incidents.model import IncidentState
from include.playbook.names import Component, ScenarioId, Severity
from tests.detection.baselines import Alert
from tests.detection.replay import Opening, Played
from tests.detection.story import Fault, Paging, Visible

OURS = "this project"
_AFTERMATH_SECONDS = 600.0  # what comes up so shortly after a fault belongs to it
_EARLY_SECONDS = 0.5
_MOST_OPENINGS = 4  # of one incident: beyond it is a flickering light
_OF = {
    ScenarioId.KAFKA_DOWN: Component.KAFKA,
    ScenarioId.STREAM_PROCESSOR_FAILURE: Component.PROCESSOR,
    ScenarioId.MYSQL_NOT_WRITING: Component.MYSQL,
    ScenarioId.PRODUCER_SILENT: Component.PRODUCER,
    ScenarioId.KAFKA_LAG: Component.LAG,
}


@dataclass
class Score:
    """One detector on one story. ``faults``: those that people must be told of. ``opened``: incidents (or alerts) that
    were opened for them. ``problems``: everything that is not as labelled, in words.
    """

    story: str
    detector: str
    faults: int = 0
    delays: list[float] = field(default_factory=list)
    misses: int = 0
    opened: int = 0
    false_alarms: int = 0
    problems: list[str] = field(default_factory=list)

    def add(self, other: Score) -> None:
        """The same story once more."""
        self.faults += other.faults
        self.delays += other.delays
        self.misses += other.misses
        self.opened += other.opened
        self.false_alarms += other.false_alarms
        self.problems += other.problems


# --- Our own -----------------------------------------------------------------------------------------------------
def judge(played: Played) -> Score:
    """Delays, misses, false alarms, second incidents, wrong causes and roots, and what was left open."""
    story = played.story
    score = Score(story.name, OURS)
    left = [o for o in played.openings if played.incidents[o.incident_id].state is not IncidentState.MERGED]
    for fault in story.faults:
        score.faults += _counts(fault)
        found = _first(left, fault)
        if found is None:
            if not fault.optional:
                score.misses += 1
                score.problems.append(f"missed: {_expected(fault)}")
            continue
        left = [o for o in left if o is not found and not (o.incident_id == found.incident_id and _is_record(o))]
        if found.paged_at is None:  # a record that becomes a fault when it comes back is still the same incident
            again = next((o for o in left if o.incident_id == found.incident_id), None)
            left = [o for o in left if o is not again]
        _judge_opening(played, fault, found, score)
    for opening in left:
        _judge_rest(played, opening, score)
    _judge_end(played, score)
    return score


def _counts(fault: Fault) -> bool:
    return fault.paging is not Paging.RECORD and not fault.optional


def _is_record(opening: Opening) -> bool:
    return opening.paged_at is None


def _expected(fault: Fault) -> str:
    causes = "; ".join(f"{s} ({', '.join(sorted(c))})" for s, c in fault.accept.items())
    return f"{causes} of {fault.at:.1f} s"


def _first(openings: list[Opening], fault: Fault) -> Opening | None:
    """The first that fits; what pages people before mere records, if they are to be paged."""
    fitting = [
        opening
        for opening in openings
        if opening.scenario in fault.accept
        and (not fault.targets or opening.target in fault.targets)
        and fault.at - _EARLY_SECONDS <= opening.at <= fault.until + _AFTERMATH_SECONDS
    ]
    if fault.paging is Paging.PAGE:
        fitting.sort(key=lambda opening: opening.paged_at is None)
    return fitting[0] if fitting else None


def _judge_opening(played: Played, fault: Fault, opening: Opening, score: Score) -> None:
    base = fault.at
    if fault.visible is Visible.LAG and played.visible is not None:
        base = played.visible
    told_at = opening.paged_at if fault.paging is Paging.PAGE else opening.at
    if told_at is None:
        score.misses += 1
        score.problems.append(f"nobody is told: {opening.incident_id} stays {opening.severity.label}")
        return
    delay = told_at - base
    if _counts(fault):
        score.delays.append(max(0.0, delay))
        score.opened += 1
    if delay > fault.within:
        score.problems.append(f"late: {delay:.1f} s, {fault.within:.0f} s at most ({opening.scenario})")
    if fault.paging is Paging.RECORD and opening.severity is not Severity.SEV_4:
        score.false_alarms += 1  # somebody was paged for what had healed itself
        score.problems.append(f"{opening.incident_id} opened as {opening.severity.label}, not as a record")
    incident = played.incidents[opening.incident_id]
    if incident.cause not in fault.accept[opening.scenario]:
        score.problems.append(f"wrong cause: {opening.scenario} {incident.cause}; expected {_expected(fault)}")


def _judge_rest(played: Played, opening: Opening, score: Score) -> None:
    """An incident that no fault accounts for."""
    text = (
        f"{opening.scenario} on {opening.target} at {opening.at:.1f} s, {opening.severity.label}, "
        f"{played.incidents[opening.incident_id].cause}: {opening.text}"
    )
    if opening.paged_at is None:
        if not played.story.records:
            score.problems.append(f"a record of nothing: {text}")
        return
    if any(f.at - _EARLY_SECONDS <= opening.at <= f.until + _AFTERMATH_SECONDS for f in played.story.faults):
        score.opened += 1
        score.problems.append(f"{'came back' if opening.reopened else 'second incident'}: {text}")
    else:
        score.false_alarms += 1
        score.problems.append(f"false alarm: {text}")


def _judge_end(played: Played, score: Score) -> None:
    merged = sum(
        played.incidents[o.incident_id].state is IncidentState.MERGED and o.paged_at is not None
        for o in played.openings
    )
    if merged > played.story.merges:
        score.problems.append(f"{merged} incidents merged, {played.story.merges} expected")
    for incident in played.incidents.values():
        times = sum(o.incident_id == incident.id for o in played.openings)
        if times > _MOST_OPENINGS:
            score.problems.append(f"flickers: {incident.id} {incident.scenario} was opened {times} times")
        if incident.open and played.story.resolved:
            score.problems.append(f"left open: {incident.id} {incident.scenario} {incident.cause} {incident.state}")


# --- Baselines ---------------------------------------------------------------------------------------------------
def judge_alerts(played: Played, name: str) -> Score:
    """A baseline: any alert from the begin of a fault until shortly after its end counts as told, the right component
    first; every alert within is one that somebody had to read.
    """
    score = Score(played.story.name, name)
    faults = [fault for fault in played.story.faults if _counts(fault)]
    score.faults = len(faults)
    inside = [a for a in played.alerts[name] if any(_within(fault, a.at) for fault in faults)]
    score.false_alarms = sum(not any(_within(f, a.at) for f in played.story.faults) for a in played.alerts[name])
    score.opened = len(inside)
    left = list(inside)
    matches = {id(fault): _take(left, fault, exact=True) for fault in faults}
    for fault in faults:
        alert = matches[id(fault)] or _take(left, fault, exact=False)
        if alert is None:
            score.misses += 1
            continue
        base = played.visible if fault.visible is Visible.LAG and played.visible is not None else fault.at
        score.delays.append(max(0.0, alert.at - base))
    return score


def _within(fault: Fault, at: float) -> bool:
    return fault.at <= at <= fault.until + _AFTERMATH_SECONDS


def _take(left: list[Alert], fault: Fault, *, exact: bool) -> Alert | None:
    for alert in left:
        right = alert.component in {_OF[scenario] for scenario in fault.accept}
        if _within(fault, alert.at) and (right or not exact):
            left.remove(alert)
            return alert
    return None
