"""What the rungs of Kafka conclude from what they see; for the real broker see tests/integration."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from include.health.observations import (
    BatchFacts,
    ClusterFacts,
    Code,
    Observation,
    OffsetsFacts,
    PartitionFacts,
    Probe,
    ProcessorFacts,
    ProducerFacts,
    ProducerSymbolFacts,
)
from include.playbook.names import ScenarioId
from include.remediation import rungs_kafka
from include.remediation.errors import RungError
from include.remediation.model import Finding, Need, RunRequest, Work
from include.remediation.rungs_common import is_frozen
from include.remediation.rungs_kafka import RestartKafka, ValidateTopics
from include.remediation.rungs_kafka_clients import PROCESSOR, PRODUCER, Client, after_kafka
from include.remediation.rungs_kafka_log import READY, MoveKafkaLogAside
from include.stack.kafka import broker_data
from tests.support.remediating import Bench, ScriptedRung, observation
from tests.support.waiting import wait_for

CANARY, METADATA = Probe.KAFKA_CANARY, Probe.KAFKA_METADATA
DAMAGE = "java.lang.RuntimeException: Error: node ID not found in {folder}"
Seen = Observation | list[Observation]


def canary(code: Code = Code.OK) -> Observation:
    return observation(CANARY, code)


def cluster(**problems: str) -> Observation:
    facts = ClusterFacts(brokers=1, controller=1, topic_problems=problems, seconds=0.01)
    return observation(METADATA, facts=facts)


NO_METADATA = observation(METADATA, Code.TIMEOUT)


def request(bench: Bench) -> RunRequest:
    return bench.request(bench.incident())


def running(bench: Bench, age: float = 60.0) -> int:
    """The broker's process, so old by the bench's clock."""
    bench.tools.controller.start("kafka", 5)
    status = bench.tools.controller.status("kafka")
    assert status.pid is not None
    assert status.started_at is not None
    bench.clock.advance((status.started_at - bench.tools.now()).total_seconds() + age)
    return status.pid


def dead(bench: Bench, *log: str) -> None:
    """It ran, wrote this, and is gone."""
    os.kill(running(bench), signal.SIGKILL)
    wait_for(lambda: bench.tools.controller.status("kafka").pid is None, 5, interval=0.005)
    started = bench.tools.controller.status("kafka").started_at
    assert started is not None
    stamp = started.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    folder = broker_data(bench.tools.settings)
    lines = [f"2020-01-01T00:00:00.000Z [ERROR] Old: {DAMAGE}", *log]
    text = "".join(line.format(at=stamp, folder=folder) + "\n" for line in lines)
    (bench.tools.settings.log_dir / "kafka.log").write_text(text)


# --- restart_kafka -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("canaries", "metadata", "need", "words"),
    [
        (canary(), cluster(), Need.NOT_NEEDED, "goes through"),
        (canary(Code.TIMEOUT), NO_METADATA, Need.NEEDED, "lives and does not answer"),
        (canary(Code.REFUSED), NO_METADATA, Need.NEEDED, "does not answer"),
        (canary(Code.TIMEOUT), cluster(), Need.BY_PEOPLE, "take down what still works"),
        (canary(Code.TOPIC_MISSING), cluster(), Need.NOT_NEEDED, "A restart changes nothing"),
        (canary(Code.CREDENTIALS), cluster(), Need.NOT_NEEDED, "A restart changes nothing"),
        (canary(Code.NO_LEADER), cluster(), Need.NOT_NEEDED, "A restart changes nothing"),
        (canary(Code.STORAGE), cluster(), Need.NEEDED, "although the disk has room"),
        (canary(Code.OWN_FAULT), NO_METADATA, Need.UNKNOWN, "Nothing is done"),
    ],
)
def test_a_broker_that_lives(bench: Bench, canaries: Observation, metadata: Seen, need: Need, words: str) -> None:
    running(bench)
    bench.seen |= {CANARY: canaries, METADATA: metadata}
    found = RestartKafka(bench.tools, request(bench)).need()
    assert (found.need, words in found.text) == (need, True), found.text


def test_a_broker_that_is_just_starting_gets_its_time(bench: Bench) -> None:
    running(bench, age=1.0)
    bench.seen |= {CANARY: [*[canary(Code.REFUSED)] * 20, canary()], METADATA: NO_METADATA}
    assert RestartKafka(bench.tools, request(bench)).need().need is Need.NOT_NEEDED


def test_the_port_of_a_broker_that_hangs_is_held_by_itself(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    running(bench)
    monkeypatch.setattr(rungs_kafka, "port_conflict", lambda *_: Finding(Need.BY_PEOPLE, "Taken."))
    bench.seen |= {CANARY: canary(Code.TIMEOUT), METADATA: NO_METADATA}
    assert RestartKafka(bench.tools, request(bench)).need().need is Need.NEEDED


def test_looks_that_contradict_each_other_are_repeated(bench: Bench) -> None:
    running(bench)
    bench.seen |= {CANARY: [canary(Code.REFUSED), canary(Code.TIMEOUT), canary()], METADATA: cluster()}
    assert RestartKafka(bench.tools, request(bench)).need().need is Need.NOT_NEEDED


def test_a_suspended_broker_is_not_even_asked(bench: Bench) -> None:
    pid = running(bench)
    os.kill(pid, signal.SIGSTOP)
    wait_for(lambda: is_frozen(pid), 5, interval=0.005)
    assert RestartKafka(bench.tools, request(bench)).need().need is Need.NEEDED


@pytest.mark.parametrize(
    ("log", "need", "words"),
    [
        ((), Need.NEEDED, "ended by signal 9"),
        (("{at} [INFO] KafkaRaftServer: " + READY,), Need.NEEDED, "ended by signal 9"),
        (("{at} [ERROR] Kafka$: Exiting", DAMAGE), Need.FORBIDDEN, "node ID not found"),
        # what it complained about before it was ready, it has mended
        ((DAMAGE, "{at} [INFO] KafkaRaftServer: " + READY), Need.NEEDED, "signal 9"),
        (("{at} [ERROR] LogManager: java.io.IOException: No space left on device",), Need.BY_PEOPLE, "is full"),
        (("{at} [ERROR] x", "java.nio.file.AccessDeniedException: {folder}/.lock"), Need.NEEDED, "signal 9"),
    ],
)
def test_a_broker_that_is_gone(bench: Bench, log: tuple[str, ...], need: Need, words: str) -> None:
    dead(bench, *log)
    found = RestartKafka(bench.tools, request(bench)).need()
    assert (found.need, words in found.text) == (need, True), found.text


@pytest.mark.parametrize(
    ("tcp", "seen", "good"),
    [
        (Code.OK, Code.OK, True),
        (Code.OK, Code.TOPIC_MISSING, True),
        (Code.OK, Code.NO_LEADER, False),
        (Code.OK, Code.TIMEOUT, False),
        (Code.REFUSED, Code.OK, False),
    ],
)
def test_proof_of_the_restart(bench: Bench, tcp: Code, seen: Code, good: bool) -> None:
    running(bench)
    bench.seen |= {Probe.KAFKA_TCP: observation(Probe.KAFKA_TCP, tcp), CANARY: canary(seen)}
    assert RestartKafka(bench.tools, request(bench)).proof().good is good


# --- validate_topics ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("seen", "need", "words"),
    [
        (cluster(), Need.NOT_NEEDED, "All topics are there"),
        (cluster(**{"crypto-trades": "is missing"}), Need.NEEDED, "crypto-trades is missing"),
        (cluster(**{"crypto-trades": "has 1 partitions, expected 3"}), Need.BY_PEOPLE, "it holds records"),
        (cluster(**{"crypto-trades": "has no leader for partition 1"}), Need.BY_PEOPLE, "no leader"),
        ([cluster(**{"crypto-trades": "has no leader for partition 1"})] * 3 + [cluster()], Need.NOT_NEEDED, "All"),
        (
            cluster(**{"crypto-trades": "has 1 partitions, expected 3", "pipeline-canary": "is missing"}),
            *(Need.NEEDED, "pipeline-canary is missing"),
        ),
        (NO_METADATA, Need.UNKNOWN, "does not tell its topics"),
        (observation(METADATA, Code.OWN_FAULT), Need.UNKNOWN, "Nothing is done"),
    ],
)
def test_topics(bench: Bench, seen: Seen, need: Need, words: str) -> None:
    bench.seen[METADATA] = seen
    found = ValidateTopics(bench.tools, request(bench)).need()
    assert (found.need, words in found.text) == (need, True), found.text


# --- move_kafka_log_aside ----------------------------------------------------------------------------------------
DAMAGED = ("{at} [ERROR] Kafka$: Exiting Kafka due to fatal exception", DAMAGE)


def log_folder(bench: Bench) -> Path:
    folder = broker_data(bench.tools.settings)
    folder.mkdir(parents=True)
    (folder / "segment").write_text("trades")
    return folder


@pytest.mark.parametrize(
    ("log", "need", "words"),
    [
        (DAMAGED, Need.NEEDED, "node ID not found"),
        ((), Need.NOT_NEEDED, "does not name damage"),
        ((*DAMAGED, "{at} [ERROR] java.net.BindException: Address already in use"), Need.NOT_NEEDED, "not name"),
        ((*DAMAGED, "{at} [ERROR] No space left on device"), Need.BY_PEOPLE, "is full"),
    ],
)
def test_only_named_damage_is_moved_aside(bench: Bench, log: tuple[str, ...], need: Need, words: str) -> None:
    log_folder(bench)
    dead(bench, *log)
    found = MoveKafkaLogAside(bench.tools, request(bench)).need()
    assert (found.need, words in found.text) == (need, True), found.text


@pytest.mark.parametrize(
    ("age", "seen", "need"),
    [
        (60.0, cluster(), Need.NOT_NEEDED),
        (60.0, NO_METADATA, Need.NEEDED),
        (5.0, NO_METADATA, Need.NOT_NEEDED),  # it names what it mends
    ],
)
def test_a_broker_that_has_come_up_or_still_may_keeps_its_log(
    bench: Bench, age: float, seen: Observation, need: Need
) -> None:
    log_folder(bench)
    dead(bench)
    running(bench, age)
    log = bench.tools.settings.log_dir / "kafka.log"
    log.write_text(
        f"2030-01-01T00:00:00.000Z [ERROR] Kafka$: Exiting\n{DAMAGE.format(folder=broker_data(bench.tools.settings))}\n"
    )
    bench.seen[METADATA] = seen
    assert MoveKafkaLogAside(bench.tools, request(bench)).need().need is need


def test_moving_aside_keeps_everything_and_can_be_undone(bench: Bench) -> None:
    folder = log_folder(bench)
    dead(bench, *DAMAGED)
    rung = MoveKafkaLogAside(bench.tools, request(bench))
    work = rung.do()
    assert not folder.exists()
    (aside,) = folder.parent.glob("kafka.aside-*")
    assert (aside / "segment").read_text() == "trades"
    assert work.facts["kept"] == aside.name
    assert bench.tools.controller.status("kafka").pid is not None
    bench.seen |= {Probe.KAFKA_TCP: observation(Probe.KAFKA_TCP), METADATA: NO_METADATA}
    assert not rung.proof().good
    bench.seen[METADATA] = cluster()
    assert rung.proof().good
    bench.seen[Probe.KAFKA_TCP] = observation(Probe.KAFKA_TCP, Code.REFUSED)
    assert not rung.proof().good

    folder.mkdir()  # what the broker made anew
    undone = rung.roll_back()
    assert undone is not None
    assert (folder / "segment").read_text() == "trades"
    assert [each.name[:13] for each in folder.parent.glob("kafka.*")] == ["kafka.failed-"]
    assert rung.roll_back() is None


def test_a_move_that_was_cut_short_is_finished(bench: Bench) -> None:
    folder = log_folder(bench)
    dead(bench, *DAMAGED)
    folder.rename(folder.with_name("kafka.aside-20261124T000000Z"))
    rung = MoveKafkaLogAside(bench.tools, request(bench))
    assert rung.need().need is Need.NEEDED
    assert rung.do().facts["kept"] == "kafka.aside-20261124T000000Z"
    assert rung.roll_back() is None  # this rung has moved nothing


def test_a_second_move_in_the_same_second_takes_another_name(bench: Bench) -> None:
    folder = log_folder(bench)
    MoveKafkaLogAside(bench.tools, request(bench)).do()
    folder.mkdir()
    bench.clock.advance(-bench.clock.monotonic() % 0.001)
    MoveKafkaLogAside(bench.tools, request(bench)).do()
    assert len(list(folder.parent.glob("kafka.aside-*"))) == 2


def test_a_folder_that_cannot_be_moved_is_an_error_of_the_rung(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    log_folder(bench)
    monkeypatch.setattr(Path, "rename", _refuse)
    with pytest.raises(RungError, match="not permitted"):
        MoveKafkaLogAside(bench.tools, request(bench)).do()


def _refuse(*_: object) -> None:
    raise OSError("not permitted")


# --- what works with Kafka ---------------------------------------------------------------------------------------
def producer(acknowledged: int | None, received: int | None = None, buffered: int = 0) -> Observation:
    ids = {"received": received or acknowledged, "acknowledged": acknowledged}
    values: dict[str, Any] = dict.fromkeys(
        ("age_seconds", "silent_seconds", "retry_after_seconds", "oldest_unacknowledged_seconds"), 0.0
    )
    values |= dict.fromkeys(("pid", "times_limited", "weight_used", "weight_limit", "invalid_total"), 0)
    values |= dict.fromkeys(("window_valid", "window_invalid"), 0)
    values |= {"status": "running", "publisher_state": "up", "invalid_state": "calm", "buffered": buffered}
    values |= {"silence_verdict": None, "last_error": None, "open_breakers": (), "polling": False}
    facts = ProducerFacts(
        **values,
        stream_proven=True,
        symbols={"BTCUSDT": ProducerSymbolFacts(**ids, event_age_seconds=0.1, state="live")},
    )
    return observation(Probe.PRODUCER, facts=facts)


def processor(batch: int | None, counted: int) -> Observation:
    last = batch and BatchFacts(
        id=batch,
        **dict.fromkeys(("input_rows", "invalid_rows", "duplicate_rows"), 0),
        duration_seconds=0.1,
        phase_seconds={},
        committed_age_seconds=1.0,
    )
    facts = ProcessorFacts(
        **{"status": "running", "pid": 5, "age_seconds": 9.0, "query_run_id": None, "batch_running": False},
        **{"batch_age_seconds": 0.0, "batch_phase": None, "last_batch": last, "offsets": {0: counted}},
        **{"last_error": None, "last_error_age_seconds": None, "last_error_code": None},
    )
    return observation(Probe.PROCESSOR, facts=facts)


END = observation(
    Probe.OFFSETS,
    facts=OffsetsFacts(
        partitions={0: PartitionFacts(end=10, committed=5, waiting_seconds=1.0)}, retention_seconds=100.0
    ),
)
AWAY = observation(Probe.PRODUCER, Code.REFUSED)


@pytest.mark.parametrize(
    ("client", "seen", "need", "words"),
    [
        (PRODUCER, {Probe.PRODUCER: [producer(5, 9), producer(5, 9), producer(6, 9)]}, Need.NOT_NEEDED, "gone on"),
        (PRODUCER, {Probe.PRODUCER: producer(5, 9)}, Need.NEEDED, "has not gone on by itself within 8 s"),
        (PRODUCER, {Probe.PRODUCER: producer(5, 5, buffered=3)}, Need.NEEDED, "has not gone on"),
        (PRODUCER, {Probe.PRODUCER: producer(5)}, Need.NOT_NEEDED, "nothing left to do"),  # nothing is traded
        (PRODUCER, {Probe.PRODUCER: [producer(5, 9), AWAY]}, Need.NEEDED, "has not gone on"),
        (PRODUCER, {Probe.PRODUCER: AWAY}, Need.NOT_NEEDED, "of its own"),  # its own look decides
        (
            *(PROCESSOR, {Probe.PROCESSOR: [processor(3, 5), processor(4, 8)], Probe.OFFSETS: END}),
            *(Need.NOT_NEEDED, "gone on"),
        ),
        (PROCESSOR, {Probe.PROCESSOR: processor(3, 5), Probe.OFFSETS: END}, Need.NEEDED, "within 15 s"),
        (PROCESSOR, {Probe.PROCESSOR: processor(None, 5), Probe.OFFSETS: END}, Need.NEEDED, "within 15 s"),
        (PROCESSOR, {Probe.PROCESSOR: processor(3, 10), Probe.OFFSETS: END}, Need.NOT_NEEDED, "nothing left"),
    ],
)
def test_clients_are_restarted_only_if_they_do_not_go_on(
    bench: Bench, client: Client, seen: dict[Probe, Seen], need: Need, words: str
) -> None:
    bench.seen |= {CANARY: canary(), **seen}
    own = ScriptedRung(finding=Finding(Need.NOT_NEEDED, "All is well in a view of its own."))
    work = after_kafka(lambda *_: own, client)(bench.tools, request(bench))
    found = work.need()
    assert (found.need, words in found.text) == (need, True), found.text
    assert work.services() == ("kafka",)
    assert isinstance(work.do(), Work)


@pytest.mark.parametrize(
    ("code", "need"), [(Code.REFUSED, Need.FORBIDDEN), (Code.TIMEOUT, Need.FORBIDDEN), (Code.OWN_FAULT, Need.UNKNOWN)]
)
def test_without_a_broker_no_client_is_restarted(bench: Bench, code: Code, need: Need) -> None:
    bench.seen |= {CANARY: canary(code)}
    assert after_kafka(lambda *_: ScriptedRung(), PRODUCER)(bench.tools, request(bench)).need().need is need


@pytest.mark.parametrize("need", [Need.FORBIDDEN, Need.BY_PEOPLE, Need.UNKNOWN])
def test_its_own_look_may_forbid_it(bench: Bench, need: Need) -> None:
    bench.seen |= {CANARY: canary(), Probe.PRODUCER: producer(5, 9)}
    own = ScriptedRung(finding=Finding(need, "The exchange has banned us."))
    found = after_kafka(lambda *_: own, PRODUCER)(bench.tools, request(bench)).need()
    assert (found.need, found.text) == (need, "The exchange has banned us.")


def test_in_other_ladders_the_rung_is_as_it_was(bench: Bench) -> None:
    own: Callable[..., Any] = lambda *_: scripted  # noqa: E731
    scripted = ScriptedRung()
    other = bench.request(bench.incident(), scenario=ScenarioId.PRODUCER_SILENT)
    assert after_kafka(own, PRODUCER)(bench.tools, other) is scripted
