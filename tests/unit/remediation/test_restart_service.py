"""Rungs that restart a process: when one is needed, how it is stopped, and whose stop it was. Real processes."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from include.guardrails.model import Action, ActionRequest, ActionState, Limits
from include.playbook.ladder import RungId
from include.playbook.names import Cause, Component, ScenarioId
from include.remediation.errors import RungError
from include.remediation.model import Finding, Need, Proof, RunRequest
from include.remediation.rungs_common import RestartService, is_frozen
from include.services.controller import ServiceOutcome, ServiceState, ServiceStatus
from tests.support.remediating import Bench
from tests.support.waiting import wait_for

ANSWERS = Finding(Need.NOT_NEEDED, "It answers.")
HANGS = Finding(Need.NEEDED, "It does not answer.")
TAKEN = Finding(Need.BY_PEOPLE, "Its port is taken.")


class Restart(RestartService):
    service = "kafka"
    stop_seconds = 5.0

    def __init__(self, bench: Bench, found: Finding = ANSWERS, hindered: Finding | None = None) -> None:
        super().__init__(bench.tools, RunRequest("INC", ScenarioId.KAFKA_DOWN, Cause.UNKNOWN, "health", "run-1"))
        self.found, self.hindered, self.looks = found, hindered, 0

    def answers(self) -> Finding:
        self.looks += 1
        return self.found

    def obstacle(self) -> Finding | None:
        return self.hindered

    def proof(self) -> Proof:
        return self.ended_again("") or Proof(True, "It answers.")


def start(bench: Bench) -> int:
    bench.tools.controller.start("kafka", 5)
    return _pid(bench)


def killed(bench: Bench) -> None:
    os.kill(start(bench), signal.SIGKILL)
    wait_for(lambda: bench.tools.controller.status("kafka").pid is None, 5, interval=0.005)


def stopped(bench: Bench) -> None:
    start(bench)
    bench.tools.controller.stop("kafka", 5)


def left_by(state: ActionState | None) -> Callable[[Bench], None]:
    """Stopped while an action of ours was at it, which ended so (``None``: it still runs)."""

    def leave(bench: Bench) -> None:
        start(bench)
        action = begun(bench)
        bench.tools.controller.stop("kafka", 5)
        if state is not None:
            bench.guardrails.end(action.id, state, "it ended")

    return leave


def begun(bench: Bench) -> Action:
    bench.clock.advance(time.time() - bench.clock.time_ms() / 1000 + 1)  # processes have times of their own
    request = ActionRequest(
        bench.incident().id,
        *(
            ScenarioId.KAFKA_DOWN,
            RungId.RESTART_KAFKA,
            Component.KAFKA,
            "health",
            "run-0",
            "gone:1:1",
            Limits(0, 9),
            60,
        ),
        services=("kafka",),
    )
    action = bench.guardrails.begin(request)
    assert isinstance(action, Action)
    return action


@pytest.mark.parametrize(
    ("before", "found", "hindered", "need", "words"),
    [
        (start, ANSWERS, None, Need.NOT_NEEDED, "It answers."),
        (start, HANGS, None, Need.NEEDED, "It does not answer."),
        (start, HANGS, TAKEN, Need.BY_PEOPLE, "Its port is taken."),
        (start, ANSWERS, TAKEN, Need.NOT_NEEDED, "It answers."),
        (start, Finding(Need.UNKNOWN, "Blind."), TAKEN, Need.UNKNOWN, "Blind."),
        (lambda bench: None, ANSWERS, None, Need.NEEDED, "never started"),
        (killed, ANSWERS, None, Need.NEEDED, "ended by signal 9"),
        (killed, ANSWERS, TAKEN, Need.BY_PEOPLE, "Its port is taken."),
        (stopped, HANGS, None, Need.NOT_NEEDED, "stopped on request"),
        (left_by(ActionState.ABANDONED), HANGS, None, Need.NEEDED, "not started again"),
        (left_by(ActionState.FAILED), HANGS, None, Need.NEEDED, "not started again"),
        (left_by(None), HANGS, None, Need.NEEDED, "not started again"),
        (left_by(ActionState.SUCCEEDED), HANGS, None, Need.NOT_NEEDED, "stopped on request"),
    ],
)
def test_need(  # noqa: PLR0917 - one row of the table
    bench: Bench, before: Callable[[Bench], object], found: Finding, hindered: Finding | None, need: Need, words: str
) -> None:
    before(bench)
    seen = Restart(bench, found, hindered).need()
    assert (seen.need, words in seen.text) == (need, True), seen.text


def test_a_host_that_is_away_says_nothing_about_its_processes(bench: Bench) -> None:
    bench.tools.controller.unreachable = True  # type: ignore[attr-defined]
    assert Restart(bench).need().need is Need.UNKNOWN
    with pytest.raises(RungError, match="process host does not answer"):
        Restart(bench).do()


@pytest.mark.parametrize("look_first", [True, False])
@pytest.mark.parametrize(
    ("found", "outcome"),
    [(ANSWERS, ServiceOutcome.STOPPED), (HANGS, ServiceOutcome.KILLED)],
    ids=["answers", "hangs"],
)
def test_what_answers_is_given_time_and_what_hangs_is_not(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, look_first: bool, found: Finding, outcome: ServiceOutcome
) -> None:
    pid, patience = start(bench), list[float]()
    stop = bench.tools.controller.stop

    def noted(name: str, timeout: float) -> ServiceOutcome:
        patience.append(timeout)
        stop(name, timeout)
        return outcome

    monkeypatch.setattr(bench.tools.controller, "stop", noted)
    rung = Restart(bench, found)
    if look_first:
        rung.need()
    work = rung.do()
    assert patience == [5.0 if found is ANSWERS else 1.0]
    assert rung.looks == 1  # a hung process has let us wait once already
    assert work.facts == {"stopped": outcome.value, "started": "started", "pid": _pid(bench)}
    assert _pid(bench) != pid
    assert rung.proof().good


def test_a_suspended_process_is_not_waited_for(bench: Bench) -> None:
    pid = start(bench)
    os.kill(pid, signal.SIGSTOP)
    wait_for(lambda: is_frozen(pid), 5, interval=0.005)
    begin = time.monotonic()
    work = Restart(bench, HANGS).do()
    assert time.monotonic() - begin < 1.0
    assert work.facts["stopped"] == "killed"
    assert _pid(bench) != pid


def test_doing_it_twice_does_no_harm(bench: Bench) -> None:
    rung = Restart(bench, HANGS)
    rung.do()
    rung.do()
    assert bench.tools.controller.status("kafka").state is ServiceState.RUNNING


def test_a_process_that_ended_again_is_not_waited_for(bench: Bench) -> None:
    killed(bench)
    proof = Restart(bench).proof()
    assert (proof.good, proof.final) == (False, True)
    assert "kafka has ended again: it was ended by signal 9" in proof.text


@pytest.mark.parametrize(
    ("age", "left"), [(0.0, 6.0), (4.0, 2.0), (9.0, 0.0), (-30.0, 6.0)], ids=["new", "young", "old", "a clock ahead"]
)
def test_a_process_may_be_starting_no_longer_than_it_is_allowed(bench: Bench, age: float, left: float) -> None:
    start(bench)
    started = bench.tools.controller.status("kafka").started_at
    assert started is not None
    bench.clock.advance((started - bench.tools.now()).total_seconds() + age)
    assert Restart(bench).seconds_left_to_start(6.0) == pytest.approx(left, abs=0.01)


def test_a_process_that_is_not_collected_yet_is_waited_for(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its last words are in its log only when its host has collected it."""
    killed(bench)
    status, looks = bench.tools.controller.status, list[str]()

    def slowly(name: str) -> ServiceStatus:
        looks.append(name)
        return replace(status(name), exit_code=None) if len(looks) < 3 else status(name)

    monkeypatch.setattr(bench.tools.controller, "status", slowly)
    assert "ended by signal 9" in Restart(bench).proof().text


def test_a_start_that_fails_tells_why(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    controller = bench.tools.controller
    controller._slots["kafka"].argv = ["sh", "-c", "echo no room left; exit 3"]  # type: ignore[attr-defined]
    with pytest.raises(RungError, match=r"exit code 3.*no room left"):
        Restart(bench).do()


def _pid(bench: Bench) -> int:
    pid = bench.tools.controller.status("kafka").pid
    assert pid is not None
    return pid
