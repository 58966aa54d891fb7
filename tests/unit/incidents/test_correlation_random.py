"""Whatever the verdicts: at most one open incident per scenario and target, the same decisions for the same story, and
what cannot be seen neither opens nor resolves.
"""

from __future__ import annotations

from functools import partial

import msgspec
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from include.health.observations import Probe
from include.health.verdicts import Blindness, Harm, Hop, Stall, State, Verdict
from include.incidents.decisions import Decision, Hold, Open, Resolve, Suppress
from include.incidents.model import Incident
from include.playbook.names import Cause, Component, ScenarioId, Severity, Symptom
from tests.support.correlating import HEALTHY, KAFKA_GONE, MYSQL_RIGHTS, NAMES, UNKNOWN, Desk, bad, record, suspect

VERDICTS = (
    HEALTHY,
    HEALTHY,
    UNKNOWN,
    suspect(),
    record(),
    record(Cause.STOPPED_ON_REQUEST),
    KAFKA_GONE,
    MYSQL_RIGHTS,
    msgspec.structs.replace(KAFKA_GONE, state=State.FLAPPING),
    msgspec.structs.replace(KAFKA_GONE, state=State.RECOVERING),
    bad(Cause.NO_PROGRESS, Symptom.NO_PROGRESS, direct=False),
    bad(Cause.LOCKS, Symptom.STALE_ROWS, direct=False),
    bad(Cause.SLOW_MYSQL_WRITES, Symptom.LAG_GROWS, direct=False, figures={"drain_seconds": 40.0}),
    bad(Cause.DISK_FULL, Symptom.MYSQL_DISK_FULL, host="No disk."),
    bad(Cause.BANNED, Symptom.RATE_LIMITED, severity=Severity.SEV_3),
)

# A story that fails is told as it was found: to make it smaller, hundreds are played again, for minutes. Who wants the
# smallest one adds Phase.shrink.
story_settings = partial(settings, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])

changes = st.tuples(st.sampled_from(sorted(NAMES)), st.sampled_from(VERDICTS))
moments = st.fixed_dictionaries(
    {
        "seconds": st.sampled_from([1, 2, 5, 12, 40, 70]),
        "changes": st.lists(changes, max_size=3),
        "stall": st.sampled_from([None, *Hop]),
        "blind": st.booleans(),
        "stale": st.sampled_from([None, 0.0, 70.0]),
        "restart": st.integers(0, 9),
    }
)
Moment = dict[str, object]


def play(desk: Desk, story: list[Moment]) -> None:
    """Let the desk see it; the rules hold at every moment."""
    for moment in story:
        if moment["restart"] == 0:
            desk.restart()
        changes: list[tuple[str, Verdict]] = moment["changes"]  # type: ignore[assignment]
        desk.show(**dict(changes))
        hop: Hop | None = moment["stall"]  # type: ignore[assignment]
        desk.stall = Stall(hop, desk.at, "It stands still.") if hop else None
        blind = Blindness(Probe.MYSQL_LEDGER, desk.at - 20, "No view.", tuple(ScenarioId))
        desk.blind = (blind,) if moment["blind"] else ()
        desk.harm = Harm(moment["stale"], (), 0.0, "Old.")  # type: ignore[arg-type]
        for _ in range(int(str(moment["seconds"]))):
            before = {view.incident.id: view for view in desk.views()}
            decided = desk.step()
            check(desk, before.keys(), decided)
            desk.clock.advance(1)


def check(desk: Desk, before: object, decided: object) -> None:
    open_ones = desk.store.open_incidents()
    assert len({(i.scenario, i.target) for i in open_ones}) == len(open_ones)
    faults = [i.scenario for i in open_ones if i.target is not Component.MONITORING]
    assert len(set(faults)) == len(faults)
    for decision in decided:  # type: ignore[attr-defined]
        state = desk.verdicts[decision.scenario].state
        if isinstance(decision, Open) and decision.target is not Component.MONITORING:
            assert state not in (State.UNKNOWN, State.HEALTHY)
        if isinstance(decision, Resolve):
            assert state is not State.UNKNOWN
            if decision.target is not Component.MONITORING:
                assert state is State.HEALTHY
        assert decision.text
        assert isinstance(decision, Hold | Suppress) or decision.reason


@story_settings(max_examples=40)
@given(st.lists(moments, min_size=1, max_size=12))
def test_the_rules_hold_in_any_story(story: list[Moment]) -> None:
    desk = Desk()
    play(desk, story)
    desk.blind, desk.stall, desk.harm = (), None, Harm()
    desk.show(**dict.fromkeys(NAMES, HEALTHY))
    desk.run(100)
    assert desk.store.open_incidents() == ()  # whatever it was, it ends
    assert desk.store.verify() == ()


@story_settings(max_examples=15)
@given(st.lists(moments, min_size=1, max_size=6))
def test_when_nothing_changes_any_more_nothing_more_is_decided(story: list[Moment]) -> None:
    desk = Desk()
    play(desk, story)
    desk.run(300)
    assert [d for d in desk.run(70) if not _may_come_again(d)] == []  # longer than a deadline


def _may_come_again(decision: Decision) -> bool:
    """What waits, and a record soon after an incident of its target: that is opened when ten minutes have passed."""
    return isinstance(decision, Hold | Suppress) or (isinstance(decision, Open) and decision.severity is Severity.SEV_4)


@story_settings(max_examples=10)
@given(st.lists(moments, min_size=1, max_size=8))
def test_the_same_story_gives_the_same_decisions(story: list[Moment]) -> None:
    one, other = Desk(), Desk()
    play(one, story)
    play(other, story)
    assert one.decisions == other.decisions
    assert [_fact(i) for i in one.opened()] == [_fact(i) for i in other.opened()]


@pytest.mark.parametrize("shown", [UNKNOWN])
def test_a_day_without_sight_ends_nothing(shown: Verdict) -> None:
    desk = Desk()
    desk.show(kafka=KAFKA_GONE)
    desk.run(2)
    desk.show(**dict.fromkeys(NAMES, shown))
    desk.run(600)
    assert desk.of("kafka").open


def _fact(incident: Incident) -> tuple[object, ...]:
    return incident.id, incident.state, incident.severity, incident.cause, incident.version
