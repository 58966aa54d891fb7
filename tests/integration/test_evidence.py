"""Evidence of the real broker, the real database and the stand-in exchange: when all is well, and when all hangs."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import pytest
from confluent_kafka import Producer
from mysql.connector.errors import Error as driver_error  # noqa: N813 - "mysql" is the server here

from include.broker.topics import ensure_topics, expected_topics
from include.health.observations import Outcome
from include.health.probes.offsets import KafkaOffsets
from include.incidents.factory import store_from_settings
from include.incidents.model import EntryKind, Incident, NewIncident
from include.incidents.store import IncidentStore
from include.market.standin import StandInConfig, StandInExchange
from include.playbook.names import Cause, Component, ScenarioId, Severity
from include.review.evidence import BlockEntry, Manifest
from include.review.evidence_collector import collect_evidence
from include.review.evidence_store import block_path, evidence_folder, verify
from include.services.fake import FakeServiceController
from include.settings import Settings
from include.warehouse.engine import driver_connection
from include.warehouse.migrations import migrate
from tests.support.servers import KafkaServer, MySQLServer
from tests.support.waiting import wait_for

pytestmark = pytest.mark.integration
TARGETS = {ScenarioId.KAFKA_DOWN: Component.KAFKA, ScenarioId.MYSQL_NOT_WRITING: Component.MYSQL}
AT_MOST_SECONDS = 4.5  # whatever hangs


@pytest.fixture
async def exchange() -> AsyncIterator[StandInExchange]:
    async with StandInExchange(StandInConfig(symbols=("BTCUSDT", "ETHUSDT"), rate=50)) as market:
        yield market


@pytest.fixture
def settings(fresh_database: Settings, kafka: KafkaServer, exchange: StandInExchange) -> Settings:
    """Topics and tables are there; of the processes only what a test starts."""
    chosen = fresh_database.model_copy(update={"exchange_port": urlsplit(exchange.rest_url).port})
    ensure_topics(kafka.bootstrap, expected_topics(chosen))
    with closing(KafkaOffsets(kafka.bootstrap, 3600)) as probe:  # a new broker makes its group offsets when first asked
        wait_for(lambda: probe.look().outcome is Outcome.OK, 30, "offsets can be read")
    migrate(chosen)
    return chosen


@pytest.fixture
def store(settings: Settings) -> Iterator[IncidentStore]:
    with closing(store_from_settings(settings)) as found:
        yield found


@pytest.fixture
def controller(settings: Settings) -> Iterator[FakeServiceController]:
    controller = FakeServiceController({"kafka": ["sleep", "60"]}, settings.log_dir)
    yield controller
    controller.close()


def _incident(store: IncidentStore, scenario: ScenarioId) -> Incident:
    cause, now = Cause.UNKNOWN, datetime.now(UTC)
    return store.open(
        NewIncident(scenario, TARGETS[scenario], cause, Severity.SEV_1, "Gone.", now, "watch", "because")
    )[0]


async def _collect(
    settings: Settings, store: IncidentStore, controller: FakeServiceController, scenario: ScenarioId
) -> tuple[Manifest, dict[str, BlockEntry], float]:
    """Beside the exchange, which runs in this event loop. With it: how long it took."""
    incident = _incident(store, scenario)
    begin = time.monotonic()
    manifest = await asyncio.to_thread(collect_evidence, settings, incident, store=store, controller=controller)
    return manifest, {block.name: block for block in manifest.blocks}, time.monotonic() - begin


@pytest.mark.parametrize("scenario", [ScenarioId.KAFKA_DOWN, ScenarioId.MYSQL_NOT_WRITING])
async def test_when_all_is_well_all_is_told_and_it_takes_a_moment(
    settings: Settings, store: IncidentStore, controller: FakeServiceController, scenario: ScenarioId
) -> None:
    producer = Producer({"bootstrap.servers": settings.bootstrap_servers})
    producer.produce(settings.trades_topic, b"x", partition=1)
    producer.flush(10)
    manifest, blocks, seconds = await _collect(settings, store, controller, scenario)
    assert seconds < AT_MOST_SECONDS, "some tenths of a second on a machine that is not busy with other things"
    gone = {name for name, block in blocks.items() if not block.available}
    assert gone <= {"spark-progress"} | {name for name in blocks if name.startswith("log-")}, "what runs not here"
    assert "records not finished" in blocks["offsets"].highlights[0]
    assert blocks["exchange"].highlights == ("2 of 2 endpoints accept connections",)
    assert "connections are used" in blocks["mysql-status"].highlights[0]
    status = json.loads(block_path(settings, manifest, "mysql-status").read_text())
    assert {"Threads_connected", "Uptime"} <= status["status"].keys()
    assert {"version", "max_connections", "read_only"} <= status["variables"].keys()
    assert [each["user"] for each in status["processes"]].count(settings.mysql_user) >= 1
    assert "only the account's own connections" in blocks["mysql-status"].note
    offsets = json.loads(block_path(settings, manifest, "offsets").read_text())
    assert sorted(offsets["facts"]["partitions"]) == ["0", "1", "2"]
    assert verify(settings, manifest) == ()
    told = [e for e in store.timeline(manifest.incident_id) if e.kind is EntryKind.EVIDENCE_COLLECTED]
    assert [entry.data["sha256"] for entry in told][-1] == manifest.sha256


async def test_the_timeline_of_the_settings_is_told_without_being_asked(
    settings: Settings, store: IncidentStore, controller: FakeServiceController
) -> None:
    incident = _incident(store, ScenarioId.KAFKA_DOWN)
    manifest = await asyncio.to_thread(collect_evidence, settings, incident, controller=controller, sources=[])
    assert "timeline" not in manifest.facts
    assert store.timeline(manifest.incident_id)[-1].data["sha256"] == manifest.sha256


async def test_what_a_statement_a_log_and_a_command_line_give_away_is_hidden(
    settings: Settings, store: IncidentStore, mysql: MySQLServer
) -> None:
    secrets = [path.read_text().strip() for path in settings.secrets_dir.iterdir()]
    settings.log_dir.mkdir(parents=True, exist_ok=True)
    (settings.log_dir / "mysql.log").write_text("\n".join([*secrets, "Authorization: Bearer hunter2", *secrets]))
    programs = {"mysql": ["sh", "-c", f"sleep 60; : --password hunter2 {secrets[0]}"]}
    controller = FakeServiceController(programs, settings.home)
    controller.start("mysql", 5)
    slow = threading.Thread(target=_slow_statement, args=(settings, f"IDENTIFIED BY 'hunter2' or {secrets[1]}"))
    slow.start()
    with closing(mysql.connect()) as root:
        wait_for(lambda: _is_running(root), 5, "the slow statement runs")
    manifest, _, _ = await _collect(settings, store, controller, ScenarioId.MYSQL_NOT_WRITING)
    controller.close()
    folder = evidence_folder(settings, manifest.incident_id) / str(manifest.number)
    seen = {path.name: path.read_text() for path in folder.iterdir()}
    seen["timeline"] = repr(store.timeline(manifest.incident_id))
    assert {name for name, text in seen.items() if "SLEEP(3" in text or "Authorization" in text or "sh -c" in text} == {
        *("mysql-status.json", "log-mysql.log", "processes.json")
    }
    assert [(name, word) for name, text in seen.items() for word in (*secrets, "hunter2") if word in text] == []
    slow.join()


def _slow_statement(settings: Settings, comment: str) -> None:
    with closing(driver_connection(settings)) as connection, suppress(driver_error):
        connection.cursor().execute(f"SELECT SLEEP(3) /* ALTER USER x {comment} */")


def _is_running(root: Any) -> bool:
    cursor = root.cursor()
    cursor.execute("SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE 'SELECT SLEEP%'")
    return bool(cursor.fetchone()[0])


@pytest.mark.parametrize("scenario", [ScenarioId.KAFKA_DOWN, ScenarioId.MYSQL_NOT_WRITING])
async def test_when_all_hangs_it_is_said_of_each_within_the_time(
    settings: Settings, store: IncidentStore, kafka: KafkaServer, mysql: MySQLServer, scenario: ScenarioId
) -> None:
    controller = FakeServiceController({}, settings.log_dir)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, and says nothing
        port = silent.getsockname()[1]
        update = {"exchange_port": port, "producer_health_port": port, "processor_health_port": port}
        kafka.suspend()
        mysql.suspend()
        try:
            _, blocks, seconds = await _collect(settings.model_copy(update=update), store, controller, scenario)
        finally:
            mysql.resume()
            kafka.resume()
    assert seconds < AT_MOST_SECONDS
    hung = {name: block.note for name, block in blocks.items() if not block.available}
    assert {"offsets", "mysql-status", "spark-progress"} <= hung.keys()
    assert {"host", "code", "settings", "exchange"}.isdisjoint(hung)
