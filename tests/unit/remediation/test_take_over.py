"""Whose an incident is that a person reported: the run in which they did so has it, and the watch leaves it there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from include.health.verdicts import Assessment, State, Verdict
from include.incidents.errors import StoreUnavailableError
from include.incidents.keeper import IncidentKeeper
from include.incidents.model import EntryKind, IncidentState
from include.incidents.situation import situation_of
from include.playbook.ladder import RungId
from include.playbook.names import Cause, Component, ScenarioId
from include.remediation.incident_moves import take_over
from include.remediation.model import HEALTH, Finding, Need, RungOutcome
from tests.support.remediating import Bench, ScriptedRung

K = ScenarioId.KAFKA_DOWN
R = RungId.RESTART_KAFKA
HEALTHY = Finding(Need.NOT_NEEDED, "The broker answers.")
RUN = "remediate_kafka_down/manual__1"


def due(bench: Bench) -> bool:
    """Whether the watch would hand the incident over, with the broker away while it starts again."""
    down = Verdict(
        scenario=K,
        target=Component.KAFKA,
        state=State.UNHEALTHY,
        cause=Cause.PROCESS_GONE,
        reason="It is gone.",
        since=0.0,
    )
    views = IncidentKeeper(bench.store, bench.clock).views()
    return situation_of(K, Assessment(at=0.0, verdicts={K: down}), views).needs_hand_over


@dataclass(frozen=True)
class Story:
    """``opened``: by whom; ``wish``: of the run; ``due``: whether it is handed over after the run's rung."""

    name: str
    due: bool
    opened: str = "ada"
    wish: dict[str, Any] = field(default_factory=dict)
    finding: Finding = HEALTHY


STORIES = [
    Story("a healthy broker is restarted by whoever reported it", False),
    Story("the rung does nothing: a fault that comes is for the machine", True, wish={"rungs": ()}),
    Story("it cannot be seen, so nothing is done", True, finding=Finding(Need.UNKNOWN, "Nobody knows.")),
    Story("the watch opened it", True, opened="watch"),
    Story("somebody else reported it", True, opened="bob"),
    Story("a run of the health check", True, wish={"requested_by": HEALTH}, finding=Finding(Need.NEEDED, "Gone.")),
    Story("a dry run", True, wish={"dry_run": True}),
    Story("another scenario's run", True, wish={"scenario": ScenarioId.KAFKA_LAG}),
]


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
def test_what_a_person_reports_and_works_on_is_not_handed_over_again(bench: Bench, story: Story) -> None:
    incident = bench.incident(reported_by=story.opened, cause=Cause.UNKNOWN)
    bench.use(R, ScriptedRung(story.finding))
    assert due(bench)
    request = bench.request(incident, **{"requested_by": "ada", "run": RUN, "rungs": (R,)} | story.wish)
    if request.scenario is K:
        bench.remediation.run(request, R)
    else:
        take_over(bench.store, request, bench.tools.now())
    assert due(bench) is story.due
    told = [entry for entry in bench.store.timeline(incident.id) if entry.kind is EntryKind.HANDED_OVER]
    assert [(entry.actor, entry.text) for entry in told] == (
        [] if story.due else [("ada", f"Handed over for kafka_down: {RUN}")]
    )


def test_it_is_theirs_before_anything_is_touched(bench: Bench) -> None:
    incident = bench.incident(reported_by="ada")
    seen: list[bool] = []
    rung = ScriptedRung(HEALTHY)
    work, rung.work = rung.work, lambda: (seen.append(due(bench)), work)[1]  # type: ignore[assignment,return-value]
    bench.use(R, rung)
    report = bench.remediation.run(bench.request(incident, requested_by="ada", run=RUN, rungs=(R,)), R)
    assert (report.outcome, seen) == (RungOutcome.DONE, [False])


def test_when_it_comes_back_by_itself_the_machine_has_it(bench: Bench) -> None:
    incident = bench.incident(reported_by="ada")
    request = bench.request(incident, requested_by="ada", run=RUN)
    first = take_over(bench.store, request, bench.tools.now())
    assert first is not None
    again = bench.request(incident, requested_by="ada", run="remediate_kafka_down/manual__2")
    assert take_over(bench.store, again, bench.tools.now()) == first  # one run has it
    for to in (IncidentState.VERIFYING, IncidentState.RESOLVED):
        now = bench.store.incident(incident.id)
        bench.store.move(now.id, to, version=now.version, actor="watch", reason="well", event_at=bench.tools.now())
    assert take_over(bench.store, request, bench.tools.now()) is None  # it is over
    assert bench.incident(reported_by="watch").id == incident.id
    assert due(bench)
    assert take_over(bench.store, request, bench.tools.now()) is None


def test_a_store_that_is_away_keeps_no_remedy_back(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    incident = bench.incident(reported_by="ada")

    def away(*_: object, **__: object) -> None:
        raise StoreUnavailableError("it does not answer")

    monkeypatch.setattr(bench.store, "hand_over", away)
    assert take_over(bench.store, bench.request(incident, requested_by="ada"), bench.tools.now()) is None
