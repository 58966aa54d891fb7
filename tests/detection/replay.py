"""Plays a story through the detector, the correlation and a store in memory, in virtual time."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import structlog

from include.health.config import DetectorConfig
from include.health.detector import Detector
from include.health.observations import Seen
from include.health.verdicts import Assessment
from include.incidents.correlation import Correlator
from include.incidents.decisions import Decision, Open, RaiseSeverity
from include.incidents.keeper import Applied, IncidentKeeper, Outcome
from include.incidents.memory_store import MemoryIncidentStore
from include.incidents.model import Incident, OpenOutcome
from include.incidents.situation import OpenView
from include.playbook.names import Component, ScenarioId, Severity
from include.playbook.playbook import Playbook, load_playbook
from include.playbook.thresholds import LagThresholds
from include.runtime.clock import ManualClock
from tests.detection.baselines import BASELINES, Alert, Baseline
from tests.detection.plant import Plant
from tests.detection.plant_market import SYMBOLS
from tests.detection.story import Story, Visible

CONFIG = DetectorConfig(symbols=SYMBOLS)


@dataclass
class Opening:
    """An incident that was opened, or came back. ``paged_at``: when it first was SEV-3 or worse."""

    at: float
    incident_id: str
    scenario: ScenarioId
    target: Component
    severity: Severity
    reopened: bool
    paged_at: float | None
    text: str


class Watcher:
    """Detector, correlation, keeper and store, as the live watch puts them together, without threads."""

    def __init__(self, playbook: Playbook | None = None, config: DetectorConfig = CONFIG) -> None:
        playbook = playbook or load_playbook()
        self.detector = Detector(playbook, config)
        self._correlator = Correlator(playbook, config.symbols)
        self.clock = ManualClock(0)
        self.store = MemoryIncidentStore(self.clock)
        self._keeper = IncidentKeeper(self.store, self.clock)
        self._views: tuple[OpenView, ...] = ()
        self.openings: list[Opening] = []
        self.applied: list[Applied] = []
        self.assessment: Assessment | None = None

    def feed(self, seen: Seen) -> tuple[Applied, ...]:
        """Take what was seen at one moment; what was done about it."""
        self.assessment = assessment = self.detector.feed(seen)
        decisions = self._correlator.decide(assessment, self._views)
        return self._carry_out(seen.at, decisions) if decisions else ()

    def incidents(self) -> tuple[Incident, ...]:
        """All that there were, oldest first."""
        return tuple(reversed(self.store.recent(1_000)))

    def _carry_out(self, at: float, decisions: tuple[Decision, ...]) -> tuple[Applied, ...]:
        news = self._keeper.news(decisions)
        if not news:
            return ()
        self.clock.advance(at - self.clock.time_ms() / 1000)
        applied = self._keeper.apply(news)
        self._views = self._keeper.views()
        for each in applied:
            self._note(at, each)
        self.applied.extend(applied)
        return applied

    def _note(self, at: float, applied: Applied) -> None:
        decision, incident_id = applied.decision, applied.incident_id
        if applied.outcome is not Outcome.DONE or incident_id is None:
            return
        if isinstance(decision, Open):
            incident = self.store.incident(incident_id)
            paged_at = at if incident.severity < Severity.SEV_4 else None
            self.openings.append(
                Opening(
                    at,
                    incident_id,
                    incident.scenario,
                    incident.target,
                    incident.severity,
                    applied.message == OpenOutcome.REOPENED,
                    paged_at,
                    decision.summary,
                )
            )
        elif isinstance(decision, RaiseSeverity) and decision.severity < Severity.SEV_4:
            latest = next((o for o in reversed(self.openings) if o.incident_id == incident_id), None)
            if latest is not None and latest.paged_at is None:
                latest.paged_at = at


@dataclass
class Played:
    """A story as it went. Moments are seconds after its begin. ``visible``: when the lag became too much."""

    story: Story
    openings: list[Opening]
    incidents: dict[str, Incident]
    visible: float | None = None
    alerts: dict[str, list[Alert]] = field(default_factory=dict)


def play(story: Story, *, baselines: bool = False) -> Played:
    """Play a story through; ``baselines``: let the others judge the same stream."""
    plant = plant_of(story)
    watcher, too_much = Watcher(), _too_much_lag()
    others: list[Baseline] = [make() for make in BASELINES] if baselines else []
    alerts: dict[str, list[Alert]] = {other.name: [] for other in others}
    begins = min((fault.at for fault in story.faults if fault.visible is Visible.LAG), default=float("inf"))
    visible: float | None = None
    with quiet_logs():
        for seen in plant.run(story.seconds):
            if visible is None and plant.now - plant.begin > begins and plant.broker.lag_seconds(plant.now) > too_much:
                visible = plant.now - plant.begin
            watcher.feed(seen)
            for other in others:
                alerts[other.name].extend(other.feed(seen))
    for opening in watcher.openings:
        opening.at -= plant.begin
        opening.paged_at = opening.paged_at and opening.paged_at - plant.begin
    told = {name: [Alert(a.at - plant.begin, a.component, a.text) for a in found] for name, found in alerts.items()}
    return Played(story, watcher.openings, {i.id: i for i in watcher.incidents()}, visible, told)


def plant_of(story: Story) -> Plant:
    """The plant at the begin of a story."""
    return Plant(
        seed=story.seed, hour=story.hour, cold=story.cold, quiet_minutes=story.quiet_minutes, script=story.script
    )


@contextmanager
def quiet_logs() -> Iterator[None]:
    """What the keeper logs is of no interest here."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        yield
    finally:
        structlog.configure(**before)


def _too_much_lag() -> float:
    thresholds = load_playbook().scenarios[ScenarioId.KAFKA_LAG].thresholds
    assert isinstance(thresholds, LagThresholds)
    return thresholds.waiting_seconds
