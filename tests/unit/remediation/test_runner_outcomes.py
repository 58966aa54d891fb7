"""How a rung ends: every outcome, what was asked of the rung, and what the timeline tells."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from include.guardrails.model import ActionState
from include.incidents.errors import StoreUnavailableError
from include.incidents.model import EntryKind
from include.playbook.ladder import RungId
from include.playbook.names import Cause, ScenarioId
from include.remediation import assessment
from include.remediation.errors import RungError
from include.remediation.model import Finding, Need, Proof, RungOutcome, Work
from include.remediation.rungs_common import OnlyWhenNeeded, Validation
from tests.support.remediating import NEEDED, Bench, ScriptedRung, run

R, Ended = RungId.RESTART_KAFKA, RungOutcome
NOT_NEEDED = Finding(Need.NOT_NEEDED, "The broker answers.")
BAD = Proof(False, "It does not answer.", {"code": "timeout"})
KIND = EntryKind


class QuietRung(ScriptedRung, OnlyWhenNeeded):
    """Would change nothing where it is not needed."""


class LookingRung(ScriptedRung, Validation):
    """Only looks."""


@dataclass(frozen=True)
class Story:
    """``timeline``: what it tells of this rung, in order. ``steps``: what the rung was asked."""

    name: str
    outcome: RungOutcome
    steps: tuple[str, ...]
    timeline: tuple[EntryKind, ...]
    words: str
    rung: Callable[[], ScriptedRung] = ScriptedRung
    request: dict[str, Any] | None = None
    cause: Cause = Cause.PROCESS_GONE


def rung(kind: type[ScriptedRung] = ScriptedRung, **changes: Any) -> Callable[[], ScriptedRung]:
    return lambda: kind(**changes)


def found(need: Need) -> Callable[[], ScriptedRung]:
    return rung(finding=Finding(need, f"It is {need}."))


ACTED = (KIND.ACTION_STARTED, KIND.ACTION_ENDED)
STORIES = [
    Story("needed, done and proved", Ended.DONE, ("need", "do", "proof"), ACTED, "It was started. It answers."),
    Story(
        *(
            "proved at the third look",
            Ended.DONE,
            ("need", "do", *("proof",) * 3),
            ACTED,
            "It was started. It answers.",
        ),
        rung(proofs=[BAD, BAD, Proof(True, "It answers.")]),
    ),
    Story("not needed", Ended.NOT_NEEDED, ("need",), (KIND.DECIDED,), "The broker answers.", rung(finding=NOT_NEEDED)),
    Story("harmful now", Ended.FORBIDDEN, ("need",), (KIND.DECIDED,), "It is forbidden.", found(Need.FORBIDDEN)),
    Story("for people, by the look", Ended.BY_PEOPLE, ("need",), (KIND.DECIDED,), "by_people", found(Need.BY_PEOPLE)),
    Story("not to be seen", Ended.UNKNOWN, ("need",), (KIND.DECIDED,), "It is unknown.", found(Need.UNKNOWN)),
    Story(
        *("the look itself fails", Ended.UNKNOWN, ("need",), (KIND.DECIDED,), "ValueError: what?"),
        rung(finding=ValueError("what?")),
    ),
    Story(
        *("for people, by the cause", Ended.BY_PEOPLE, ("need",), (KIND.DECIDED,), "Port conflict: "),
        cause=Cause.PORT_CONFLICT,
    ),
    Story(
        *("a look tells what it sees although the cause is for people", Ended.NOT_NEEDED, ("need",)),
        *((KIND.DECIDED,), "The broker answers.", rung(LookingRung, finding=NOT_NEEDED)),
        cause=Cause.PORT_CONFLICT,
    ),
    Story(
        *(
            "a fact that the timeline refuses leaves the sentence",
            Ended.NOT_NEEDED,
            ("need",),
            (KIND.DECIDED,),
            "Fine.",
        ),
        rung(finding=Finding(Need.NOT_NEEDED, "Fine.", {"api_key": "x"})),
    ),
    Story("other rungs chosen", Ended.NOT_CHOSEN, (), (), "Only", request={"rungs": (RungId.VALIDATE_TOPICS,)}),
    Story("dry run", Ended.WOULD_DO, ("need",), (), "Would be done: ", request={"dry_run": True}),
    Story(
        *("dry run while nothing is open", Ended.WOULD_DO, ("need",), (), "Would be done: "),
        request={"dry_run": True, "incident_id": ""},
    ),
    Story(
        *("dry run of what is not needed", Ended.NOT_NEEDED, ("need",), (), "The broker answers."),
        rung(finding=NOT_NEEDED),
        {"dry_run": True},
    ),
    Story(
        *("a person wants it all the same", Ended.DONE, ("need", "do", "proof"), ACTED, "It was started."),
        rung(finding=NOT_NEEDED),
        {"rungs": (R,), "requested_by": "ada"},
    ),
    Story(
        *("a person wants the whole ladder, each if needed", Ended.NOT_NEEDED, ("need",), (KIND.DECIDED,), "answers"),
        rung(finding=NOT_NEEDED),
        {"requested_by": "ada"},
    ),
    Story(
        *("health names it, and it is not needed", Ended.NOT_NEEDED, ("need",), (KIND.DECIDED,), "answers"),
        rung(finding=NOT_NEEDED),
        {"rungs": (R,)},
    ),
    Story(
        *("a person names what would change nothing", Ended.NOT_NEEDED, ("need",), (KIND.DECIDED,), "answers"),
        rung(QuietRung, finding=NOT_NEEDED),
        {"rungs": (R,), "requested_by": "ada"},
    ),
    *(
        Story(f"a person wants what is {need}", Ended(need), ("need",), (KIND.DECIDED,), "It is", found(need), wish)
        for wish in [{"rungs": (R,), "requested_by": "ada", "overrides": True}]
        for need in (Need.FORBIDDEN, Need.BY_PEOPLE, Need.UNKNOWN)
    ),
    Story(
        *("cannot be done", Ended.FAILED, ("need", "do", "roll_back"), ACTED, "It could not be done: no room"),
        rung(work=RungError("no room")),
    ),
    Story(
        *("cannot be done, by surprise", Ended.FAILED, ("need", "do", "roll_back"), ACTED, "done: KeyError: 'x'"),
        rung(work=KeyError("x")),
    ),
    Story(
        *("does not help, and is undone", Ended.ROLLED_BACK, (), ACTED, "It was undone: Moved back."),
        rung(proofs=[BAD], undo=Work("Moved back.")),
    ),
    Story(
        "does not help", Ended.FAILED, (), ACTED, "has not helped within 60 s: It does not answer.", rung(proofs=[BAD])
    ),
    Story(
        *("the last word is not waited for", Ended.FAILED, ("need", "do", "proof", "roll_back"), ACTED, "helped: It"),
        rung(proofs=[replace(BAD, final=True)]),
    ),
    Story(
        *("does not help, and cannot be undone", Ended.FAILED, (), ACTED, "could not be undone either: stuck"),
        rung(proofs=[BAD], undo=RungError("stuck")),
    ),
    Story(
        *("the proof raises until it is good", Ended.DONE, ("need", "do", "proof", "proof"), ACTED, "It answers."),
        rung(proofs=[OSError("reset"), Proof(True, "It answers.")]),
    ),
]


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
def test_outcomes(bench: Bench, story: Story) -> None:
    incident, work = bench.incident(cause=story.cause), story.rung()
    work.on_proof = lambda: bench.clock.advance(10)  # so that the time for the proof passes
    bench.use(R, work)

    report = bench.remediation.run(bench.request(incident, **story.request or {}), R)

    assert report.outcome is story.outcome, report.text
    assert story.words in report.text
    if story.steps or not story.timeline:
        assert tuple(work.asked) == story.steps
    told = [e.kind for e in bench.store.timeline(incident.id)[1:] if e.kind is not KIND.STATE_CHANGED]
    assert tuple(told) == story.timeline
    assert not bench.guardrails.leases()
    assert all(action.state is not ActionState.RUNNING for action in bench.guardrails.actions())


def test_figures_and_times_are_in_the_report_and_on_record(bench: Bench) -> None:
    work = ScriptedRung(on_proof=lambda: bench.clock.advance(1.5))
    report = run(bench, work)
    (action,) = bench.guardrails.actions()
    assert (report.seconds, report.facts, report.action_id) == (1.5, {"pid": 7}, action.id)
    assert (action.state, action.text, action.data) == (ActionState.SUCCEEDED, report.text, {"pid": 7, "seconds": 1.5})


def test_a_figure_that_the_timeline_refuses_does_not_leave_the_action_running(bench: Bench) -> None:
    report = run(bench, ScriptedRung(work=Work("It was started.", {"db_password": "x"})))
    (action,) = bench.guardrails.actions()
    assert report.outcome is Ended.DONE
    assert (action.state, action.data) == (ActionState.SUCCEEDED, {"seconds": 0.0})


def test_a_guardrail_refuses(bench: Bench) -> None:
    run(bench, ScriptedRung())
    work = ScriptedRung()
    report = run(bench, work, run="run-2")
    assert report.outcome is Ended.REFUSED
    assert report.facts["refusal"] == "cooldown"
    assert work.asked == ["need"]
    dry = run(bench, ScriptedRung(), run="run-3", dry_run=True)
    assert dry.outcome is Ended.REFUSED


# --- A store that is away ----------------------------------------------------------------------------------------
def test_without_the_store_nothing_is_done(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    work = ScriptedRung()
    bench.use(R, work)
    request = bench.request(bench.incident())
    _away(bench.guardrails, "begin", monkeypatch)
    with pytest.raises(StoreUnavailableError):
        bench.remediation.run(request, R)
    assert work.asked == ["need"]


def test_what_was_done_is_reported_although_the_store_went_away(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def go_away() -> Work:
        _away(bench.guardrails, "end", monkeypatch)
        _away(bench.store, "incident", monkeypatch)
        return Work("It was started.")

    assert run(bench, ScriptedRung(work=go_away)).outcome is Ended.DONE


def test_a_look_that_takes_too_long_is_unknown(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assessment, "LOOK_SECONDS", 0.05)
    gate = threading.Event()

    class Slow(ScriptedRung):
        def need(self) -> Finding:
            gate.wait(5)
            return NEEDED

    try:
        report = run(bench, Slow())
    finally:
        gate.set()
    assert report.outcome is Ended.UNKNOWN


# --- Preview -----------------------------------------------------------------------------------------------------
def test_the_preview_tells_of_every_rung_and_changes_nothing(bench: Bench) -> None:
    incident = bench.incident()
    ladder = bench.tools.scenario(ScenarioId.KAFKA_DOWN).ladder
    works = {each.id: ScriptedRung(finding=NOT_NEEDED) for each in ladder}
    works[R] = ScriptedRung()
    works[RungId.VALIDATE_TOPICS] = ScriptedRung(finding=Finding(Need.UNKNOWN, "The broker does not tell."))
    for rung_id, work in works.items():
        bench.use(rung_id, work)
    before = bench.store.timeline(incident.id), bench.store.incident(incident.id)

    reports = bench.remediation.preview(replace(bench.request(incident), dry_run=True))

    assert [report.rung for report in reports] == [each.id for each in ladder]
    told = {report.rung: report.outcome for report in reports}
    assert told[R] is Ended.WOULD_DO
    assert told[RungId.VALIDATE_TOPICS] is Ended.UNKNOWN
    assert set(told.values()) == {Ended.WOULD_DO, Ended.UNKNOWN, Ended.NOT_NEEDED}
    assert (bench.store.timeline(incident.id), bench.store.incident(incident.id)) == before
    assert all("do" not in work.asked for work in works.values())


def test_a_rung_of_another_ladder_is_refused(bench: Bench) -> None:
    with pytest.raises(RungError, match="no rung restart_mysql"):
        bench.remediation.run(bench.request(bench.incident()), RungId.RESTART_MYSQL)


def _away(target: object, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise StoreUnavailableError("away")

    monkeypatch.setattr(target, name, refuse)
