"""Logs that the process host keeps: for the probe and for evidence."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from include.health.observations import LogFacts, Outcome
from include.health.probes.logs import LogsProbe, logs_probe
from include.review.evidence_logs import log_sources
from include.services.docker import DockerController
from include.services.fake import FakeServiceController
from include.settings import Settings
from tests.support.docker_engine import PROJECT, StandInEngine, now

ERROR = "2026-11-30T00:00:00.000Z [error    ] the broker is gone: kafka"


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[StandInEngine]:
    engine = StandInEngine({"kafka": ["true"], "btc_producer": ["true"]}, tmp_path)
    yield engine
    engine.close()


def say(engine: StandInEngine, service: str, line: str) -> None:
    container = engine.of(service)
    container.started_at = container.finished_at = "2026-11-30T00:00:00.000000000Z"
    container.log.append((now(), 1, f"{line}\n".encode()))


def test_new_errors_are_told_once_also_those_seen_just_before_the_host_went_away(
    engine: StandInEngine, tmp_path: Path
) -> None:
    controller = DockerController(engine.url, PROJECT, tmp_path / "run")
    say(engine, "kafka", ERROR)
    probe = LogsProbe(tmp_path, ["kafka", "btc_producer", "mysql"], controller)
    assert probe.look().facts == LogFacts(errors={}, newest={})
    say(engine, "kafka", ERROR)
    say(engine, "btc_producer", ERROR)
    facts = LogFacts(
        errors={"kafka": {"kafka": 1}, "btc_producer": {"kafka": 1}}, newest={"kafka": ERROR, "btc_producer": ERROR}
    )
    assert probe.look().facts == facts
    assert probe.look().facts == LogFacts(errors={}, newest={})
    engine.go_away()
    assert probe.look().outcome is Outcome.BLIND
    engine.come_back()
    say(engine, "kafka", ERROR)
    assert probe.look().facts == LogFacts(errors={"kafka": {"kafka": 1}}, newest={"kafka": ERROR})


def test_a_host_that_keeps_logs_is_asked_less_often_than_files_are_read(engine: StandInEngine, tmp_path: Path) -> None:
    settings = Settings(_env_file=None, home=tmp_path)
    hosted = logs_probe(settings, DockerController(engine.url, PROJECT, tmp_path / "run"))
    files = logs_probe(settings, FakeServiceController({}, tmp_path))  # type: ignore[arg-type]
    assert (files.every, hosted.every) == (0.5, 1.0)


def test_evidence_has_the_end_of_a_log_from_whoever_keeps_it(engine: StandInEngine, tmp_path: Path) -> None:
    settings = Settings(_env_file=None, home=tmp_path)
    controller = DockerController(engine.url, PROJECT, tmp_path / "run")
    for line in ("one", "two", ERROR):
        say(engine, "kafka", line)
    kafka, mysql = (source.read() for source in log_sources(settings, ("kafka", "mysql"), 2, controller))
    assert kafka.content == f"two\n{ERROR}"
    assert kafka.facts == {"errors": {"kafka": 1}}
    assert "no service is called 'mysql'" in mysql.note
    engine.go_away()
    (away,) = (source.read() for source in log_sources(settings, ("kafka",), 2, controller))
    assert "does not answer" in away.note
