"""What rungs have in common: those that restart a process, and those that only look."""

from __future__ import annotations

import abc
import contextlib

import psutil

from include.guardrails.model import ActionState
from include.health.observations import Observation, Outcome
from include.health.probes.base import one_line
from include.remediation.errors import RungError
from include.remediation.model import Finding, Need, Proof, RunRequest, Work
from include.remediation.service_log import settled_status, why_it_ended
from include.remediation.tools import Tools
from include.services.controller import ServiceOutcome, ServiceState, ServiceStatus
from include.services.errors import HostUnreachableError, ServicesError, UnknownServiceError
from include.services.process_table import processes_are_here

HUNG_STOP_SECONDS = 1.0  # a process that does not answer will not heed SIGTERM either
FROZEN_STOP_SECONDS = 0.1  # one that is suspended cannot


def blind_finding(observation: Observation, what: str) -> Finding:
    """What cannot be seen leads to no action."""
    text = f"{what} cannot be seen: {observation.error or observation.code.value}. Nothing is done."
    return Finding(Need.UNKNOWN, text, facts_of(observation))


def facts_of(observation: Observation) -> dict[str, object]:
    """What a look saw, as JSON values."""
    facts: dict[str, object] = {"probe": observation.probe.value, "outcome": observation.outcome.value}
    facts["code"] = observation.code.value
    if observation.error:
        facts["error"] = observation.error
    if observation.number is not None:
        facts["number"] = observation.number
    return facts


class RestartService(abc.ABC):
    """Base of the rungs that have a process running and answering again.

    A subclass names the ``service`` and judges a live process in :meth:`answers`; it may add :meth:`obstacle` (why a
    start would be in vain, or do harm) and :meth:`proof`. Stopping and starting again after a crash at any line is
    safe: a stop that was not followed by its start is recognised as ours by the action on record.
    """

    service: str
    stop_seconds = 10.0  # for a graceful end of a process that answers
    hung_stop_seconds = HUNG_STOP_SECONDS
    start_seconds = 10.0

    def __init__(self, tools: Tools, request: RunRequest) -> None:
        self.tools, self.request = tools, request
        self._seen: tuple[int | None, Need] | None = None  # process and finding of the last look at the need

    # --- for subclasses ------------------------------------------------------------------------------------------
    @abc.abstractmethod
    def answers(self) -> Finding:
        """Of a process that lives: ``NOT_NEEDED`` if it answers, ``NEEDED`` if it does not; or another need."""

    def obstacle(self) -> Finding | None:
        """Why it must not be started now (``BY_PEOPLE``, ``FORBIDDEN``, ``UNKNOWN``); asked before any restart."""
        return None

    @abc.abstractmethod
    def proof(self) -> Proof:
        """See :class:`include.remediation.model.RungWork`."""

    # --- RungWork ------------------------------------------------------------------------------------------------
    def need(self) -> Finding:
        """Gone, or does not answer. A process that somebody stopped deliberately stays stopped."""
        try:
            status = settled_status(self.tools.controller, self.service)
        except (HostUnreachableError, UnknownServiceError) as error:
            return Finding(Need.UNKNOWN, f"The process host does not tell about {self.service}: {one_line(error)}")
        finding = self._of_process(status)
        if finding.need is Need.NEEDED and (obstacle := self.obstacle()) is not None:
            return obstacle
        self._seen = (status.pid, finding.need)
        return finding

    def services(self) -> tuple[str, ...]:
        """See :class:`include.remediation.model.RungWork`."""
        return (self.service,)

    def do(self) -> Work:
        """Stop what does not answer, start it."""
        try:
            stopped = self._stop()
            started = self.tools.controller.start(self.service, self.start_seconds)
            status = self.tools.controller.status(self.service)
        except ServicesError as error:
            raise RungError(one_line(error)) from error
        facts = {"stopped": stopped.value, "started": started.value, "pid": status.pid}
        how = {
            ServiceOutcome.KILLED: "was killed, as it did not heed the request to end, and started again",
            ServiceOutcome.STOPPED: "was stopped and started again",
        }
        return Work(f"{self.service} {how.get(stopped, 'was started')}; process id {status.pid}.", facts)

    def roll_back(self) -> Work | None:
        """A restart has no way back."""
        return None

    # --- for subclasses, ready made ------------------------------------------------------------------------------
    def pid(self) -> int | None:
        """Of its process now. Raises :class:`ServicesError`."""
        return self.tools.controller.status(self.service).pid

    def is_suspended(self) -> bool:
        """Whether its process is, and so will never answer. Raises :class:`ServicesError`."""
        return is_suspended(self.tools, self.tools.controller.status(self.service))

    def seconds_left_to_start(self, allowed: float) -> float:
        """How much longer a process that does not answer yet may just be starting; never more than ``allowed``."""
        started = self.tools.controller.status(self.service).started_at
        if started is None:
            return 0.0
        age = max(0.0, (self.tools.now() - started).total_seconds())  # the host's clock may be ahead of ours
        return max(0.0, allowed - age)

    def ended_again(self, ready: str) -> Proof | None:
        """The final word on a process that has ended since its start; ``ready``: see :func:`last_run`."""
        status = settled_status(self.tools.controller, self.service)
        if status.pid is not None:
            return None
        words = why_it_ended(self.tools.controller, self.service, ready)
        said = f" Its last word: {words}" if words else ""
        facts = {"exit_code": status.exit_code, "last_word": words}
        return Proof(False, f"{self.service} has ended again: {_ending(status)}.{said}", facts, final=True)

    # --- parts ---------------------------------------------------------------------------------------------------
    def _of_process(self, status: ServiceStatus) -> Finding:
        facts = {"state": status.state.value, "pid": status.pid, "exit_code": status.exit_code}
        if status.pid is not None and status.state is not ServiceState.STOPPING:
            found = self.answers()
            return Finding(found.need, found.text, {**facts, **found.facts})
        if status.stopped_on_request and not self._stopped_by_us(status):
            text = f"{self.service} was stopped on request, and stays so until a person starts it."
            return Finding(Need.NOT_NEEDED, text, facts)
        return Finding(Need.NEEDED, f"{self.service} has no process: {_ending(status)}.", facts)

    def _stopped_by_us(self, status: ServiceStatus) -> bool:
        """Whether a remedy stopped it and did not come to start it again."""
        actions = self.tools.guardrails.actions(since=status.started_at, limit=50)
        ours = [action for action in actions if self.service in action.services]
        return bool(ours) and ours[0].state is not ActionState.SUCCEEDED

    def _stop(self) -> ServiceOutcome:
        status = self.tools.controller.status(self.service)
        if status.pid is None:
            return ServiceOutcome.ALREADY_STOPPED
        return self.tools.controller.stop(self.service, self._patience(status))

    def _patience(self, status: ServiceStatus) -> float:
        if is_suspended(self.tools, status):
            return FROZEN_STOP_SECONDS
        pid = status.pid
        need = self._seen[1] if self._seen is not None and self._seen[0] == pid else self.answers().need
        return self.stop_seconds if need is Need.NOT_NEEDED else self.hung_stop_seconds


class OnlyWhenNeeded:
    """Mark of rungs that would change nothing where they are not needed: naming them does not have them done."""


class Validation(OnlyWhenNeeded, abc.ABC):
    """Base of the rungs that only look and change nothing: they end with what they found.

    :meth:`need` never says ``NEEDED``: ``NOT_NEEDED`` means that all is as it must be.
    """

    def __init__(self, tools: Tools, request: RunRequest) -> None:
        self.tools, self.request = tools, request

    @abc.abstractmethod
    def need(self) -> Finding:
        """What was found."""

    def services(self) -> tuple[str, ...]:
        """None."""
        return ()

    def do(self) -> Work:
        """There is nothing to do."""
        raise RungError("This rung only looks; there is nothing to be done.")

    def proof(self) -> Proof:
        """See :meth:`need`."""
        found = self.need()
        return Proof(found.need is Need.NOT_NEEDED, found.text, found.facts)

    def roll_back(self) -> Work | None:
        """Nothing was changed."""
        return None


def proof_of(observation: Observation, good: str, bad: str) -> Proof:
    """A look as a proof, in these words."""
    if observation.outcome is Outcome.OK:
        return Proof(True, good, facts_of(observation))
    return Proof(False, f"{bad}: {observation.error or observation.code.value}", facts_of(observation))


def _ending(status: ServiceStatus) -> str:
    if status.state is ServiceState.STOPPED:
        return "it was stopped, and not started again" if status.started_at else "it was never started"
    if status.exit_code is None:
        return f"it is {status.state.value}"
    if status.exit_code < 0:
        return f"it was ended by signal {-status.exit_code}"
    return f"it ended with exit code {status.exit_code}"


def is_suspended(tools: Tools, status: ServiceStatus) -> bool:
    """By the word of its host or, of a process of this machine, of the kernel."""
    if status.pid is None or not processes_are_here(tools.settings):
        return status.pid is not None and status.suspended
    return status.suspended or is_frozen(status.pid)


def is_frozen(pid: int) -> bool:
    """Whether a process of this machine is suspended: it accepts connections, and will never answer."""
    with contextlib.suppress(psutil.Error):
        return bool(psutil.Process(pid).status() == psutil.STATUS_STOPPED)
    return False
