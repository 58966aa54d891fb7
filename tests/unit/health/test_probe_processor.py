"""What stream_processor says about itself, as numbers; and the ways in which it may not answer."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from include.health.observations import BatchFacts, Code, Observation, Outcome, ProcessorFacts
from include.health.probes.health_document import age_seconds
from include.health.probes.processor import ProcessorProbe, processor_facts
from include.runtime.clock import ManualClock
from include.runtime.health_endpoint import HealthEndpoint
from include.settings import Settings
from include.warehouse.error_numbers import ErrorKind
from spark_jobs.lib.progress import Phase, Progress, utc_text

START_MS = 1_700_000_000_000


def document(progress: Progress) -> dict[str, Any]:
    """As the job itself makes it."""
    fixed = {"service": "stream_processor", "pid": 42, "started_at": utc_text(START_MS)}
    whole: dict[str, Any] = json.loads(json.dumps({**fixed, **progress.snapshot()}))
    return whole


def test_a_job_that_has_just_started_has_little_to_say() -> None:
    clock = ManualClock(START_MS)
    progress = Progress(clock)
    clock.advance(3)
    assert processor_facts(document(progress)) == ProcessorFacts(
        status="starting",
        pid=42,
        age_seconds=3.0,
        query_run_id=None,
        batch_running=False,
        batch_age_seconds=0.0,
        batch_phase=None,
        last_batch=None,
        offsets={},
        last_error=None,
        last_error_age_seconds=None,
        last_error_code=None,
    )


def test_a_job_at_work_tells_everything() -> None:
    clock = ManualClock(START_MS)
    progress = Progress(clock)
    progress.record_query("id", "run", "name")
    finished = {
        **{"id": 6, "outcome": "committed", "input_rows": 40, "invalid_rows": 1, "duplicate_rows": 2},
        **{"late_rows": 0, "late_corrections": 0, "window_rows": 6, "committed_at": utc_text(START_MS)},
        "duration_ms": {"aggregate": 150, "mysql": 50, "total": 220},
    }
    progress.record(finished, {0: 10, 2: 5}, {})
    progress.set_error("mysql: locked", ErrorKind.LOCKED, 1205)
    clock.advance(4)
    with progress.batch(7):
        clock.advance(2)
        with progress.phase(Phase.MYSQL):
            clock.advance(1.5)
            facts = processor_facts(document(progress))
    assert facts == ProcessorFacts(
        status="running",
        pid=42,
        age_seconds=7.5,
        query_run_id="run",
        batch_running=True,
        batch_age_seconds=3.5,
        batch_phase="mysql",
        phase_age_seconds=1.5,
        last_batch=BatchFacts(
            id=6,
            input_rows=40,
            invalid_rows=1,
            duplicate_rows=2,
            duration_seconds=0.22,
            phase_seconds={"aggregate": 0.15, "mysql": 0.05},
            committed_age_seconds=7.5,
        ),
        offsets={0: 10, 2: 5},
        last_error="mysql: locked",
        last_error_age_seconds=7.5,
        last_error_code=Code.LOCKED,
        last_error_number=1205,
    )


def test_a_replay_needs_no_other_clock_than_the_documents() -> None:
    clock = ManualClock(START_MS)
    progress = Progress(clock)
    clock.advance(60)
    old = document(progress)
    time.sleep(0.01)
    assert processor_facts(old).age_seconds == 60.0
    assert age_seconds("2026-01-01T00:00:05Z", "2026-01-01T00:00:04Z") == 0.0  # the clock was set back


@pytest.fixture
def serve(free_settings: Settings) -> Iterator[Callable[[Callable[[], Any]], Settings]]:
    """Serves a document, as the job does."""
    opened: list[HealthEndpoint] = []

    def start(snapshot: Callable[[], Any]) -> Settings:
        opened.append(HealthEndpoint(free_settings.processor_health_port, snapshot, CollectorRegistry()).start())
        return free_settings

    yield start
    for endpoint in opened:
        endpoint.close()


@pytest.fixture
def free_settings(monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A port that nobody listens at."""
    with socket.socket() as finder:
        finder.bind(("127.0.0.1", 0))
        port = finder.getsockname()[1]
    return Settings(processor_health_port=port)


def look(settings: Settings) -> tuple[Observation, float]:
    started = time.monotonic()
    observation = ProcessorProbe(settings).look()
    return observation, time.monotonic() - started


def test_the_document_is_fetched(serve: Callable[[Callable[[], Any]], Settings]) -> None:
    progress = Progress(ManualClock(START_MS))
    observation, _ = look(serve(lambda: document(progress)))
    assert observation.outcome is Outcome.OK
    assert isinstance(observation.facts, ProcessorFacts)
    assert observation.facts.pid == 42


def test_a_document_of_another_form_is_the_probes_own_fault(serve: Callable[[Callable[[], Any]], Settings]) -> None:
    settings = serve(lambda: {"service": "stream_processor"})
    with pytest.raises(KeyError):  # which the prober reports as blind
        look(settings)


def test_nobody_listens(free_settings: Settings) -> None:
    observation, _ = look(free_settings)
    assert (observation.outcome, observation.code) == (Outcome.FAILED, Code.REFUSED)


def answer(settings: Settings, text: bytes | None) -> socket.socket:
    """A port that accepts, and answers with ``text`` or, for ``None``, never."""
    listener = socket.create_server(("127.0.0.1", settings.processor_health_port))

    def serve_once() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(1000)
            connection.sendall(text or b"")

    if text is not None:
        threading.Thread(target=serve_once, daemon=True).start()
    return listener


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (None, Code.TIMEOUT),  # as a process that was stopped by a signal
        (b"", Code.CONNECTIVITY),
        (b"HTTP/1.0 500 oh\r\n\r\n", Code.SERVER_ERROR),
        (b"HTTP/1.0 200 OK\r\n\r\n<html>", Code.UNKNOWN),
        (b"HTTP/1.0 404 no\r\n\r\n{}", Code.UNKNOWN),
        (b"SSH-2.0-OpenSSH\r\n", Code.CONNECTIVITY),
    ],
)
def test_what_is_no_document_is_told_apart_in_time(free_settings: Settings, text: bytes | None, code: Code) -> None:
    with answer(free_settings, text):
        observation, took = look(free_settings)
    assert (observation.outcome, observation.code) == (Outcome.FAILED, code)
    assert took < ProcessorProbe.deadline
