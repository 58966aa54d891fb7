"""Larger micro-batches for a time, everything put back, and the advice with its numbers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from include.health.observations import Code, Probe
from include.playbook.ladder import RungId
from include.playbook.names import ScenarioId
from include.remediation import put_back, rungs_lag
from include.remediation.capacity import Advice, Measured, suggest
from include.remediation.errors import RungError
from include.remediation.model import Need, RunRequest, Work
from include.remediation.put_back import PutBack
from include.remediation.rungs_lag import LAG_RUNGS, RaiseInterval, SuggestCapacity, cores_of, wanted_settings
from include.remediation.temporary_change import change
from include.remediation.tools import Tools
from include.services.names import PROCESSOR
from include.settings import Settings
from include.stack.launch import main as launch
from tests.support.processing import Scene, request, scene
from tests.support.remediating import observation

LAG = request(ScenarioId.KAFKA_LAG)
GROWING = [(1000, 500, 20.0), (1042, 500, 22.0), (1084, 500, 24.0)]  # in 2.1 s, looks at others included


@pytest.fixture
def plant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    with scene(tmp_path, monkeypatch) as made:
        in_force(made)
        yield made


def in_force(plant: Scene, interval: float = 1.0, most: int = 500_000, **more: Any) -> None:
    plant.document = {"settings": {"micro_batch_seconds": interval, "max_offsets_per_trigger": most}, **more}


def temporary(plant: Scene) -> dict[str, str]:
    return {each.name: each.value for each in plant.tools.temporary.all()}


@pytest.mark.parametrize(
    ("configured", "now", "most", "arriving", "wanted"),
    [
        (1.0, 1.0, 500_000, 20.0, (5.0, 500_000)),
        (1.0, 5.0, 500_000, 20.0, (10.0, 500_000)),
        (1.0, 10.0, 500_000, 20.0, (10.0, 500_000)),  # beyond it the watch would take the pause for a standstill
        (0.1, 0.1, 50, 20.0, (5.0, 2_500)),  # fifty times the interval: fifty times the rows
        (1.0, 1.0, 50, 900.0, (5.0, 18_000)),  # four times what arrives
        (0.0, 0.0, 50, 20.0, (5.0, 400)),
        (8.0, 8.0, 500_000, 20.0, (16.0, 500_000)),
        (20.0, 20.0, 500_000, 20.0, (30.0, 500_000)),
        (60.0, 60.0, 500_000, 20.0, (60.0, 500_000)),  # never shorter than it is
        (1.0, 1.0, 2_000_000, 20.0, (5.0, 2_000_000)),  # never less than it is
        (1.0, 1.0, 400_000, 20.0, (5.0, 500_000)),  # no more than the memory of the default settings takes
    ],
)
def test_how_far_the_interval_goes(
    configured: float, now: float, most: int, arriving: float, wanted: tuple[float, int]
) -> None:
    settings = Settings(_env_file=None, micro_batch_seconds=configured)
    current = {"micro_batch_seconds": now, "max_offsets_per_trigger": float(most)}
    assert tuple(wanted_settings(settings, current, arriving).values()) == wanted


def test_a_lag_asks_for_a_longer_interval(plant: Scene) -> None:
    plant.lag(*GROWING)
    finding = RaiseInterval(plant.tools, LAG).need()
    assert finding.need is Need.NEEDED
    assert "500 records wait, the oldest for 20 s; 40 a second arrive" in finding.text
    assert "It would be 5 s" in finding.text
    assert temporary(plant) == {}


def test_no_lag_no_change(plant: Scene) -> None:
    plant.lag((1000, 990, 1.0))
    assert RaiseInterval(plant.tools, LAG).need().need is Need.NOT_NEEDED


def test_no_further_than_it_goes(plant: Scene) -> None:
    plant.lag(*GROWING)
    in_force(plant, interval=10.0)
    finding = RaiseInterval(plant.tools, LAG).need()
    assert (finding.need, "as far as it goes" in finding.text) == (Need.NOT_NEEDED, True)


@pytest.mark.parametrize(
    ("probe", "code", "need", "words"),
    [
        (Probe.OFFSETS, Code.TIMEOUT, Need.FORBIDDEN, "kafka_down"),
        (Probe.OFFSETS, Code.OWN_FAULT, Need.UNKNOWN, "Nothing is done"),
        (Probe.PROCESSOR, Code.REFUSED, Need.NOT_NEEDED, "stream_processor_failure"),
        (Probe.MYSQL_CANARY, Code.LOCKED, Need.FORBIDDEN, "mysql_not_writing"),
    ],
)
def test_what_no_interval_helps(plant: Scene, probe: Probe, code: Code, need: Need, words: str) -> None:
    plant.lag(*GROWING)
    plant.seen[probe] = observation(probe, code)
    for rung in (RaiseInterval(plant.tools, LAG),):
        finding = rung.need()
        assert (finding.need, words in finding.text) == (need, True), finding.text


def raised(plant: Scene) -> RaiseInterval:
    plant.lag(*GROWING)
    in_force(plant, most=100)
    rung = RaiseInterval(plant.tools, LAG)
    assert rung.need().need is Need.NEEDED
    before = plant.pid
    rung.do()
    assert plant.pid not in (None, before)
    return rung


def test_the_next_start_has_the_new_settings(plant: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    raised(plant)
    assert temporary(plant) == {"micro_batch_seconds": "5", "max_offsets_per_trigger": "800"}
    (interval, _) = sorted(plant.tools.temporary.all(), key=lambda each: each.name, reverse=True)
    assert (interval.before, interval.incident_id, interval.by) == ("1", "INC-2026-0001", "health")

    started: dict[str, str] = {}
    monkeypatch.setattr("include.stack.launch.load_settings", lambda: plant.tools.settings)
    monkeypatch.setattr("include.stack.launch.prepare", lambda settings, name: (["true"], {}))
    monkeypatch.setattr("include.stack.launch.end_leftovers", lambda *_, **__: None)
    monkeypatch.setattr(os, "execvpe", lambda program, command, environment: started.update(environment))
    monkeypatch.setattr(os, "chdir", lambda folder: None)
    with suppress(SystemExit):
        launch([PROCESSOR])
    assert (started["PIPELINE_MICRO_BATCH_SECONDS"], started["PIPELINE_MAX_OFFSETS_PER_TRIGGER"]) == ("5", "800")


def test_proof_of_the_interval(plant: Scene) -> None:
    rung = raised(plant)
    assert "not run with the new settings yet" in rung.proof().text
    in_force(plant, interval=5.0, most=800)
    plant.says(last_batch=None)
    assert not rung.proof().good
    plant.says()
    plant.lag((2000, 1000, 20.0), (2100, 1000, 21.0), (2100, 1000, 22.0), (2200, 1300, 20.0))
    proofs = [rung.proof() for _ in range(4)]
    assert [proof.good for proof in proofs] == [False, False, False, True]
    assert "1000 records waited after the start, 900 now" in proofs[-1].text


def test_a_lag_that_grows_on_is_no_proof(plant: Scene) -> None:
    rung = raised(plant)
    in_force(plant, interval=5.0, most=800)
    plant.lag((2000, 1000, 20.0), (2300, 1100, 21.0), (2600, 1200, 22.0), (2900, 1300, 23.0), (3200, 1400, 24.0))
    assert not any(rung.proof().good for _ in range(5))
    plant.lag((3200, 3200, 0.0))
    assert rung.proof().good  # nothing waits any more


def test_the_way_back(plant: Scene) -> None:
    rung, before = raised(plant), plant.pid
    assert rung.roll_back() is not None
    assert temporary(plant) == {}
    assert plant.pid not in (None, before)
    assert rung.roll_back() is None


def test_the_setting_of_another_incident_stays(plant: Scene) -> None:
    other = request(ScenarioId.KAFKA_LAG, incident_id="INC-2026-0099")
    change(plant.tools, other, "micro_batch_seconds", 5.0, "the lag grows")
    rung = RaiseInterval(plant.tools, LAG)
    assert rung.roll_back() is None
    plant.document = {}
    finding = PutBack(plant.tools, LAG).need()
    assert finding.need is Need.NOT_NEEDED
    assert finding.facts["of_other_incidents"] == ["micro_batch_seconds"]
    assert temporary(plant) == {"micro_batch_seconds": "5"}


@pytest.fixture
def order(plant: Scene, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """In which order the processes were restarted."""
    seen: list[str] = []
    start = plant.controller.start
    monkeypatch.setattr(plant.controller, "start", lambda name, timeout: (seen.append(name), start(name, timeout))[1])

    def end(tools: Tools, _request: RunRequest) -> Work | None:
        if tools.temporary.remove("producer_sampling") is None:
            return None
        seen.append("btc_producer")
        return Work("btc_producer publishes every trade again.")

    monkeypatch.setattr(put_back, "end_reduced_frequency", end)
    return seen


def test_everything_is_put_back_spark_first(plant: Scene, order: list[str]) -> None:
    change(plant.tools, LAG, "micro_batch_seconds", 5.0, "lag")
    change(plant.tools, LAG, "max_offsets_per_trigger", 800.0, "lag")
    change(plant.tools, LAG, "producer_sampling", 4.0, "lag")
    in_force(plant, interval=5.0, most=800)
    rung = PutBack(plant.tools, LAG)
    assert rung.need().need is Need.NEEDED
    rung.do()
    assert order == [PROCESSOR, "btc_producer"]
    assert temporary(plant) == {}
    assert "Still in force" in rung.proof().text
    in_force(plant)
    plant.lag((1000, 500, 20.0))
    assert not rung.proof().good
    plant.lag((1000, 990, 0.5))
    assert rung.proof().good


def test_a_restart_that_was_cut_off_is_made_up_for(plant: Scene, order: list[str]) -> None:
    in_force(plant, interval=5.0)  # the setting is gone from the record, the process still runs with it
    rung = PutBack(plant.tools, LAG)
    assert rung.need().need is Need.NEEDED
    rung.do()
    assert order == [PROCESSOR]


def test_a_job_that_was_stopped_on_purpose_stays_stopped(plant: Scene, order: list[str]) -> None:
    change(plant.tools, LAG, "micro_batch_seconds", 5.0, "lag")
    plant.controller.stop(PROCESSOR, 2)
    plant.document = {}
    rung = PutBack(plant.tools, LAG)
    rung.do()
    assert (order, temporary(plant)) == ([], {})
    assert rung.proof().good


def test_nothing_was_changed(plant: Scene, order: list[str]) -> None:
    rung = PutBack(plant.tools, LAG)
    assert rung.need().need is Need.NOT_NEEDED
    rung.do()
    assert order == []


def measured(**changes: Any) -> Measured:
    values: dict[str, Any] = {
        **{"arriving": 1000.0, "busiest": 400.0, "partitions": 3, "cores": 4, "batches": 50, "rows": 50_000},
        **{"seconds": {"aggregate": 90.0, "mysql": 10.0, "total": 100.0}, "lag": 9000},
    }
    return Measured(**values | changes)


@pytest.mark.parametrize(
    ("what", "advice", "words"),
    [
        ({"arriving": 300.0}, Advice.NOTHING, "takes about 45 s"),  # 9000 / (500 − 300)
        ({"rows": 0}, Advice.UNKNOWN, "No batch has been measured"),
        ({"seconds": {"mysql": 60.0, "total": 100.0}}, Advice.FASTER_MYSQL, "60% of it is MySQL's"),
        ({"busiest": 800.0}, Advice.ONE_BUSY_PARTITION, "a faster core"),
        (
            {"busiest": 620.0, "cores": 2, "rows": 128_000},
            Advice.CLUSTER,
            "640 a task: 3 tasks",
        ),  # one task is enough for it
        # 500 a second by 3 tasks are 167 each; 1.3 × 1000 ÷ 167 = 7.8
        ({}, Advice.CLUSTER, "a cluster with 8 cores, and 8 partitions"),
        ({"cores": 8}, Advice.MORE_PARTITIONS, "8 partitions"),
        ({"cores": 2, "partitions": 12}, Advice.CLUSTER, "6 cores, and 12 partitions"),  # 250 each, 5.2
    ],
)
def test_advice(what: dict[str, Any], advice: Advice, words: str) -> None:
    found = suggest(measured(**what))
    assert (found.advice, words in found.text) == (advice, True), found.text


@pytest.mark.parametrize(
    ("master", "cores"), [("local[4]", 4), ("local", 1), ("local[*]", 6), ("spark://host:7077", 6)]
)
def test_cores(master: str, cores: int) -> None:
    assert cores_of(master, 6) == cores


def test_the_suggestion_changes_nothing_and_has_the_numbers(plant: Scene) -> None:
    plant.lag(*[(1000 + 100 * i, 500, 20.0) for i in range(20)])
    past = {"batches": 10, "rows": 200, "seconds": {"aggregate": 9.0, "mysql": 1.0, "total": 10.0}}
    in_force(plant, pace={"recent": past, "before": {"batches": 0, "rows": 0, "seconds": {}}})
    rung = SuggestCapacity(plant.tools, LAG)
    finding = rung.need()
    assert finding.need is Need.NOT_NEEDED
    assert "100 records arrive a second; batches count 20 a second" in finding.text
    assert (finding.facts["arriving_per_second"], finding.facts["tasks_needed"]) == (100.0, 7)
    with pytest.raises(RungError):
        rung.do()
    plant.document = {}
    plant.seen[Probe.PROCESSOR] = observation(Probe.PROCESSOR, Code.OWN_FAULT)
    assert rung.need().need is Need.UNKNOWN


def test_every_rung_of_the_lag_is_there() -> None:
    assert set(LAG_RUNGS) == {RungId.RAISE_INTERVAL, RungId.PUT_BACK, RungId.SUGGEST_CAPACITY}
    assert rungs_lag.LAG_RUNGS[RungId.PUT_BACK] is PutBack
