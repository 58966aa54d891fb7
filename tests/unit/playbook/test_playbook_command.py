"""The playbook's command line: what a person types and gets."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner

from include.incidents import factory
from include.incidents.memory_store import MemoryIncidentStore
from include.incidents.model import (
    AttachedSymptom,
    DecisionRecord,
    EntryKind,
    HandOver,
    IncidentState,
    NewEntry,
    NewIncident,
)
from include.playbook import render
from include.playbook.names import Cause, Component, ScenarioId, Severity, Symptom
from include.playbook_command import __main__ as command
from include.settings import PROJECT_ROOT

NOW = datetime(2026, 3, 4, 3, 0, tzinfo=UTC)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> MemoryIncidentStore:
    store = MemoryIncidentStore()
    monkeypatch.setattr(factory, "store_from_settings", lambda settings: store)
    monkeypatch.setattr(command.console, "width", 250)
    return store


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(command.app, list(arguments))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


def opened(
    store: MemoryIncidentStore, scenario: ScenarioId, target: Component, summary: str, at: datetime = NOW
) -> str:
    incident, _ = store.open(
        NewIncident(
            scenario=scenario,
            target=target,
            cause=Cause.PROCESS_GONE,
            severity=Severity.SEV_1,
            summary=summary,
            onset_at=at,
            reported_by="watch",
            reason="the process is gone",
        )
    )
    return incident.id


def test_explain_says_what_is_watched_who_is_told_and_what_would_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command.console, "width", 250)
    code, output = run("explain", "producer_silent")
    assert code == 0
    for words in (
        "Producer not sending (SEV-2 or SEV-3)",
        "What is watched  processes, producer, exchange",
        "ours do not for 6 s",
        "waits 10 s for a root to show itself: exchange, host, kafka",
        "HTTP 418",
        "on-call engineer at once; if not acknowledged senior data engineer after 15 min, engineering lead",
        "1. reconnect to the exchange: The producer opens a new connection",
        "2. restart the producer: btc_producer is restarted",
        "by hand           .venv/bin/python -m include.services restart btc_producer",
        "btc_producer.log, kafka.log",
    ):
        assert words in output


def test_a_risky_step_is_marked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command.console, "width", 250)
    assert "reduce producer frequency for a time (risky: a person must agree)" in run("explain", "kafka_lag")[1]


def started(*arguments: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", "include.playbook_command", *arguments]
    return subprocess.run(line, cwd=PROJECT_ROOT, capture_output=True, text=True, timeout=60, check=False)


def test_an_unknown_scenario_is_answered_with_the_ones_there_are() -> None:
    result = started("explain", "kafka_lagg")
    assert result.returncode == 2
    assert "no scenario 'kafka_lagg'" in result.stdout
    assert all(scenario in result.stdout for scenario in ScenarioId)
    assert "Traceback" not in result.stderr


def test_explain_needs_no_database() -> None:
    code = (
        "import sys; from include.playbook_command.__main__ import app\n"
        "app(['explain', 'kafka_down'], standalone_mode=False)\n"
        "assert not {'sqlalchemy', 'include.incidents.store', 'airflow'} & set(sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], cwd=PROJECT_ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_runbooks_check_names_the_page_and_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("runbooks", "--check") == (0, "Every page is what the data says.\n")
    monkeypatch.setattr(render, "differing_pages", lambda playbook: ("kafka_lag.md",))
    code, output = run("runbooks", "--check")
    assert code == 1
    assert "Not what the data says: kafka_lag.md" in output
    assert "bin/playbook runbooks" in output


def test_no_incidents(store: MemoryIncidentStore) -> None:
    assert run("incidents") == (0, "There are no incidents.\n")
    assert run("incidents", "--open") == (0, "No incident is open.\n")
    assert run("verify-timeline") == (0, "There are no incidents.\n")


def test_incidents_lists_the_newest_first_and_the_open_ones_alone(store: MemoryIncidentStore) -> None:
    over = opened(store, ScenarioId.KAFKA_DOWN, Component.KAFKA, "Kafka [is] away")
    there = opened(store, ScenarioId.MYSQL_NOT_WRITING, Component.MYSQL, "MySQL is away")
    moved = store.incident(over)
    store.move(over, IncidentState.FALSE_POSITIVE, version=moved.version, actor="ada", reason="a drill", event_at=NOW)
    code, output = run("incidents")
    assert code == 0
    assert output.index(there) < output.index(over)
    assert all(
        words in output for words in ("SEV-1", "kafka_down · kafka · process gone", "false positive", "Kafka [is] away")
    )
    code, output = run("incidents", "--open")
    assert there in output
    assert over not in output
    assert there in run("incidents", "--limit", "1")[1]
    assert over not in run("incidents", "--limit", "1")[1]


def test_show_tells_the_whole_story(store: MemoryIncidentStore) -> None:
    name = opened(store, ScenarioId.KAFKA_DOWN, Component.KAFKA, "Kafka is away", NOW - timedelta(seconds=4))
    symptom = AttachedSymptom(
        name, ScenarioId.KAFKA_LAG, Component.LAG, Symptom.LAG_GROWS, "kafka explains lag_grows", NOW
    )
    store.attach(symptom, NOW)
    store.append(name, NewEntry(EntryKind.NOTE, "ada", "the disk [red]was[/] full", NOW))
    store.hand_over(HandOver(name, ScenarioId.KAFKA_DOWN, "run-1", "nobody: a person follows the runbook", NOW))
    decision = DecisionRecord(NOW, ScenarioId.KAFKA_LAG, Component.LAG, "attached", "explained by kafka", name)
    store.record_decision(decision)
    code, output = run("show", name)
    assert code == 0
    for words in (
        f"{name}  SEV-1  detected  Kafka is away",
        "docs/runbooks/kafka_down.md",
        "Cause: process gone; reported by watch",
        "First sign 2026-03-04 02:59:56",
        "the disk [red]was[/] full (recorded ",
        "kafka explains lag_grows",
        "nobody: a person follows the runbook",
        "explained by kafka",
    ):
        assert words in output, words


def test_show_of_an_incident_that_there_is_not(store: MemoryIncidentStore) -> None:
    code, output = run("show", "INC-2026-0009")
    assert code == 2
    assert output == "✗ There is no incident INC-2026-0009.\n"


def test_verify_timeline_finds_a_changed_line(store: MemoryIncidentStore) -> None:
    whole = opened(store, ScenarioId.KAFKA_DOWN, Component.KAFKA, "Kafka is away")
    broken = opened(store, ScenarioId.MYSQL_NOT_WRITING, Component.MYSQL, "MySQL is away")
    assert run("verify-timeline") == (0, f"{whole}  OK\n{broken}  OK\n")
    lines = store.book.lines[broken]
    store.book.lines[broken] = (dataclasses.replace(lines[0], text="Nothing happened"), *lines[1:])
    code, output = run("verify-timeline")
    assert code == 1
    assert f"{whole}  OK" in output
    assert f"{broken}  OK" not in output
    assert f"✗ {broken} entry 1: " in output
    assert run("verify-timeline", whole) == (0, f"{whole}  OK\n")
    assert run("verify-timeline", broken)[0] == 1
    assert run("verify-timeline", "INC-2026-0009")[0] == 2
