"""One service over time, as the process host tells of it."""

from __future__ import annotations

import pytest

from include.health.config import DetectorConfig
from include.health.observations import Probe, ProcessFacts
from include.health.rules.process_findings import held, process_gone, restarted
from include.health.rules.process_watch import Life, ProcessWatch
from include.playbook.names import Cause, Severity
from tests.support.observing import ended, ok, processes, runs, stopped


def watched(*story: tuple[float, ProcessFacts]) -> ProcessWatch:
    """Of ``kafka``: what is seen at which second."""
    watch = ProcessWatch("kafka", DetectorConfig())
    for at, facts in story:
        watch.observe(at, processes(kafka=facts))
    return watch


@pytest.mark.parametrize(
    ("facts", "life"),
    [
        (runs(), Life.ALIVE),
        (runs(state="starting"), Life.ALIVE),
        (ended(), Life.GONE),
        (ended(state="fatal"), Life.GONE),
        (ended(state="backoff"), Life.GONE),
        (stopped(), Life.HELD),
        (stopped("stopping"), Life.HELD),
        (ProcessFacts(state="exited", on_request=True), Life.HELD),  # supervision remembers the wish
        (ProcessFacts(state="stopped"), Life.HELD),
        (ProcessFacts(state="unknown"), Life.UNSEEN),
    ],
)
def test_lives(facts: ProcessFacts, life: Life) -> None:
    assert watched((1.0, facts)).life is life


def test_nothing_is_made_of_other_services_or_probes() -> None:
    watch = watched()
    assert not watch.observe(1.0, processes(mysql=ended()))
    assert not watch.observe(1.0, ok(Probe.PROCESSES))
    assert watch.life is Life.UNSEEN


def test_only_news_is_a_change() -> None:
    watch = watched((1.0, runs(age=100.0)))
    assert not watch.observe(2.0, processes(kafka=runs(age=101.0)))
    assert watch.observe(3.0, processes(kafka=ended()))
    assert not watch.observe(4.0, processes(kafka=ended()))
    assert watch.observe(5.0, processes(kafka=runs(200, 0.5)))
    assert (watch.restarted_at, watch.restarted_on_request, watch.exit_code) == (5.0, False, -9)


def test_a_restart_on_request_is_known_as_such() -> None:
    watch = watched((1.0, runs()), (2.0, stopped()), (3.0, runs(200, 0.5)))
    assert watch.restarted_on_request
    watch.observe(9.0, processes(kafka=runs(300, 0.5)))
    assert not watch.restarted_on_request


def test_a_start_ends_with_the_first_answer_or_after_a_while() -> None:
    watch = watched((1.0, runs()), (5.0, runs(200, 0.5)))
    assert watch.starting(24.0)
    assert not watch.starting(26.0)
    watch.served()
    assert not watch.starting(6.0)
    watch.observe(7.0, processes(kafka=runs(300, 0.5)))
    assert watch.starting(8.0)


def test_a_process_that_was_there_already_is_not_starting() -> None:
    assert not watched((1.0, runs(age=100.0))).starting(2.0)
    assert watched((1.0, runs(age=3.0))).starting(2.0)
    assert not watched((1.0, runs(age=3.0))).starting(19.0)


def test_a_loop() -> None:
    starts = [(float(at), runs(100 + at, 0.5)) for at in range(0, 50, 10)]
    watch = watched(*starts)
    assert watch.looping(41.0)
    assert not watch.starting(41.0)  # it has had its chances
    assert not watch.looping(75.0)
    assert not watched(*starts[:3]).looping(21.0)


def test_findings() -> None:
    watch = watched((1.0, runs()), (2.0, ended(137)))
    gone = process_gone(watch, "Nobody listens", 2.0)
    assert (gone.cause, gone.reason) == (Cause.PROCESS_GONE, "Nobody listens; its process ended with exit code 137.")
    assert process_gone(watch, "Nobody listens", 2.0, Cause.PORT_CONFLICT).cause is Cause.PORT_CONFLICT
    assert watched((1.0, ended(None))).ending == "its process has ended"
    assert held(watch) is None
    never = held(watched((1.0, ProcessFacts(state="stopped"))))
    assert never is not None
    assert (never.reason, never.severity) == ("kafka was never started.", Severity.SEV_4)


@pytest.mark.parametrize(
    ("story", "reason"),
    [
        (((1.0, runs()), (5.0, runs(200, 0.5))), "kafka was started again a moment ago."),
        (((1.0, runs()), (3.0, stopped()), (5.0, runs(200, 0.5))), "kafka was started again on request a moment ago."),
        (((5.0, runs(200, 0.5)),), "kafka was started a moment ago."),
        (((1.0, runs()),), None),
        (((1.0, runs()), (5.0, ended())), None),
    ],
)
def test_records_of_a_start(story: tuple[tuple[float, ProcessFacts], ...], reason: str | None) -> None:
    finding = restarted(watched(*story), 6.0)
    assert (finding and finding.reason) == reason
    assert restarted(watched(*story), 60.0) is None


def test_a_restart_that_is_part_of_an_incident_is_no_record() -> None:
    watch = watched((1.0, runs()), (5.0, runs(200, 0.5)))
    watch.served()
    watch.accounted()
    assert restarted(watch, 6.0) is None
