"""The ladders of remedies are the playbook's, and what may harm, or may not be touched, is said so."""

from __future__ import annotations

import inspect
import re
import shutil
from pathlib import Path

import pytest

from include.playbook.errors import PlaybookDataError
from include.playbook.ladder import Risk, RungId
from include.playbook.names import Cause, Component, ScenarioId
from include.playbook.playbook import DATA, get_playbook, load_playbook
from include.playbook.remedies import span
from include.remediation.registry import RUNGS
from include.remediation.rungs_common import Validation
from include.services.names import SERVICES
from include.settings import Settings

S, C, R, K = ScenarioId, Component, RungId, Cause
SAFE, RISKY, DESTRUCTIVE = Risk
WHOLE = [(scenario, rung) for scenario in get_playbook().scenarios.values() for rung in scenario.ladder]
IDS = [f"{scenario.id}-{rung.id}" for scenario, rung in WHOLE]

LADDERS = {
    S.KAFKA_DOWN: [
        (R.RESTART_KAFKA, C.KAFKA, SAFE),
        (R.MOVE_KAFKA_LOG_ASIDE, C.KAFKA, DESTRUCTIVE),
        (R.VALIDATE_TOPICS, C.KAFKA, SAFE),
        (R.RESTART_PRODUCER, C.PRODUCER, SAFE),
        (R.RESTART_PROCESSOR, C.PROCESSOR, SAFE),
    ],
    S.STREAM_PROCESSOR_FAILURE: [
        (R.RESTART_PROCESSOR, C.PROCESSOR, SAFE),
        (R.VALIDATE_KAFKA, C.PROCESSOR, SAFE),
        (R.VALIDATE_MYSQL, C.PROCESSOR, SAFE),
        (R.DEAD_LETTER_POISON, C.PROCESSOR, SAFE),
        (R.REBUILD_FROM_KAFKA, C.PROCESSOR, DESTRUCTIVE),
    ],
    S.MYSQL_NOT_WRITING: [
        (R.RESTART_MYSQL, C.MYSQL, SAFE),
        (R.VALIDATE_CREDENTIALS, C.MYSQL, SAFE),
        (R.VALIDATE_SCHEMA, C.MYSQL, SAFE),
        (R.REPAIR_WINDOWS, C.MYSQL, SAFE),
    ],
    S.PRODUCER_SILENT: [
        (R.RECONNECT_FEED, C.PRODUCER, SAFE),
        (R.RESTART_PRODUCER, C.PRODUCER, SAFE),
        (R.SWITCH_ENDPOINT, C.PRODUCER, RISKY),
        (R.VALIDATE_EXCHANGE, C.EXCHANGE, SAFE),
        (R.VALIDATE_KAFKA, C.PRODUCER, SAFE),
        (R.PUT_BACK, C.PRODUCER, SAFE),
    ],
    S.KAFKA_LAG: [
        (R.RAISE_INTERVAL, C.PROCESSOR, SAFE),
        (R.RESTART_PROCESSOR, C.PROCESSOR, SAFE),
        (R.REDUCE_FREQUENCY, C.PRODUCER, RISKY),
        (R.PUT_BACK, C.LAG, SAFE),
        (R.SUGGEST_CAPACITY, C.LAG, SAFE),
    ],
}


@pytest.mark.parametrize("scenario", ScenarioId)
def test_the_ladder_of_each_scenario_and_who_must_agree(scenario: ScenarioId) -> None:
    ladder = get_playbook().scenarios[scenario].ladder
    assert [(rung.id, rung.target, rung.risk) for rung in ladder] == LADDERS[scenario]


def test_only_put_back_waits_for_the_recovery_and_nothing_holds_it_up() -> None:
    later = [rung for _, rung in WHOLE if rung.after_recovery]
    assert [(rung.id, rung.cooldown_seconds) for rung in later] == [(R.PUT_BACK, 0), (R.PUT_BACK, 0)]


def test_a_ladder_that_changes_a_setting_for_a_time_also_puts_it_back() -> None:
    for_a_time = {R.SWITCH_ENDPOINT, R.RAISE_INTERVAL, R.REDUCE_FREQUENCY}
    for scenario in get_playbook().scenarios.values():
        rungs = {rung.id for rung in scenario.ladder}
        assert bool(rungs & for_a_time) is (R.PUT_BACK in rungs), scenario.id


@pytest.mark.parametrize(("scenario", "rung"), WHOLE, ids=IDS)
def test_what_is_said_to_look_only_is_work_that_only_looks(scenario, rung) -> None:
    maker = RUNGS[rung.id]
    assert rung.only_looks is (inspect.isclass(maker) and issubclass(maker, Validation))


def test_a_rung_is_found_by_its_id() -> None:
    lag = get_playbook().scenarios[S.KAFKA_LAG]
    found = lag.rung(R.REDUCE_FREQUENCY)
    assert found is lag.ladder[2]
    assert lag.rung(R.RESTART_KAFKA) is None


# What a machine may do about each cause. Every other cause of a scenario is left to people.
MACHINE = {
    S.KAFKA_DOWN: {K.PROCESS_GONE, K.PROCESS_HUNG, K.CRASH_LOOP, K.CORRUPTED_LOG, K.TOPIC_MISSING},
    S.STREAM_PROCESSOR_FAILURE: {
        *(K.PROCESS_GONE, K.PROCESS_HUNG, K.CRASH_LOOP, K.QUERY_FAILED, K.BATCH_HUNG, K.BATCHES_SLOW, K.NO_PROGRESS),
        *(K.SCHEMA_MISMATCH, K.KAFKA_CONNECTION, K.WRITE_FAILURE, K.CORRUPTED_LOG),
    },
    S.MYSQL_NOT_WRITING: {K.PROCESS_GONE, K.PROCESS_HUNG, K.SCHEMA_MISMATCH, K.SILENT_LOSS},
    S.PRODUCER_SILENT: {K.PROCESS_GONE, K.PROCESS_HUNG, K.FEED_SILENT, K.KAFKA_CONNECTION, K.SILENT_LOSS},
    S.KAFKA_LAG: {
        *(K.SPARK_CAPACITY, K.TRAFFIC_SURGE, K.SLOW_MYSQL_WRITES, K.CONSUMER_STOPPED),
        *(K.SKEWED_PARTITION, K.RETENTION_LOSS),
    },
}
NOTHING_TO_DO = {K.PROCESS_RESTARTED, K.QUIET_MARKET}


@pytest.mark.parametrize("scenario", ScenarioId)
def test_every_cause_is_one_that_a_machine_may_touch_or_left_to_people(scenario: ScenarioId) -> None:
    found = get_playbook().scenarios[scenario]
    left = {each.cause for each in found.by_people}
    assert left == {entry.cause for entry in found.causes} - MACHINE[scenario] - NOTHING_TO_DO
    assert {cause for cause in Cause if found.left_to_people(cause)} == left
    for each in found.by_people:
        assert re.fullmatch(r"[A-Z].*\.", each.because), each.cause  # both follow other words in a message
        assert re.fullmatch(r"[a-z].*\.", each.tell), each.cause


@pytest.mark.parametrize(("scenario", "rung"), WHOLE, ids=IDS)
def test_a_command_for_a_person_is_one_that_exists(scenario, rung) -> None:
    commands = re.findall(r"`([^`]+)`", rung.by_hand)
    assert commands, rung.by_hand
    for words in (part.split() for command in commands for part in command.split(" && ")):
        match words:
            case [".venv/bin/python", "-m", "include.services", "start" | "stop" | "restart" | "tail", name, *_]:
                assert name in SERVICES
            case [".venv/bin/python", "-m", "include.warehouse", verb]:
                assert verb in {"migrate", "status"}
            case [".venv/bin/python", "-m", "include.services", "status", name]:
                assert name in SERVICES
            case [".venv/bin/python", "-m", "include.repair", "--from", _, "--to", _]:
                pass
            case ["echo", setting, ">>", ".env"]:
                assert setting.split("=")[0].removeprefix("PIPELINE_").lower() in Settings.model_fields
            case ["mv", old, new]:
                assert old.startswith("var/")
                assert new.startswith(f"{old}.")
            case ["make", "up" | "status"] | ["curl", *_] | ["kill", "-HUP", _]:
                pass
            case [word]:
                assert word in {".env", *SERVICES, f"remediate_{scenario.id}"}
            case _:
                pytest.fail(f"{' '.join(words)} is no command that is known here")


@pytest.mark.parametrize(("scenario", "rung"), WHOLE, ids=IDS)
def test_deadlines_leave_spark_its_time_and_budgets_are_no_loops(scenario, rung) -> None:
    if rung.id in {R.RESTART_PROCESSOR, R.DEAD_LETTER_POISON, R.REBUILD_FROM_KAFKA, R.RAISE_INTERVAL}:
        assert rung.verify_seconds >= 25 + 14  # its start, and the pause of a first batch
    if rung.risk is DESTRUCTIVE:
        assert (rung.cooldown_seconds, rung.hourly_budget) == (3600, 1)
    if "restart" in rung.id:
        assert rung.cooldown_seconds >= 60
        assert rung.hourly_budget <= 6


LAG, KAFKA = "kafka_lag.toml", "kafka_down.toml"


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        (
            LAG,
            'id = "put_settings_back"',
            'id = "suggest_capacity"',
            "ladder: received suggest_capacity more than once",
        ),
        (LAG, 'id = "put_settings_back"', 'id = "put_it_back"', "ladder.3.id: received 'put_it_back'"),
        (
            LAG,
            'rollback = "The producer',
            'rollback = ""  # "',
            "ladder.2.rollback: received nothing, for a risky rung",
        ),
        (KAFKA, 'rollback = "The broker', 'rollback = " " # "', "ladder.1.rollback: received nothing, for a destruct"),
        (
            LAG,
            'cause = "offsets_not_committed"\nbecause',
            'cause = "disk_full"\nbecause',
            "by_people.0.cause: received d",
        ),
        (
            LAG,
            'cause = "offsets_not_committed"\nbecause',
            'cause = "monitoring_blind"\nbecause',
            "by_people: received mon",
        ),
        (LAG, "hourly_budget = 4\n", "hourly_budget = 4\nafter_recovery = true\n", "true for restart_stream_processor"),
        (
            LAG,
            "verify_seconds = 90 # S",
            "verify_seconds = 571 # S",
            "ladder.0.verify_seconds: received 601 s for work",
        ),
        (
            LAG,
            "cooldown_seconds = 120",
            "cooldown_seconds = 60",
            "ladder.1.cooldown_seconds: received 60.0. Allowed: 120",
        ),
        (
            KAFKA,
            'risk = "destructive"',
            'risk = "destructive"\nonly_looks = true',
            "ladder.1.risk: received destructive",
        ),
        (
            LAG,
            "hourly_budget = 4\n",
            "hourly_budget = 4\nonly_looks = true\n",
            "ladder.1.only_looks: received True. All",
        ),
        (LAG, 'target = "spark-group"\nruns', 'target = "weather"\nruns', "ladder.3.target: received 'weather'"),
    ],
)
def test_a_wrong_ladder_is_refused(tmp_path: Path, file: str, old: str, new: str, expected: str) -> None:
    shutil.copytree(DATA, tmp_path / "data")
    changed = tmp_path / "data" / "scenarios" / file
    text = changed.read_text()
    assert old in text
    changed.write_text(text.replace(old, new, 1))
    with pytest.raises(PlaybookDataError) as refused:
        load_playbook(tmp_path / "data")
    assert expected in str(refused.value)
    assert refused.value.file == changed


def test_the_longest_rung_that_is_allowed(tmp_path: Path) -> None:
    shutil.copytree(DATA, tmp_path / "data")
    changed = tmp_path / "data" / "scenarios" / LAG
    changed.write_text(changed.read_text().replace("verify_seconds = 90 # S", "verify_seconds = 570 # S"))
    assert load_playbook(tmp_path / "data").scenarios[S.KAFKA_LAG].ladder[0].verify_seconds == 570


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (4.2, "4.2 s"),
        (59, "59 s"),
        (60, "1 min"),
        (90, "90 s"),
        (600, "10 min"),
        (3600, "1 h"),
        (5400, "90 min"),
    ],
)
def test_a_span_in_words(seconds: float, words: str) -> None:
    assert span(seconds) == words
