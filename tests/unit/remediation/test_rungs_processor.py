"""When the stream processor is restarted, when that would be in vain, and what is done instead."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from include.health.observations import AuditFacts, ClusterFacts, Code, Probe, SchemaFacts
from include.playbook.ladder import RungId
from include.playbook.names import ScenarioId
from include.remediation.errors import RungError
from include.remediation.model import Need
from include.remediation.rungs_common import is_frozen
from include.remediation.rungs_processor import PROCESSOR_RUNGS, RestartProcessor, ValidateKafka, ValidateMysql
from include.remediation.rungs_processor_data import DeadLetterPoison, RebuildFromKafka
from include.runtime.processor_notes import Culprit
from include.services.controller import ServiceOutcome
from include.services.names import PROCESSOR
from tests.support.processing import BATCH, Scene, replace_facts, request, scene
from tests.support.remediating import observation
from tests.support.waiting import wait_for

CULPRIT = Culprit(0, 7, "1264 (22003): out of range", "BTCUSDT", 70)
OLD_BATCH = replace_facts(BATCH, committed_age_seconds=45.0)


@pytest.fixture
def plant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    with scene(tmp_path, monkeypatch) as made:
        yield made


def kill(plant: Scene) -> None:
    assert plant.pid is not None
    os.kill(plant.pid, signal.SIGKILL)
    wait_for(lambda: plant.pid is None, 5)


def silent(plant: Scene) -> None:
    plant.seen[Probe.PROCESSOR] = observation(Probe.PROCESSOR, Code.TIMEOUT)


def frozen(plant: Scene) -> None:
    assert plant.pid is not None
    os.kill(plant.pid, signal.SIGSTOP)
    wait_for(lambda: is_frozen(plant.pid or 0), 5)


def blind(plant: Scene) -> None:
    plant.seen[Probe.PROCESSOR] = observation(Probe.PROCESSOR, Code.OWN_FAULT)


def says(**changes: Any) -> Callable[[Scene], None]:
    return lambda plant: plant.says(**changes)


def hung_batch(phase: str | None, age: float = 90.0) -> Callable[[Scene], None]:
    return says(batch_running=True, batch_age_seconds=age, batch_phase=phase, last_batch=OLD_BATCH)


def with_mysql_down(act: Callable[[Scene], None]) -> Callable[[Scene], None]:
    def change(plant: Scene) -> None:
        act(plant)
        plant.seen[Probe.MYSQL_CANARY] = observation(Probe.MYSQL_CANARY, Code.CREDENTIALS, number=1045)

    return change


def with_kafka_down(act: Callable[[Scene], None]) -> Callable[[Scene], None]:
    def change(plant: Scene) -> None:
        act(plant)
        plant.seen[Probe.KAFKA_CANARY] = observation(Probe.KAFKA_CANARY, Code.TIMEOUT)

    return change


def with_a_changed_table(act: Callable[[Scene], None]) -> Callable[[Scene], None]:
    def change(plant: Scene) -> None:
        act(plant)
        plant.seen[Probe.MYSQL_SCHEMA] = observation(Probe.MYSQL_SCHEMA, facts=SchemaFacts(problems=("sma is gone",)))

    return change


def after(kind: str, **more: Any) -> Callable[[Scene], None]:
    def change(plant: Scene) -> None:
        kill(plant)
        plant.failed(kind, **more)

    return change


def standing_still(end: int) -> Callable[[Scene], None]:
    def change(plant: Scene) -> None:
        plant.says(last_batch=OLD_BATCH)
        plant.lag((end, 100, 40.0))

    return change


def stopped(plant: Scene) -> None:
    plant.controller.stop(PROCESSOR, 2)


@pytest.mark.parametrize(
    ("act", "need", "words"),
    [
        (lambda plant: None, Need.NOT_NEEDED, "batch 5 was committed"),
        (kill, Need.NEEDED, "signal 9"),
        (silent, Need.NEEDED, "does not answer"),
        (frozen, Need.NEEDED, "suspended"),
        (blind, Need.UNKNOWN, "Nothing is done"),
        (stopped, Need.NOT_NEEDED, "stopped on request"),
        (says(status="starting", age_seconds=9.0, last_batch=None), Need.NOT_NEEDED, "starting"),
        (says(status="failed", last_error="words"), Need.NEEDED, "failed: words"),
        (hung_batch("aggregate"), Need.NEEDED, "phase aggregate"),
        (hung_batch(None), Need.NEEDED, "phase planning"),
        (hung_batch("aggregate", age=15.0), Need.NOT_NEEDED, ""),
        (standing_still(140), Need.NEEDED, "40 records wait"),
        (standing_still(100), Need.NOT_NEEDED, ""),  # a quiet market
        (says(status="retrying_mysql"), Need.NEEDED, "gets no further"),  # although MySQL is well
        # --- a restart changes nothing
        (with_mysql_down(kill), Need.FORBIDDEN, "mysql_not_writing"),
        (with_kafka_down(kill), Need.FORBIDDEN, "kafka_down"),
        (with_mysql_down(hung_batch("mysql")), Need.FORBIDDEN, "mysql_not_writing"),
        (with_mysql_down(says(status="retrying_mysql")), Need.FORBIDDEN, "mysql_not_writing"),
        (with_kafka_down(says(status="restarting_query")), Need.FORBIDDEN, "kafka_down"),
        (after("data", culprits=(CULPRIT,)), Need.FORBIDDEN, "dead_letter_poison_rows"),
        (after("data", more_culprits=True), Need.FORBIDDEN, "dead_letter_poison_rows"),
        (after("checkpoint"), Need.FORBIDDEN, "rebuild_from_kafka"),
        (after("data"), Need.NEEDED, "has no process"),  # nobody at fault was found: one more try may do
        (after("unknown"), Need.NEEDED, "has no process"),
        (after("credentials"), Need.NEEDED, "has no process"),  # MySQL is well again
    ],
)
def test_need_of_a_restart(plant: Scene, act: Callable[[Scene], None], need: Need, words: str) -> None:
    act(plant)
    finding = RestartProcessor(plant.tools, request()).need()
    assert (finding.need, words in finding.text) == (need, True), finding.text


def test_what_it_waited_for_is_back_so_it_goes_on_by_itself(plant: Scene) -> None:
    left = ["retrying_mysql", "retrying_mysql", "running"]

    def tell() -> Any:
        plant.says(status=left.pop(0) if len(left) > 1 else left[0])
        answer, plant.seen[Probe.PROCESSOR] = plant.seen[Probe.PROCESSOR], tell
        return answer() if callable(answer) else answer

    plant.seen[Probe.PROCESSOR] = tell
    assert RestartProcessor(plant.tools, request()).need().need is Need.NOT_NEEDED


def pace(rows: int, total: float, mysql: float, before_batches: int = 100) -> dict[str, Any]:
    before = {"batches": before_batches, "rows": 20 * before_batches, "seconds": {"total": 0.2 * before_batches}}
    return {
        "pace": {"recent": {"batches": 5, "rows": rows, "seconds": {"total": total, "mysql": mysql}}, "before": before}
    }


@pytest.mark.parametrize(
    ("scenario", "document", "waits", "need"),
    [
        (ScenarioId.KAFKA_LAG, pace(100, 5.0, 0.5), 500, Need.NEEDED),  # 20 a second instead of 100
        (ScenarioId.KAFKA_LAG, pace(100, 1.2, 0.1), 500, Need.NOT_NEEDED),
        (ScenarioId.KAFKA_LAG, pace(100, 5.0, 4.0), 500, Need.NOT_NEEDED),  # MySQL's time
        (ScenarioId.KAFKA_LAG, pace(100, 5.0, 0.5), 0, Need.NOT_NEEDED),  # small batches tell nothing
        (ScenarioId.KAFKA_LAG, pace(100, 5.0, 0.5, before_batches=5), 500, Need.NOT_NEEDED),  # no past
        (ScenarioId.KAFKA_LAG, {}, 500, Need.NOT_NEEDED),
        (ScenarioId.STREAM_PROCESSOR_FAILURE, pace(100, 5.0, 0.5), 500, Need.NOT_NEEDED),
    ],
)
def test_slower_than_its_own_past(
    plant: Scene, scenario: ScenarioId, document: dict[str, Any], waits: int, need: Need
) -> None:
    plant.document = document
    plant.lag((100 + waits, 100, 20.0))
    assert RestartProcessor(plant.tools, request(scenario)).need().need is need


def test_a_suspended_process_is_killed_at_once_and_a_batch_is_the_proof(plant: Scene) -> None:
    old = plant.pid
    frozen(plant)
    rung = RestartProcessor(plant.tools, request())
    assert rung.need().need is Need.NEEDED
    work = rung.do()
    assert work.facts["stopped"] == ServiceOutcome.KILLED
    assert plant.pid not in (None, old)
    plant.says(pid=old)
    assert not rung.proof().good  # it is the old one's word
    plant.says(status="starting", last_batch=None)
    assert not rung.proof().good
    plant.says()
    assert rung.proof().facts["batch"] == 5
    kill(plant)
    assert rung.proof().final


def test_without_records_a_running_query_is_the_proof(plant: Scene) -> None:
    plant.says(last_batch=None)
    rung = RestartProcessor(plant.tools, request())
    plant.lag((140, 100, 3.0))
    assert not rung.proof().good
    plant.lag((100, 100, 0.0))
    assert rung.proof().good


@pytest.mark.parametrize(
    ("rung", "probe", "seen", "need", "words"),
    [
        (ValidateKafka, None, None, Need.NOT_NEEDED, "well"),
        (ValidateKafka, Probe.KAFKA_CANARY, Code.TIMEOUT, Need.FORBIDDEN, "kafka_down"),
        (ValidateKafka, Probe.KAFKA_METADATA, Code.REFUSED, Need.FORBIDDEN, "kafka_down"),
        (ValidateKafka, Probe.KAFKA_CANARY, Code.OWN_FAULT, Need.UNKNOWN, "Nothing is done"),
        (
            ValidateKafka,
            Probe.KAFKA_METADATA,
            ClusterFacts(brokers=1, controller=1, topic_problems={"crypto-trades": "is missing"}, seconds=0.1),
            Need.FORBIDDEN,
            "crypto-trades is missing",
        ),
        (ValidateMysql, None, None, Need.NOT_NEEDED, "well"),
        (ValidateMysql, Probe.MYSQL_CANARY, Code.CREDENTIALS, Need.FORBIDDEN, "mysql_not_writing"),
        (ValidateMysql, Probe.MYSQL_CANARY, Code.OWN_CREDENTIALS, Need.UNKNOWN, "Nothing is done"),
        (ValidateMysql, Probe.MYSQL_SCHEMA, Code.NOT_AVAILABLE, Need.FORBIDDEN, "mysql_not_writing"),
        (ValidateMysql, Probe.MYSQL_SCHEMA, SchemaFacts(problems=("no column sma",)), Need.FORBIDDEN, "no column sma"),
    ],
)
def test_validations_name_the_page(  # noqa: PLR0917 - the columns of the table
    plant: Scene, rung: Any, probe: Probe | None, seen: Any, need: Need, words: str
) -> None:
    if probe is not None:
        code = {"code": seen} if isinstance(seen, Code) else {"facts": seen}
        plant.seen[probe] = observation(probe, **code)
    work = rung(plant.tools, request())
    finding = work.need()
    assert (finding.need, words in finding.text) == (need, True), finding.text
    assert work.proof().good is (need is Need.NOT_NEEDED)
    with pytest.raises(RungError):
        work.do()


@pytest.mark.parametrize(
    ("act", "need", "words"),
    [
        (lambda plant: None, Need.NOT_NEEDED, "it has not given up"),
        (after("credentials"), Need.NOT_NEEDED, "for another reason"),
        (
            after("data", culprits=(CULPRIT,), batch_id=12),
            Need.NEEDED,
            "1 row stops batch 12 (failed 1 times): BTCUSDT 70",
        ),
        (after("data", culprits=(CULPRIT,), more_culprits=True), Need.BY_PEOPLE, "no matter of single ones"),
        (after("data", times=3), Need.FORBIDDEN, "No single row is at fault"),
        (with_kafka_down(after("data", culprits=(CULPRIT,))), Need.FORBIDDEN, "kafka_down"),
        (with_mysql_down(after("data", culprits=(CULPRIT,))), Need.FORBIDDEN, "mysql_not_writing"),
        (
            with_a_changed_table(after("data", culprits=(CULPRIT,))),
            Need.FORBIDDEN,
            "The rows may be sound: sma is gone",
        ),
    ],
)
def test_need_of_dead_letters(plant: Scene, act: Callable[[Scene], None], need: Need, words: str) -> None:
    act(plant)
    finding = DeadLetterPoison(plant.tools, request()).need()
    assert (finding.need, words in finding.text) == (need, True), finding.text


def test_the_order_is_there_before_the_job_starts_and_proved_by_its_batch(plant: Scene) -> None:
    after("data", culprits=(CULPRIT,), batch_id=12)(plant)
    rung = DeadLetterPoison(plant.tools, request())
    rung.need()
    starts: list[Any] = []
    start = plant.controller.start
    plant.controller.start = lambda name, timeout: (  # type: ignore[method-assign]
        starts.append(plant.notes.order(plant.clock.time_ms())),
        start(name, timeout),
    )[1]
    rung.do()
    (order,) = starts
    assert (order.by, order.incident_id) == ("health", "INC-2026-0001")
    assert not rung.proof().good
    plant.failed("data", culprits=(CULPRIT,), at="2026-11-24T10:05:00.000Z")
    assert rung.proof().final
    plant.notes.remember_set_aside([CULPRIT])
    plant.notes.recovered()
    proof = rung.proof()
    assert proof.good
    assert proof.facts["set_aside"] == [CULPRIT.name]


def test_an_order_that_was_not_carried_out_is_withdrawn(plant: Scene) -> None:
    after("data", culprits=(CULPRIT,))(plant)
    rung = DeadLetterPoison(plant.tools, request())
    assert rung.roll_back() is None
    rung.need()
    rung.do()
    assert rung.roll_back() is not None
    assert plant.notes.order(plant.clock.time_ms()) is None


@pytest.mark.parametrize(
    ("act", "need"),
    [
        (lambda plant: None, Need.NOT_NEEDED),
        (after("data"), Need.NOT_NEEDED),
        (after("checkpoint"), Need.NEEDED),
        (with_kafka_down(after("checkpoint")), Need.FORBIDDEN),
    ],
)
def test_need_of_a_rebuild(plant: Scene, act: Callable[[Scene], None], need: Need) -> None:
    act(plant)
    assert RebuildFromKafka(plant.tools, request()).need().need is need


@pytest.fixture
def checkpoint(plant: Scene) -> Path:
    folder = plant.tools.settings.checkpoint_dir
    folder.mkdir(parents=True)
    (folder / "metadata").write_text("old")
    return folder


def test_the_checkpoint_is_kept_aside_and_can_be_put_back(plant: Scene, checkpoint: Path) -> None:
    after("checkpoint")(plant)
    rung = RebuildFromKafka(plant.tools, request())
    rung.need()
    aside = Path(rung.do().facts["aside"])
    assert re.fullmatch(r"stream_processor\.aside-\d{8}T\d{6}Z", aside.name)
    assert not checkpoint.exists()
    assert plant.pid is not None
    plant.notes.recovered()
    assert rung.proof().good
    plant.seen[Probe.MYSQL_AUDIT] = observation(
        Probe.MYSQL_AUDIT, facts=AuditFacts(checked=12, missing=("BTCUSDT 5 min",))
    )
    assert not rung.proof().good

    checkpoint.mkdir()
    (checkpoint / "metadata").write_text("new")
    back = rung.roll_back()
    assert back is not None
    assert (checkpoint / "metadata").read_text() == "old"
    assert (Path(back.facts["unused"]) / "metadata").read_text() == "new"
    assert not aside.exists()
    assert plant.pid is not None


def test_done_again_after_a_crash_between_move_and_start(plant: Scene, checkpoint: Path) -> None:
    after("checkpoint")(plant)
    first = RebuildFromKafka(plant.tools, request())
    plant.controller.unreachable = True
    with pytest.raises(RungError):
        first.do()
    assert checkpoint.exists()  # a job that may run keeps its checkpoint
    plant.controller.unreachable = False
    RebuildFromKafka(plant.tools, request()).do()
    plant.controller.stop(PROCESSOR, 2)
    RebuildFromKafka(plant.tools, request()).do()
    assert plant.pid is not None
    assert len(list(checkpoint.parent.glob("*.aside-*"))) == 1


def test_every_rung_of_the_job_is_there() -> None:
    assert set(PROCESSOR_RUNGS) == {
        RungId.RESTART_PROCESSOR,
        RungId.VALIDATE_KAFKA,
        RungId.VALIDATE_MYSQL,
        RungId.DEAD_LETTER_POISON,
        RungId.REBUILD_FROM_KAFKA,
    }
