"""The playbook's words are in the data as the playbook says them, and wrong data is refused in words that help."""

from __future__ import annotations

import re
import shutil
from datetime import date
from pathlib import Path

import pytest

from include.health.config import DetectorConfig
from include.health.observations import Code, Probe
from include.health.rules.catalog import rules_of
from include.playbook.errors import PlaybookDataError, UnknownScenarioError
from include.playbook.names import Cause, Component, ScenarioId
from include.playbook.playbook import DATA, get_playbook, load_playbook
from include.playbook.thresholds import KafkaDownThresholds, LagThresholds
from include.services.names import SERVICES
from include.settings import PROJECT_ROOT

S = ScenarioId

# design §1: severity | symptoms | diagnostics | immediate actions | causes to tell apart | long-term actions
PLAYBOOK = {
    S.KAFKA_DOWN: (
        "1",
        "producer cannot publish; Spark cannot read; Kafka CLI fails",
        "container/process state; Kafka log",
        "restart Kafka; validate the topic exists; restart producer and Spark",
        "crash; port conflict; corrupted log",
        "disk space watch; broker health monitoring; AWS MSK",
    ),
    S.STREAM_PROCESSOR_FAILURE: (
        "1 or 2",
        "job stops; micro-batch duration spikes; errors in its log",
        "errors in `stream_processor.log`",
        "restart the processor; validate Kafka; validate MySQL",
        "schema mismatch; Kafka connection; JDBC write failure",
        "schema validation; write retries; checkpointing",
    ),
    S.MYSQL_NOT_WRITING: (
        "2",
        "no new rows in `moving_averages`; write errors; connection refused",
        "service status",
        "restart MySQL; validate credentials; validate table schema",
        "crash; disk full; wrong connection settings",
        "MySQL monitoring; connection pooling; table indexes",
    ),
    S.PRODUCER_SILENT: (
        "2 or 3",
        "topic gets no new messages; API failures; rate limits",
        "errors in `btc_producer.log`",
        "restart the producer; validate the Binance API; validate Kafka",
        "API outage; network; serialization",
        "retry with exponential backoff; fallback endpoints; circuit breaker",
    ),
    S.KAFKA_LAG: (
        "2",
        "Spark cannot keep up; growing backlog; delayed MySQL writes",
        "lag of group `spark-group`",
        "increase the micro-batch interval; restart Spark; reduce producer frequency for a time",
        "too little Spark capacity; volume; slow MySQL writes",
        "more partitions; Spark on a cluster; faster MySQL writes",
    ),
}


@pytest.mark.parametrize("scenario", ScenarioId)
def test_every_cell_of_the_playbook_is_there_word_for_word(scenario: ScenarioId) -> None:
    found = get_playbook().scenarios[scenario]
    severity, symptoms, diagnostics, actions, causes, long_term = PLAYBOOK[scenario]
    assert " or ".join(f"{each:d}" for each in found.severities) == severity
    assert "; ".join(found.symptoms) == symptoms
    assert "; ".join(each.check for each in found.diagnostics).startswith(diagnostics)  # more of our own may follow
    assert "; ".join(found.immediate_actions) == actions
    assert set(found.causes_to_tell_apart) == set(causes.split("; "))
    assert "; ".join(found.long_term_actions) == long_term


@pytest.mark.parametrize("scenario", ScenarioId)
def test_what_a_scenario_names_exists(scenario: ScenarioId) -> None:
    found = get_playbook().scenarios[scenario]
    assert {*found.probes, *found.evidence.probes} <= set(Probe)
    assert set(found.evidence.logs) <= set(SERVICES)
    assert found.review_by == date(2027, 5, 24)
    assert Cause.MONITORING_BLIND in {entry.cause for entry in found.causes}
    assert not {Cause.UNKNOWN, Cause.NONE} & {entry.cause for entry in found.causes}


@pytest.mark.parametrize("scenario", ScenarioId)
def test_texts_for_telling_causes_apart_name_only_probes_and_codes_that_exist(scenario: ScenarioId) -> None:
    words = {*Probe, *Code}
    for entry in get_playbook().scenarios[scenario].causes:
        named = set(entry.told_apart_by.split("`")[1::2])
        assert named <= words, f"{entry.cause}: {named - words}"


RULES = PROJECT_ROOT / "include" / "health" / "rules"
SHARED = ("process_findings", "log_hints", "supervised_process")


@pytest.mark.parametrize(
    ("scenario", "modules"),
    [
        (S.KAFKA_DOWN, ("kafka_down*", "kafka_signals*", *SHARED)),
        (S.STREAM_PROCESSOR_FAILURE, ("stream_processor*", "processor*", "batch*", "running_batch*", *SHARED)),
        (S.MYSQL_NOT_WRITING, ("mysql_*", *SHARED)),
        (S.PRODUCER_SILENT, ("producer*", "exchange_side*", "trade_feed*", "rate_limits*", *SHARED)),
        (S.KAFKA_LAG, ("kafka_lag*", "lag*", "offset_rounds*")),
    ],
)
def test_every_cause_that_the_rules_can_give_is_described(scenario: ScenarioId, modules: tuple[str, ...]) -> None:
    sources = [file for pattern in modules for file in RULES.glob(f"{pattern}.py")]
    named = {Cause[name] for file in sources for name in re.findall(r"\bCause\.([A-Z_]+)", file.read_text())}
    described = {entry.cause for entry in get_playbook().scenarios[scenario].causes}
    assert named - {Cause.UNKNOWN, Cause.NONE} <= described


def test_what_is_said_to_be_watched_is_what_the_rules_watch() -> None:
    scenarios = get_playbook().scenarios
    for rules in rules_of({each: scenarios[each].thresholds for each in ScenarioId}, DetectorConfig()):
        assert set(scenarios[rules.scenario].probes) == set(rules.handlers), rules.scenario
        assert scenarios[rules.scenario].target is rules.target


def test_each_scenario_is_about_another_component() -> None:
    targets = [scenario.target for scenario in get_playbook().scenarios.values()]
    expected = [Component.KAFKA, Component.PROCESSOR, Component.MYSQL, Component.PRODUCER, Component.LAG]
    assert targets == expected


def test_thresholds_come_as_the_scenarios_own_model() -> None:
    scenario = get_playbook().scenarios[S.KAFKA_DOWN]
    assert scenario.thresholds_as(KafkaDownThresholds).canary_failures == 3
    with pytest.raises(TypeError, match="KafkaDownThresholds, not LagThresholds"):
        scenario.thresholds_as(LagThresholds)


def test_a_number_in_the_text_is_the_number_that_is_judged_by() -> None:
    scenario = get_playbook().scenarios[S.KAFKA_LAG]
    assert "used up 60% of the retention" in scenario.decided_text
    assert "{" not in scenario.decided_text


def test_a_scenario_is_found_by_name_and_a_wrong_name_is_answered_with_the_right_ones() -> None:
    assert get_playbook().scenario("kafka_lag").id is S.KAFKA_LAG
    with pytest.raises(UnknownScenarioError, match=r"'kafka_leg'.*kafka_down.*kafka_lag"):
        get_playbook().scenario("kafka_leg")


LAG = "scenarios/kafka_lag.toml"


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        (LAG, 'owner = "data-platform"', "", ["owner: received nothing", "must be there"]),
        (LAG, 'owner = "data-platform"', 'owner = " "', ["owner: received ' '", "at least 1 character"]),
        (LAG, 'owner = "data-platform"', 'ownr = "x"\nowner = "y"', ["ownr: received 'x'", "no such key"]),
        (LAG, "review_by = 2027-05-24", 'review_by = "soon"', ["review_by: received 'soon'", "date"]),
        (LAG, "severity = 2\nseverities = [2]", "severity = 5\nseverities = [2]", ["severity: received 5", "1, 2, 3"]),
        (
            LAG,
            "severity = 2\nseverities = [2]",
            "severity = 1\nseverities = [2]",
            ["severity: received 1", "severities"],
        ),
        (LAG, "severities = [2]", "severities = [1, 2]", ["severities: received [1]", "some cause has"]),
        (LAG, 'severity_because = "nothing', '# "', ["causes.7.severity: received 3 for monitoring_blind", "a reason"]),
        (
            LAG,
            'cause = "traffic_surge"',
            'cause = "spark_capacity"',
            ["causes: received spark_capacity more than once"],
        ),
        (LAG, 'cause = "traffic_surge"', 'cause = "weather"', ["causes.1.cause: received 'weather'"]),
        (LAG, 'target = "spark-group"', 'target = "nothing"', ["target: received 'nothing'", "'kafka'"]),
        (LAG, "slope_points = 8", "slope_points = 0", ["thresholds.slope_points: received 0", "greater than or equal"]),
        (LAG, "slope_points = 8", "", ["thresholds.slope_points: received nothing"]),
        (LAG, "slope_points = 8", "slop_points = 8\nslope_points = 8", ["thresholds.slop_points", "no such key"]),
        (LAG, "hold_seconds = 10", "hold_seconds = -1", ["hold_seconds: received -1", "greater than or equal to 0"]),
        (LAG, "{waiting_seconds}", "{wating_seconds}", ["decided: received wating_seconds", "warning_seconds"]),
        (LAG, 'parents = ["kafka", ', 'parents = ["mysql", ', ["parents: received mysql, stream_p", "kafka, stream_p"]),
        (LAG, 'id = "kafka_lag"', 'id = "kafka_down"', ["id: received 'kafka_down'", "as the file is called"]),
        (LAG, "severity = 2", "severity = = 2", ["the file: received Invalid value", "TOML"]),
        (
            "graph.toml",
            'source = "exchange"',
            'source = "weather"',
            ["edges.4.source: received 'weather'", "'exchange'"],
        ),
        ("graph.toml", 'symptoms = ["mysql_connections"]', "symptoms = []", ["edges.13.symptoms", "at least 1 item"]),
        (
            "graph.toml",
            'source = "exchange"\neffect = "btc_producer"',
            'source = "spark-group"\neffect = "kafka"',
            ["edges: received", "spark-group → ", "no cycle"],
        ),
        ("graph.toml", 'source = "exchange"', 'source = "btc_producer"', ["edges.4.effect", "another component"]),
        (
            "graph.toml",
            'only_causes = ["connections"]',
            'only_causes = ["connections"]\nexcept_causes = ["locks"]',
            ["edges.13.except_causes: received both"],
        ),
        ("severity.toml", "severity = 4\n", "severity = 3\n", ["levels: received [1, 2, 3, 3]", "1, 2, 3 and 4"]),
        ("severity.toml", "after_seconds = 3600", "after_seconds = 60", ["levels.1.told: received [0, 900, 60]"]),
        (
            "severity.toml",
            '{ role = "engineering lead", after_seconds = 900 },',
            "",
            ["levels.0.told", "on-call engineer → "],
        ),
        ("severity.toml", "above_seconds = 60", "above_seconds = 600", ["harm.stale: received", "greater number"]),
    ],
)
def test_wrong_data_is_refused_with_file_key_value_and_what_is_allowed(
    tmp_path: Path, file: str, old: str, new: str, expected: list[str]
) -> None:
    shutil.copytree(DATA, tmp_path / "data")
    changed = tmp_path / "data" / file
    text = changed.read_text()
    assert old in text
    changed.write_text(text.replace(old, new, 1))
    with pytest.raises(PlaybookDataError) as refused:
        load_playbook(tmp_path / "data")
    message = str(refused.value)
    assert str(changed) in message
    for words in expected:
        assert words in message
    assert refused.value.file == changed


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda folder: (folder / "kafka_lag.toml").unlink(), "kafka_lag.toml is wrong:\n  the file: received nothing"),
        (
            lambda folder: (folder / "kafka_leg.toml").write_text(""),
            "the file's name: received kafka_leg. Allowed: one",
        ),
    ],
)
def test_a_missing_or_misspelt_file_is_refused(tmp_path: Path, change, expected: str) -> None:
    shutil.copytree(DATA, tmp_path / "data")
    change(tmp_path / "data" / "scenarios")
    with pytest.raises(PlaybookDataError, match="is wrong") as refused:
        load_playbook(tmp_path / "data")
    assert expected in str(refused.value)


def test_every_flaw_is_named_not_only_the_first(tmp_path: Path) -> None:
    shutil.copytree(DATA, tmp_path / "data")
    file = tmp_path / "data" / LAG
    file.write_text(
        file.read_text()
        .replace("hold_seconds = 10", 'hold_seconds = "long"')
        .replace('risk = "risky"', 'risk = "high"')
    )
    with pytest.raises(PlaybookDataError) as refused:
        load_playbook(tmp_path / "data")
    assert [flaw.key for flaw in refused.value.flaws] == ["ladder.2.risk", "hold_seconds"]


def test_nothing_of_the_playbook_can_be_changed_at_run_time() -> None:
    playbook = get_playbook()
    with pytest.raises(TypeError):
        playbook.scenarios[S.KAFKA_LAG] = playbook.scenarios[S.KAFKA_DOWN]  # type: ignore[index]
    with pytest.raises(ValueError, match="frozen"):
        playbook.scenarios[S.KAFKA_LAG].hold_seconds = 0  # type: ignore[misc]
    with pytest.raises(ValueError, match="frozen"):
        playbook.scenarios[S.KAFKA_LAG].thresholds.flaps = 9  # type: ignore[misc]
