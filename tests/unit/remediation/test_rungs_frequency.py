"""Fewer trades for a time: if nothing else drains the topic, never unannounced, and put back whatever happened."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from sqlalchemy.exc import OperationalError

from include.health.observations import Code, Observation, OffsetsFacts, PartitionFacts, Probe
from include.playbook.names import Cause, ScenarioId
from include.remediation import processor_view, rungs_frequency
from include.remediation.errors import RungError
from include.remediation.model import Need
from include.remediation.reduced_frequency import begin_reduced_frequency, end_reduced_frequency
from include.remediation.rungs_frequency import ReduceFrequency, Traffic
from include.repair import notices
from include.runtime.temporary_settings import TemporarySetting
from tests.support.observing import ok, processor
from tests.support.producer_bench import SILENT, ProducerBench, producer_bench, told
from tests.support.remediating import Bench, observation


class Notices:
    """The notices beside the data; ``away``: MySQL does not answer."""

    def __init__(self) -> None:
        self.away = False
        self.rows: list[SimpleNamespace] = []

    def announce(self, _: Any, kind: Any, symbols: Any, start: datetime, detail: str, *, incident_id: str) -> int:
        self._reach()
        self.rows.append(SimpleNamespace(id=len(self.rows) + 1, kind=kind, start=start, until=None, detail=detail))
        return len(self.rows)

    def open_notices(self, _: Any, incident_id: str) -> tuple[SimpleNamespace, ...]:
        self._reach()
        return tuple(self.rows)

    def end(self, _: Any, number: int, until: datetime) -> bool:
        self.rows[number - 1].until = until
        return True

    def _reach(self) -> None:
        if self.away:
            raise OperationalError("SELECT", {}, Exception("away"))


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> Notices:
    made = Notices()
    for name in ("announce", "open_notices", "end"):
        monkeypatch.setattr(notices, name, getattr(made, name))
    return made


@pytest.fixture
def plant(bench: Bench, board: Notices, monkeypatch: pytest.MonkeyPatch) -> Iterator[ProducerBench]:
    monkeypatch.setattr(rungs_frequency, "_LOOK_SECONDS", 0.0)  # each look moves the clock
    monkeypatch.setattr(processor_view, "read_document", lambda *_: {})
    with producer_bench(bench, monkeypatch) as made:
        made.start()
        made.see(told(9))
        yield made


def request(plant: ProducerBench) -> Any:
    return plant.request(ScenarioId.KAFKA_LAG, Cause.TRAFFIC_SURGE)


@pytest.mark.parametrize(
    ("arriving", "countable", "waiting", "drain", "one_in"),
    [
        (100, 1_000, 0, 0, 2),
        (100, 1_000, 9_000, 10, 2),
        (4_000, 1_000, 9_000, float("inf"), 6),
        (1_000, 1_000, 1, float("inf"), 2),
        (90_000, 1_000, 1, float("inf"), 10),
        (100, 0, 1, float("inf"), 10),
    ],
)
def test_figures(arriving: float, countable: float, waiting: int, drain: float, one_in: int) -> None:
    traffic = Traffic(arriving, countable, waiting)
    assert traffic.drain_seconds == pytest.approx(drain)
    assert traffic.one_in == one_in


def offsets(end: int, committed: int | None, waiting: float) -> Observation:
    facts = PartitionFacts(end=end, committed=committed, waiting_seconds=waiting)
    return ok(Probe.OFFSETS, OffsetsFacts(partitions={0: facts}, retention_seconds=3_600.0))


def batch(rows: int, seconds: float) -> Observation:
    found = processor().facts.last_batch  # type: ignore[union-attr]
    return processor(last_batch=msgspec.structs.replace(found, input_rows=rows, duration_seconds=seconds))


FAST, SLOW = batch(50_000, 1.0), batch(1_000, 1.0)
SURGE = (offsets(10_000, 1_000, 30.0), offsets(30_000, 1_100, 30.0))  # the clock moves 0.2 s a look: 100,000 a second


@pytest.mark.parametrize(
    ("looks", "need"),
    [
        pytest.param((told(9), SLOW, *SURGE), Need.NEEDED, id="surge"),
        pytest.param((told(9), SLOW, offsets(9_000, 8_000, 30.0)), Need.NOT_NEEDED, id="drains"),
        pytest.param((told(9), SLOW, SURGE[0], offsets(30_000, 29_999, 0.5)), Need.NOT_NEEDED, id="nothing waits long"),
        pytest.param((told(9, sampling=4), SLOW, *SURGE), Need.NOT_NEEDED, id="already"),
        pytest.param((told(9, retry_after_seconds=60), SLOW, *SURGE), Need.FORBIDDEN, id="banned"),
        pytest.param((SILENT, SLOW, *SURGE), Need.UNKNOWN, id="producer unseen"),
        pytest.param((told(9), SLOW, observation(Probe.OFFSETS, Code.TIMEOUT)), Need.UNKNOWN, id="Kafka unseen"),
        pytest.param((told(9), observation(Probe.PROCESSOR, Code.REFUSED)), Need.NOT_NEEDED, id="nobody counts"),
    ],
)
def test_when_fewer_trades_are_wanted(plant: ProducerBench, looks: tuple[Observation, ...], need: Need) -> None:
    plant.see(*looks)
    finding = ReduceFrequency(plant.tools, request(plant)).need()
    assert finding.need is need, finding.text


def test_it_is_announced_before_it_begins_and_proved_by_figures(plant: ProducerBench, board: Notices) -> None:
    plant.see(told(9), SLOW, *SURGE)
    asked = request(plant)
    rung = ReduceFrequency(plant.tools, asked)
    one_in = rung.need().facts["one_in"]
    began = plant.tools.now()
    rung.do()
    put = plant.tools.temporary.get("producer_sampling")
    assert put is not None
    assert (put.value, put.before, put.incident_id) == (str(one_in), "1", asked.incident_id)
    assert board.rows[0].start <= began - timedelta(seconds=4)
    assert board.rows[0].detail == f"1/{one_in} of the trades, in blocks of 200 trade ids"
    assert plant.controller.starts["btc_producer"] == 2

    assert not rung.proof().good, "it does not say yet that it samples"
    plant.see(told(9, sampling=one_in), offsets(40_000, 10_000, 30.0), offsets(40_100, 20_000, 20.0))
    assert rung.proof().good
    undone = rung.roll_back()
    assert undone is not None
    assert undone.facts["notices"] == [1]
    assert plant.tools.temporary.all() == ()


@pytest.mark.parametrize(
    ("later", "good"),
    [
        (offsets(40_100, 20_000, 9.0), True),
        (offsets(70_000, 60_000, 9.0), False),  # as many arrive as before
        (offsets(40_100, 9_999, 9.0), False),  # more wait than before
    ],
)
def test_what_proves_it(plant: ProducerBench, later: Observation, good: bool) -> None:
    plant.see(told(9), SLOW, *SURGE)
    rung = ReduceFrequency(plant.tools, request(plant))
    rung.need()
    plant.see(told(9, sampling=4), offsets(40_000, 10_000, 9.0), later)
    assert rung.proof().good is good


@pytest.mark.parametrize(
    ("look", "seconds"),
    [
        pytest.param(told(9), 5, id="level"),
        pytest.param(told(9, oldest_unacknowledged_seconds=40.0), 45, id="Kafka has not taken all yet"),
        pytest.param(told(9, state="behind"), None, id="earlier trades are being fetched"),
        pytest.param(told(9, state="starting"), None, id="nobody knows where it goes on"),
        pytest.param(SILENT, None, id="no answer"),
    ],
)
def test_no_trade_is_left_out_that_is_older_than_the_notice(
    plant: ProducerBench, board: Notices, look: Observation, seconds: float | None
) -> None:
    plant.see(look)
    if seconds is None:
        with pytest.raises(RungError, match="without having been announced"):
            begin_reduced_frequency(plant.tools, request(plant))
        assert (board.rows, plant.tools.temporary.all(), plant.controller.starts["btc_producer"]) == ([], (), 1)
        return
    begin_reduced_frequency(plant.tools, request(plant))
    assert (plant.tools.now() - board.rows[0].start).total_seconds() == pytest.approx(seconds)


def test_what_cannot_be_announced_does_not_begin(plant: ProducerBench, board: Notices) -> None:
    board.away = True
    with pytest.raises(RungError, match="nothing is left out"):
        begin_reduced_frequency(plant.tools, request(plant))
    assert plant.tools.temporary.all() == ()
    assert plant.controller.starts["btc_producer"] == 1


@pytest.mark.parametrize("died", ["nowhere", "before the restart", "before the notice", "after all"])
def test_ending_is_finished_wherever_it_was_interrupted(plant: ProducerBench, board: Notices, died: str) -> None:
    asked = request(plant)
    begin_reduced_frequency(plant.tools, asked, 3)
    plant.see(told(9, sampling=3))
    if died != "nowhere":
        plant.tools.temporary.remove("producer_sampling")
    if died in ("before the notice", "after all"):
        plant.see(told(9))
    if died == "after all":
        board.end(None, 1, plant.tools.now())
    starts = plant.controller.starts["btc_producer"]
    work = end_reduced_frequency(plant.tools, asked)
    assert (work is None) is (died == "after all")
    restarted = plant.controller.starts["btc_producer"] > starts
    assert restarted is (died in ("nowhere", "before the restart"))
    assert board.rows[0].until is not None
    assert plant.tools.temporary.all() == ()


def test_another_incidents_reduction_is_left_alone(plant: ProducerBench) -> None:
    other = TemporarySetting("producer_sampling", "3", "1", "INC-2000-0001", "health", "why", "then")
    plant.tools.temporary.put(other)
    plant.see(told(9, sampling=3))
    assert end_reduced_frequency(plant.tools, request(plant)) is None
    assert plant.tools.temporary.all() == (other,)


def test_it_is_not_put_back_into_a_ban(plant: ProducerBench) -> None:
    asked = request(plant)
    begin_reduced_frequency(plant.tools, asked, 3)
    plant.see(told(9, sampling=3, retry_after_seconds=60.0))
    with pytest.raises(RungError, match="waited out"):
        end_reduced_frequency(plant.tools, asked)
    assert plant.tools.temporary.get("producer_sampling") is not None


def test_a_producer_that_was_stopped_stays_stopped(plant: ProducerBench) -> None:
    asked = request(plant)
    begin_reduced_frequency(plant.tools, asked, 3)
    plant.controller.stop("btc_producer", 1)
    plant.see(SILENT)
    assert end_reduced_frequency(plant.tools, asked) is not None
    assert plant.controller.status("btc_producer").pid is None
