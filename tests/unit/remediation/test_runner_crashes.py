"""A process that is killed at any line leaves a state that the next run settles; work that is overdue lets go later."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from include.guardrails.model import ActionState
from include.incidents.model import IncidentState
from include.playbook.ladder import RungId
from include.playbook.names import ScenarioId
from include.remediation import execution
from include.remediation.model import Finding, RungOutcome, Work
from include.remediation.runner import Remediation
from tests.support.remediating import Bench, ScriptedRung
from tests.support.waiting import wait_for

RUNG = RungId.RESTART_KAFKA


class Killed(BaseException):
    """As if the process had ended here: nothing catches it."""


def _no_action(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> ScriptedRung:
    return ScriptedRung(finding=Killed())  # type: ignore[arg-type]


def _at(target: str, name: str) -> Callable[[Bench, pytest.MonkeyPatch], ScriptedRung]:
    def prepare(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> ScriptedRung:
        def die(*_: object, **__: object) -> None:
            raise Killed

        monkeypatch.setattr(getattr(bench, target) if target else execution, name, die)
        return ScriptedRung()

    return prepare


PLACES: dict[str, tuple[Callable[[Bench, pytest.MonkeyPatch], ScriptedRung], list[ActionState]]] = {
    "look": (_no_action, []),
    "begin": (_at("guardrails", "begin"), []),
    "move to mitigating": (_at("", "advance"), [ActionState.ABANDONED]),
    "work": (lambda *_: ScriptedRung(work=Killed()), [ActionState.ABANDONED]),
    "proof": (lambda *_: ScriptedRung(proofs=[Killed()]), [ActionState.ABANDONED]),
    "way back": (
        lambda *_: ScriptedRung(work=ValueError("no"), undo=Killed()),
        [ActionState.ABANDONED],
    ),
    "end": (_at("guardrails", "end"), [ActionState.ABANDONED]),
}


@pytest.mark.parametrize("place", PLACES)
def test_the_next_run_goes_on_where_a_killed_one_ended(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    prepare, left = PLACES[place]
    incident = bench.incident()
    with monkeypatch.context() as patch:
        bench.use(RUNG, prepare(bench, patch))
        with pytest.raises(Killed):
            bench.remediation.run(bench.request(incident), RUNG)
    bench.clock.advance(200)  # the cooldown is over; the dead process is not waited for

    bench.use(RUNG, ScriptedRung())
    report = bench.remediation.run(bench.request(incident), RUNG)

    assert report.outcome is RungOutcome.DONE, report.text
    states = [action.state for action in bench.guardrails.actions()]
    assert states == [ActionState.SUCCEEDED, *left]
    assert not bench.guardrails.leases()
    assert bench.store.incident(incident.id).state is IncidentState.MITIGATED


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def _impatient(bench: Bench) -> Remediation:
    scenario = bench.tools.scenario(ScenarioId.KAFKA_DOWN)
    ladder = tuple(rung.model_copy(update={"timeout_seconds": 0.05}) for rung in scenario.ladder)
    object.__setattr__(bench.tools, "scenario", lambda _: scenario.model_copy(update={"ladder": ladder}))
    return Remediation(bench.tools)


def test_overdue_work_is_not_waited_for_and_keeps_its_process_until_it_ends(
    bench: Bench, gate: threading.Event
) -> None:
    def endless() -> Work:
        gate.wait(10)
        return Work("At last.")

    work = ScriptedRung(work=endless)
    bench.use(RUNG, work)
    report = _impatient(bench).run(bench.request(bench.incident()), RUNG)
    assert report.outcome is RungOutcome.FAILED
    assert "longer than 0.05 s" in report.text
    assert "roll_back" not in work.asked  # it may still be at it
    (action,) = bench.guardrails.actions()
    assert action.state is ActionState.FAILED
    (lease,) = bench.guardrails.leases()
    assert (lease.service, lease.holder) == ("kafka", action.holder)

    gate.set()
    wait_for(lambda: not bench.guardrails.leases(), 5, "the process is given back", interval=0.005)


def test_an_undoing_that_takes_too_long_is_not_waited_for(bench: Bench, gate: threading.Event) -> None:
    class Stuck(ScriptedRung):
        def roll_back(self) -> Work | None:
            gate.wait(10)
            return None

    bench.use(RUNG, Stuck(work=ValueError("no")))
    report = _impatient(bench).run(bench.request(bench.incident()), RUNG)
    assert report.outcome is RungOutcome.FAILED
    assert "Undoing it took too long" in report.text


def test_two_runs_at_once_do_it_once(bench: Bench) -> None:
    incident, ready = bench.incident(), threading.Barrier(2)
    done: list[str] = []

    class Meeting(ScriptedRung):
        def need(self) -> Finding:
            ready.wait(5)
            return super().need()

    def work() -> Work:
        done.append("once")
        return Work("Started.")

    outcomes: list[RungOutcome] = []
    bench.use(RUNG, Meeting(work=work), Meeting(work=work))

    def one(name: str) -> None:
        outcomes.append(bench.remediation.run(bench.request(incident, run=name), RUNG).outcome)

    threads = [threading.Thread(target=one, args=(name,)) for name in ("run-a", "run-b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sorted(outcomes) == [RungOutcome.DONE, RungOutcome.REFUSED]
    assert done == ["once"]
