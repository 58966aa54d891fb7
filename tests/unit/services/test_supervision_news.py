"""What supervision does is told to the incidents that it belongs to, and holds nobody up."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from include.incidents.errors import StoreUnavailableError
from include.incidents.memory_store import MemoryIncidentStore
from include.incidents.model import AttachedSymptom, Entry, EntryKind, NewIncident
from include.playbook.names import Cause, Component, ScenarioId, Severity, Symptom
from include.runtime.clock import SystemClock
from include.services import supervision_news
from include.services.supervision_news import IncidentNews
from include.services.supervision_report import Deed


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervision_news, "_AGAIN_AFTER", (0.02, 0.05, 0.1))


@pytest.fixture
def store() -> MemoryIncidentStore:
    return MemoryIncidentStore(SystemClock())


@pytest.fixture
def failures() -> list[str]:
    return []


@pytest.fixture
def news(store: MemoryIncidentStore, failures: list[str]) -> Iterator[IncidentNews]:
    news = IncidentNews(lambda: store, failures.append)
    yield news
    news.close()


def _open(store: MemoryIncidentStore, target: Component = Component.PRODUCER, onset: float = -1) -> str:
    scenario = ScenarioId.KAFKA_DOWN if target is Component.KAFKA else ScenarioId.PRODUCER_SILENT
    onset_at = datetime.now(UTC) + timedelta(seconds=onset)
    new = NewIncident(scenario, target, Cause.PROCESS_GONE, Severity.SEV_2, "Gone.", onset_at, "watch", "because")
    return store.open(new)[0].id


def _attach(store: MemoryIncidentStore, incident: str, *, cleared: bool = False) -> None:
    now = datetime.now(UTC)
    scenario, target = ScenarioId.PRODUCER_SILENT, Component.PRODUCER
    store.attach(AttachedSymptom(incident, scenario, target, Symptom.PROCESS_GONE, "because", now), now)
    if cleared:
        store.clear_symptom(incident, scenario, target, reason="it is back", event_at=now)


def _told(store: MemoryIncidentStore, incident: str) -> list[Entry]:
    return [entry for entry in store.timeline(incident) if entry.kind is EntryKind.SUPERVISED]


def _tell(news: IncidentNews, service: str = "btc_producer") -> None:
    news.tell(service, Deed.RESTARTED, f"Supervision restarted {service}.", {"pid": 4711})


def _wait(condition: Any, seconds: float = 3.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not come true in time"
        time.sleep(0.005)


def test_the_entry(store: MemoryIncidentStore, news: IncidentNews) -> None:
    incident = _open(store)
    _tell(news)
    _wait(lambda: _told(store, incident))
    (entry,) = _told(store, incident)
    assert (entry.actor, entry.text) == ("supervision", "Supervision restarted btc_producer.")
    assert entry.data == {"service": "btc_producer", "deed": "restarted", "pid": 4711}


@pytest.mark.parametrize(
    ("story", "told"),
    [
        ("target", True),
        ("attached", True),
        ("attached and cleared", False),
        ("another target", False),
        ("began much later", False),
    ],
)
def test_which_incidents_are_told(store: MemoryIncidentStore, news: IncidentNews, story: str, told: bool) -> None:
    target = Component.PRODUCER if story in ("target", "began much later") else Component.KAFKA
    incident = _open(store, target, onset=60 if story == "began much later" else -1)
    if story.startswith("attached"):
        _attach(store, incident, cleared="cleared" in story)
    _tell(news)
    _tell(news, "stream_processor")
    if told:
        _wait(lambda: _told(store, incident))
    time.sleep(0.25)  # all looks are over
    assert len(_told(store, incident)) == told, "once, however often it was looked for"


def test_the_incident_may_be_opened_after_the_restart(store: MemoryIncidentStore, news: IncidentNews) -> None:
    _tell(news)
    time.sleep(0.04)
    incident = _open(store)
    _wait(lambda: _told(store, incident))


def test_a_store_that_is_away_is_told_once_and_tried_again(
    store: MemoryIncidentStore, news: IncidentNews, failures: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    incident, there = _open(store), store.open_incidents

    def away() -> Any:
        raise StoreUnavailableError("the disk is gone")

    monkeypatch.setattr(store, "open_incidents", away)
    _tell(news)
    _tell(news)
    _wait(lambda: failures)
    monkeypatch.setattr(store, "open_incidents", there)
    _wait(lambda: len(_told(store, incident)) == 2)
    assert failures == ["What supervision did is not in the timeline yet: the disk is gone"]


def test_nobody_waits_for_a_store_that_hangs(store: MemoryIncidentStore, failures: list[str]) -> None:
    go_on = threading.Event()
    news = IncidentNews(lambda: go_on.wait(5) and store, failures.append)  # type: ignore[arg-type, return-value]
    begin = time.monotonic()
    for _ in range(200):
        _tell(news)
    assert time.monotonic() - begin < 0.2
    assert "too much news" in failures[0]
    go_on.set()
    news.close()


def test_a_service_that_no_incident_can_be_about(store: MemoryIncidentStore, news: IncidentNews) -> None:
    incident = _open(store)
    _tell(news, "worker")
    _tell(news)
    _wait(lambda: _told(store, incident))
    assert len(_told(store, incident)) == 1
