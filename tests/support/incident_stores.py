"""Incident stores of each kind for tests, and shorthands for what is told to them."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import make_url, text

from include.incidents.base_store import BaseIncidentStore
from include.incidents.commands import APPROVED
from include.incidents.memory_store import MemoryIncidentStore
from include.incidents.model import (
    AttachedSymptom,
    EntryKind,
    HandOver,
    Incident,
    IncidentState,
    NewEntry,
    NewIncident,
    OpenOutcome,
)
from include.incidents.recording import locked, record
from include.incidents.sql_engine import create_store_engine
from include.incidents.sql_store import SqlIncidentStore
from include.incidents.states import REVIEWED_SEVERITIES, path
from include.incidents.store import IncidentStore
from include.playbook.names import Cause, Component, ScenarioId, Severity, Symptom
from include.runtime.clock import ManualClock
from tests.support.postgres import PostgresServer

START_MS = 1_794_000_000_000  # 2026-11-06T21:20:00Z


@dataclass
class Backend:
    """A kind of store on one database. ``another()`` is one more store on it; ``url`` is empty for memory."""

    another: Callable[[], IncidentStore]
    clock: ManualClock
    url: str = ""
    remove: Callable[[], None] = lambda: None  # what lies in the database
    store: IncidentStore = field(init=False)
    _made: list[IncidentStore] = field(default_factory=list)

    def __post_init__(self) -> None:
        make = self.another

        def remembered() -> IncidentStore:
            self._made.append(store := make())
            return store

        self.another = remembered
        self.store = self.another()

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that name the database: the password has one of its own."""
        if not self.url:
            return {}
        url = make_url(self.url)
        bare = url._replace(password=None).render_as_string()  # set() takes None for "as it is"
        return {"incident_store_url": bare, "incident_store_password": url.password or ""}

    @property
    def kind(self) -> str:
        """``memory``, ``sqlite`` or ``postgresql``."""
        return make_url(self.url).get_backend_name() if self.url else "memory"

    def now(self) -> datetime:
        """What the store's clock says."""
        return datetime.fromtimestamp(self.clock.time_ms() / 1000, UTC)

    def execute(self, *statements: str) -> None:
        """Straight into the database, past the store."""
        engine = create_store_engine(self.url)
        with engine.begin() as connection:
            for statement in statements:
                connection.execute(text(statement))
        engine.dispose()

    def close(self) -> None:
        """Close all stores that were made."""
        for store in self._made:
            store.close()
        self.remove()


def memory() -> Backend:
    """In memory: every further store is the same one."""
    clock = ManualClock(START_MS)
    store = MemoryIncidentStore(clock)
    return Backend(lambda: store, clock)


def sqlite(folder: Path, template: Path | None = None) -> Backend:
    """A file in a folder that does not exist yet, or a copy of one that has its tables already."""
    clock = ManualClock(START_MS)
    path = folder / "incidents" / "incidents.db"
    if template is not None:
        path.parent.mkdir(parents=True)
        shutil.copyfile(template, path)
    url = f"sqlite:///{path}"
    return Backend(lambda: SqlIncidentStore(url, clock), clock, url)


def postgresql(server: PostgresServer, template: str = "template1") -> Backend:
    """A database of its own on the server, empty or like one that has its tables already."""
    clock = ManualClock(START_MS)
    url = server.fresh_database(template)
    return Backend(lambda: SqlIncidentStore(url, clock), clock, url, lambda: server.drop(url))


def new_incident(backend: Backend, **changes: Any) -> NewIncident:
    """Kafka is gone, seen three seconds ago."""
    values: dict[str, Any] = {
        "scenario": ScenarioId.KAFKA_DOWN,
        "target": Component.KAFKA,
        "cause": Cause.PROCESS_GONE,
        "severity": Severity.SEV_2,
        "summary": "The broker is gone.",
        "onset_at": backend.now() - timedelta(seconds=3),
        "reported_by": "watch",
        "reason": "canary and connection failed",
        "evidence": ({"probe": "kafka_canary", "code": "timed_out"},),
    }
    return NewIncident(**values | changes)


def symptom(incident: Incident, backend: Backend, **changes: Any) -> AttachedSymptom:
    """The lag grows because of it."""
    values: dict[str, Any] = {
        "incident_id": incident.id,
        "scenario": ScenarioId.KAFKA_LAG,
        "target": Component.LAG,
        "symptom": Symptom.LAG_GROWS,
        "reason": "the broker is above the group in the graph",
        "attached_at": backend.now(),
    }
    return AttachedSymptom(**values | changes)


def step(backend: Backend, incident: Incident, to: IncidentState, **changes: Any) -> Incident:
    """One move."""
    told: dict[str, Any] = {
        "version": incident.version,
        "actor": "watch",
        "reason": f"it is {to} now",
        "event_at": backend.now(),
    }
    return backend.store.move(incident.id, to, **told | changes)


def walk(backend: Backend, incident: Incident, goal: IncidentState) -> Incident:
    """All moves of the legal way to a state."""
    for state in path(incident.state, goal, incident.severity):
        if state is IncidentState.CLOSED and incident.severity in REVIEWED_SEVERITIES:
            approve(backend, incident)
        incident = step(backend, incident, state)
    return incident


def approve(backend: Backend, incident: Incident, **data: Any) -> None:
    """Its review is approved, as the room of the reviews tells it."""
    tell_review(backend.store, incident.id, backend.now(), **{"step": APPROVED} | data)


def tell_review(store: IncidentStore, incident_id: str, now: datetime, **data: Any) -> None:
    """A line about the review, which no caller can note by hand."""
    assert isinstance(store, BaseIncidentStore)
    new = NewEntry(EntryKind.REVIEWED, "ada", "The review is read.", now, data)
    store.within(lambda book: record(book, locked(book, incident_id), new, now), write=True)


def told(backend: Backend, **changes: Any) -> dict[str, Any]:
    """Actor, reason and time of a command."""
    return {"actor": "watch", "reason": "because", "event_at": backend.now()} | changes


def opened(backend: Backend, **changes: Any) -> Incident:
    """A new incident; fails if there is one already."""
    incident, outcome = backend.store.open(new_incident(backend, **changes))
    assert outcome is OpenOutcome.OPENED
    return incident


def kinds(backend: Backend, incident: Incident) -> list[EntryKind]:
    """What its timeline tells, in order."""
    return [entry.kind for entry in backend.store.timeline(incident.id)]


def note(backend: Backend, **changes: Any) -> NewEntry:
    """Words of a person."""
    return replace(NewEntry(EntryKind.NOTE, "ops", "looking into it", backend.now()), **changes)


def handed(backend: Backend, incident: Incident, run: str = "run 1") -> HandOver:
    """A hand-over to the remediation of a broken broker."""
    return HandOver(incident.id, ScenarioId.KAFKA_DOWN, run, "remediate_kafka_down", backend.now())


def hold_lock(backend: Backend, release: threading.Event) -> threading.Thread:
    """Another writer, who takes its time. Returns when it has the lock."""
    locked = threading.Event()
    engine = create_store_engine(backend.url)

    def hold() -> None:
        with engine.begin() as connection:
            connection.exec_driver_sql("UPDATE incidents SET reopened = reopened")
            locked.set()
            release.wait(30)
        engine.dispose()

    thread = threading.Thread(target=hold)
    thread.start()
    assert locked.wait(10)
    return thread
