"""One rung that is being done: guardrails, work, proof, and the way back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from include.guardrails.holders import this_process
from include.guardrails.model import Action, ActionRequest, ActionState, Limits, Refused
from include.health.probes.base import one_line
from include.incidents.errors import IncidentStoreError, InvalidEntryError
from include.incidents.model import IncidentState
from include.playbook.ladder import Rung
from include.remediation.deadline import Call, DeadlineExceededError
from include.remediation.errors import RungError
from include.remediation.incident_moves import advance, take_over
from include.remediation.model import Proof, RungOutcome, RungReport, RungWork, RunRequest, Work
from include.remediation.tools import Tools
from include.remediation.waiting import until
from include.runtime.logging import get_logger

_MARGIN_SECONDS = 30.0  # of the lease, beyond what work, proof and the way back may take
_PROOF_SECONDS = 15.0  # one look that proves
_log = get_logger("remediation")


@dataclass(frozen=True, slots=True)
class _Ending:
    state: ActionState
    text: str
    facts: dict[str, Any]


_OUTCOME = {
    ActionState.SUCCEEDED: RungOutcome.DONE,
    ActionState.FAILED: RungOutcome.FAILED,
    ActionState.ROLLED_BACK: RungOutcome.ROLLED_BACK,
}


def action_request(rung: Rung, work: RungWork, request: RunRequest) -> ActionRequest:
    """What the guardrails are asked."""
    return ActionRequest(
        incident_id=request.incident_id,
        scenario=request.scenario,
        rung=rung.id,
        target=rung.target,
        requested_by=request.requested_by,
        run=request.run,
        holder=this_process(),
        limits=Limits(rung.cooldown_seconds, rung.hourly_budget),
        lease_seconds=rung.timeout_seconds * 2 + rung.verify_seconds + _MARGIN_SECONDS,
        services=work.services(),
        overrides=request.overrides,
        after_recovery=rung.after_recovery,
        named=request.names(rung.id),
    )


class Execution:
    """Does one rung whose need was found and, where that is asked for, approved."""

    def __init__(self, tools: Tools, request: RunRequest, rung: Rung, work: RungWork) -> None:
        self._tools, self._request, self._rung, self._work = tools, request, rung, work
        self._overdue: Call[Work] | None = None

    def run(self, why: str) -> RungReport:
        """Begin, do, prove, end. ``why``: the finding's text. Raises the store's errors if it cannot begin."""
        action = self._tools.guardrails.begin(action_request(self._rung, self._work, self._request))
        if isinstance(action, Refused):
            facts: dict[str, Any] = {"refusal": action.refusal.value}
            if action.until is not None:
                facts["until"] = action.until.isoformat()
            return RungReport(self._rung.id, RungOutcome.REFUSED, action.text, facts=facts)
        began = self._tools.clock.monotonic()
        take_over(self._tools.store, self._request, self._tools.now())
        advance(self._tools, self._request.incident_id, IncidentState.MITIGATING, f"{self._rung.action}: {why}")
        ending = self._do_and_prove()
        seconds = round(self._tools.clock.monotonic() - began, 3)
        self._end(action, ending, seconds)
        if ending.state is ActionState.SUCCEEDED:
            advance(self._tools, self._request.incident_id, IncidentState.MITIGATED, ending.text)
        return RungReport(self._rung.id, _OUTCOME[ending.state], ending.text, seconds, ending.facts, action.id)

    # --- parts ---------------------------------------------------------------------------------------------------
    def _do_and_prove(self) -> _Ending:
        call = Call(self._work.do, f"rung-{self._rung.id}")
        try:
            done = call.result(self._rung.timeout_seconds)
        except DeadlineExceededError:
            self._overdue = call
            text = f"It took longer than {self._rung.timeout_seconds:g} s; nobody waits for it any longer."
            return _Ending(ActionState.FAILED, text, {})
        except Exception as error:
            return self._back(f"It could not be done: {_words(error)}", {})
        proof = self._await_proof()
        facts = {**done.facts, **proof.facts}
        if proof.good:
            return _Ending(ActionState.SUCCEEDED, f"{done.text} {proof.text}", facts)
        waited = "" if proof.final else f" within {self._rung.verify_seconds:g} s"
        return self._back(f"{done.text} It has not helped{waited}: {proof.text}", facts)

    def _await_proof(self) -> Proof:
        return until(self._tools.clock, self._rung.verify_seconds, self._prove, lambda it: it.good or it.final)

    def _prove(self) -> Proof:
        try:
            return Call(self._work.proof, f"proof-{self._rung.id}").result(_PROOF_SECONDS)
        except DeadlineExceededError:
            return Proof(False, f"The look that would prove it took longer than {_PROOF_SECONDS:g} s.")
        except Exception as error:
            return Proof(False, f"The look that would prove it failed: {_words(error)}")

    def _back(self, text: str, facts: dict[str, Any]) -> _Ending:
        """Undo what did not help."""
        call = Call(self._work.roll_back, f"back-{self._rung.id}")
        try:
            undone: Work | None = call.result(self._rung.timeout_seconds)
        except DeadlineExceededError:
            return _Ending(ActionState.FAILED, f"{text} Undoing it took too long, and nobody waits for it.", facts)
        except Exception as error:
            return _Ending(ActionState.FAILED, f"{text} It could not be undone either: {_words(error)}", facts)
        if undone is None:
            return _Ending(ActionState.FAILED, text, facts)
        return _Ending(ActionState.ROLLED_BACK, f"{text} It was undone: {undone.text}", {**facts, **undone.facts})

    def _end(self, action: Action, ending: _Ending, seconds: float) -> None:
        """Have it on record; the processes of work that goes on unwatched stay in our hands until it is over."""
        end = partial(self._tools.guardrails.end, action.id, ending.state, ending.text)
        data = {**ending.facts, "seconds": seconds}
        try:
            end(data)
        except InvalidEntryError:  # a figure that the timeline does not take must not leave the action running
            _tolerant(partial(end, {"seconds": seconds}))
        except IncidentStoreError as error:
            _log.error("the end of an action could not be recorded", error=str(error))
        if self._overdue is not None:
            for service in action.services:
                _tolerant(partial(self._keep, action, service))
            self._overdue.when_over(partial(self._give_back, action))

    def _keep(self, action: Action, service: str) -> None:
        left = max(1.0, (action.expires_at - self._tools.now()).total_seconds())
        self._tools.guardrails.lease(service, holder=action.holder, purpose=f"{self._rung.id} (overdue)", seconds=left)

    def _give_back(self, action: Action) -> None:
        for service in action.services:
            _tolerant(partial(self._tools.guardrails.give_back, service, action.holder))


def _tolerant(command: Callable[[], object]) -> None:
    """What was done was done, although the store cannot take the word of it now; it expires, or is settled later."""
    try:
        command()
    except IncidentStoreError as error:
        _log.error("the store does not take the word of a remedy", error=str(error))


def _words(error: Exception) -> str:
    return str(error) if isinstance(error, RungError) else f"{type(error).__name__}: {one_line(error)}"
