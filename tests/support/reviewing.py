"""Made-up incidents that are over, and what reviews of them are made from."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy.exc import DBAPIError

from include.guardrails.model import Action, ActionState, Refusal
from include.incidents.model import EntryKind, Incident, IncidentState, NewEntry, NewIncident
from include.incidents.states import path
from include.incidents.store import IncidentStore
from include.playbook.ladder import RungId
from include.playbook.names import Cause, Component, ScenarioId, Severity, Symptom
from include.review.evidence import BlockEntry, BlockKind, Manifest
from include.review.freshness import Freshness
from include.review.gather import Sources
from include.review.material import RowFigures
from include.runtime.clock import ManualClock
from include.settings import Settings
from tests.support.incident_stores import START_MS, AttachedSymptom

FORM = {
    "root_cause": "The host ran out of memory, and the kernel ended the broker.",
    "lessons": "Restarting helped at once.",
    "preventive_actions": "Give the broker a limit of its own | ada | due 2026-12-01",
    "runbook_updates": "",
}


@dataclass
class Fake:
    """What the sources beside the store answer; an exception is raised."""

    actions: tuple[Action, ...] | Exception = ()
    collections: tuple[Manifest, ...] | Exception = ()
    rows: RowFigures | Exception = field(default_factory=lambda: RowFigures(FRESH, 60, 7, 2, None))

    def sources(self) -> Sources:
        """As the reviews ask them."""
        return Sources(lambda _: _given(self.actions), lambda _: _given(self.collections), lambda *_: _given(self.rows))


FRESH = Freshness(breach_seconds=21.4, longest_seconds=36.4, by_trades=True, late_rows=90, late_trades=1200)


def _given(answer: Any) -> Any:
    if isinstance(answer, Exception):
        raise answer
    return answer


def mysql_away() -> DBAPIError:
    """The warehouse does not answer."""
    return DBAPIError("SELECT 1", None, ConnectionRefusedError("[Errno 111] refused"), connection_invalidated=True)


class Desk:
    """A store with its clock, and one incident to tell things about."""

    def __init__(self, store: IncidentStore, clock: ManualClock) -> None:
        self.store, self.clock, self.fake = store, clock, Fake()
        self.incident: Incident

    def now(self) -> datetime:
        """What the clock says."""
        return datetime.fromtimestamp(self.clock.time_ms() / 1000, UTC)

    def open(self, **changes: Any) -> Incident:
        """Kafka is gone, seen three seconds ago."""
        values: dict[str, Any] = {
            "scenario": ScenarioId.KAFKA_DOWN,
            "target": Component.KAFKA,
            "cause": Cause.PROCESS_GONE,
            "severity": Severity.SEV_1,
            "summary": "The broker's process is gone.",
            "onset_at": self.now() - timedelta(seconds=3),
            "reported_by": "watch",
            "reason": "The canary and the connection failed.",
            "evidence": (
                {"at": "2026-11-06T21:20:00+00:00", "probe": "processes", "code": "exited", "text": "signal 9"},
            ),
        }
        self.incident, _ = self.store.open(NewIncident(**values | changes))
        return self.incident

    def tell(self, kind: EntryKind, text: str, later: float = 1.0, **data: Any) -> None:
        """One more line, some seconds later."""
        self.clock.advance(later)
        self.store.append(self.incident.id, NewEntry(kind, "remediation", text, self.now(), data))

    def walk(self, goal: IncidentState, after: float = 1.0, why: str = "it is so") -> Incident:
        """All moves of the legal way."""
        self.clock.advance(after)
        incident = self.store.incident(self.incident.id)
        for state in path(incident.state, goal, incident.severity):
            told = {"actor": "watch", "reason": why, "event_at": self.now()}
            incident = self.store.move(incident.id, state, version=incident.version, **told)
        self.incident = incident
        return incident

    def act(self, rung: RungId, state: ActionState, text: str, seconds: float = 4.0) -> Action:
        """An action on record, with its lines in the timeline."""
        actions = self.fake.actions
        assert isinstance(actions, tuple)
        number, started = len(actions) + 1, self.now()
        self.tell(EntryKind.ACTION_STARTED, f"{rung} begins.", 0, action=number, rung=rung)
        self.tell(EntryKind.ACTION_ENDED, f"{rung}: {state}.", seconds, action=number, rung=rung)
        made = Action(
            number,
            *(self.incident.id, self.incident.scenario, rung, Component.KAFKA, "health", "run 1", "host:1:2"),
            *(state, started, started + timedelta(seconds=60), self.now(), text),
        )
        self.fake.actions = (*actions, made)
        return made

    def refuse(self, rung: RungId, refusal: Refusal, text: str) -> None:
        """A guardrail says no."""
        self.tell(EntryKind.ACTION_REFUSED, text, rung=rung, refusal=refusal)

    def attach(self, scenario: ScenarioId, target: Component, symptom: Symptom, **changes: Any) -> None:
        """The incident is responsible for it."""
        made = AttachedSymptom(self.incident.id, scenario, target, symptom, "it is behind the broker", self.now())
        self.store.attach(replace(made, **changes), self.now())

    def repaired(self, *, missing: int = 120, lost: int = 0, wrong_after: int = 0) -> None:
        """The data were repaired and compared."""
        comparison = {"windows": 60, "missing": 3, "wrong": 9, "extra": 0, "differing": []}
        after = {**comparison, "missing": 0, "wrong": wrong_after}
        data: dict[str, Any] = {
            "missing_trades": missing,
            "gaps": f"BTCUSDT 1 to {missing}",
            "fetched": missing - lost,
            "published": missing - lost,
            "recomputed_windows": 12,
            "unrecoverable": lost,
            "before": comparison,
            "after": after,
            "equal": not wrong_after,
        }
        self.tell(EntryKind.REPAIRED, "The tables were repaired.", 2, **data)

    def collect(self, *names: str, missing: str = "") -> None:
        """Evidence on disk."""
        blocks = [_block(name, self.now()) for name in names]
        if missing:
            blocks.append(replace(_block(missing, self.now()), available=False, note="connection refused"))
        manifest = Manifest(self.incident.id, 1, f"{self.incident.id}/1", self.now(), 0.4, tuple(blocks), "f" * 64)
        self.fake.collections = (manifest,)
        self.tell(EntryKind.EVIDENCE_COLLECTED, "Evidence 1 was collected.", 0, number=1, sha256=manifest.sha256)


def _block(name: str, at: datetime) -> BlockEntry:
    return BlockEntry(name, BlockKind.LOG, f"{name}.txt", "ab12" * 16, 1234, at, True, "", ("OutOfMemory | killed",))


def outage(desk: Desk) -> Incident:
    """A SEV-1 with all that can happen: evidence, a remedy that failed, one that helped, one that was refused."""
    desk.open()
    desk.collect("kafka_log", missing="mysql_status")
    desk.attach(ScenarioId.KAFKA_LAG, Component.LAG, Symptom.LAG_GROWS)
    desk.walk(IncidentState.MITIGATING)
    desk.act(RungId.VALIDATE_TOPICS, ActionState.FAILED, "The broker does not answer.")
    desk.refuse(RungId.RESTART_PRODUCER, Refusal.BUDGET, "5 restarts of 5 within the hour.")
    desk.act(RungId.RESTART_KAFKA, ActionState.SUCCEEDED, "The broker takes records again.", 6)
    desk.walk(IncidentState.VERIFYING, why="The canary succeeds.")
    desk.store.clear_symptom(
        desk.incident.id, ScenarioId.KAFKA_LAG, Component.LAG, reason="no lag", event_at=desk.now()
    )
    desk.walk(IncidentState.RESOLVED, 10, "All is clear.")
    desk.repaired()
    return desk.incident


def healed(desk: Desk) -> Incident:
    """A SEV-3 that supervision healed."""
    desk.open(
        scenario=ScenarioId.PRODUCER_SILENT,
        target=Component.PRODUCER,
        severity=Severity.SEV_3,
        summary="btc_producer was away for a moment.",
    )
    desk.tell(EntryKind.SUPERVISED, "Supervision started btc_producer again.")
    desk.walk(IncidentState.RESOLVED, 5, "All is clear.")
    return desk.incident


def review_settings(folder: Path, **changes: Any) -> Settings:
    """With a home of its own, its store in SQLite."""
    return Settings(_env_file=None, home=folder, **changes)


def manual_clock() -> ManualClock:
    """At the moment at which the stories begin."""
    return ManualClock(START_MS)
