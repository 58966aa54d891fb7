"""A process that supervision brings back: gone, back again, back and useless, in a loop, hung, or held.

With supervision the process host reports the gap for a tenth of a second only, so the evidence of a death is mostly
another pid. That is a record (SEV-4) as long as the new process does its work within ``restart_seconds``; else it is
the scenario itself. What somebody asked for (a hold, a restart by a remedy) is neither.
"""

from __future__ import annotations

from collections import deque

from include.health.config import DetectorConfig
from include.health.observations import Code, Observation, Outcome, Probe, ProcessesFacts
from include.health.rules.base import Finding, Judge
from include.health.rules.last_words import last_words
from include.health.rules.log_hints import LogHints
from include.health.rules.process_findings import held
from include.health.rules.process_watch import Life, ProcessWatch
from include.health.rules.processor_errors import cause_of
from include.health.rules.troubles import Kind, Troubles
from include.playbook.names import Cause, Severity, Symptom
from include.playbook.thresholds import ProducerThresholds, StreamProcessorThresholds

_LOOP_RESTARTS, _LOOP_SECONDS = 3, 120.0
_BLAME_SECONDS = 180.0  # what it said of its own trouble explains an end within this time
_GOOD_LOOKS = 3
_SUPERVISION_SECONDS = 0.95  # it has a process back within that time
_LAST_WORDS_COUNT_SECONDS = 60.0
_LAST_WORDS_SECONDS = 0.6  # its log, read twice a second, may tell why it ended
_HOST_GAVE_UP = frozenset({"fatal", "backoff"})


class SupervisedProcess:
    """Follows one process and its health endpoint (``probe``). ``useless``: cause and symptom of a process that lives,
    answers, and does not do its work.
    """

    def __init__(
        self,
        service: str,
        probe: Probe,
        *,
        thresholds: ProducerThresholds | StreamProcessorThresholds,
        config: DetectorConfig,
        troubles: Troubles,
        useless: tuple[Cause, Symptom],
    ) -> None:
        self._service, self._probe, self._useless = service, probe, useless
        self._restart_seconds = thresholds.restart_seconds
        self._troubles = troubles
        self.watch, self._hints = ProcessWatch(service, config), LogHints(service)
        dwell = thresholds.dwell_seconds
        self._loop = troubles.define(1, _GOOD_LOOKS, dwell=dwell)
        self._gone = troubles.define(thresholds.gone_samples, _GOOD_LOOKS, dwell=dwell)
        self._silent = troubles.define(thresholds.silent_samples, 2, dwell=dwell)
        self._idle = troubles.define(1, _GOOD_LOOKS, dwell=dwell)
        self._restarted = troubles.define(1, _GOOD_LOOKS, dwell=dwell)
        self._restarts: deque[float] = deque(maxlen=_LOOP_RESTARTS)
        self._starting_since: float | None = None  # of a process that has not done any work yet
        self._settled = False  # nothing to judge before something changes
        self._recorded = False  # its start is a record of its own
        self._gave_up = False
        self._blame: tuple[float, Cause, Symptom, bool] | None = None

    # --- What is seen --------------------------------------------------------------------------------------------
    def processes(self, at: float, observation: Observation) -> None:
        """The process host's word."""
        if self.watch.observe(at, observation):
            self._troubles.changed, self._settled = True, False
            self._changed(at, observation)
        if self._settled:
            return
        life = self.watch.life
        if life is Life.ALIVE:
            self._is_alive(at)
        elif life is Life.GONE:
            self._is_gone(at, Probe.PROCESSES)

    def answered(self, at: float) -> None:
        """Its health endpoint answered."""
        self.watch.served()
        if not self._silent.quiet:
            self._silent.good(at)

    def unanswered(self, at: float, observation: Observation) -> None:
        """Its health endpoint failed."""
        if observation.outcome is Outcome.BLIND:
            return
        if self.watch.life is Life.GONE:
            if observation.code is Code.REFUSED and at > self.watch.changed_at:  # a second witness
                self._is_gone(at, self._probe)
        elif self.watch.life is not Life.HELD and not self.watch.starting(at):
            kind = Kind(Cause.PROCESS_HUNG, Symptom.PROCESS_SILENT, self._probe, direct=True)
            said = observation.error or observation.code.value
            self._silent.bad(at, kind, lambda: f"{self._service} runs, but its health endpoint does not answer: {said}")

    def logs(self, at: float, observation: Observation) -> None:
        """New errors in its log."""
        if self._hints.observe(at, observation):
            self._troubles.changed = True
            self._troubles.evidence.add(at, Probe.LOGS, "log", self._hints.line)
        if (code := last_words(self._service, observation)) is not None:
            self.blames(at, *cause_of(code), seconds=_LAST_WORDS_COUNT_SECONDS)

    def works(self) -> None:
        """It does its work."""
        if self._starting_since is not None and self.watch.life is Life.ALIVE:
            self._starting_since = None

    def absolved(self) -> None:
        """What kept it from working is over."""
        self._blame = None

    def blames(
        self, at: float, cause: Cause, symptom: Symptom, *, vague: bool = False, seconds: float = _BLAME_SECONDS
    ) -> None:
        """What keeps it from working, by its own word: why it ends, if it ends within ``seconds``. ``vague``: its log
        may know better.
        """
        self._blame = (at + seconds, cause, symptom, vague)

    # --- What follows --------------------------------------------------------------------------------------------
    @property
    def starting(self) -> bool:
        """The present process has not done any work yet."""
        return self._starting_since is not None

    @property
    def serving(self) -> bool:
        """It lives, as far as is known, and is not only starting."""
        return self._starting_since is None and self.watch.life in (Life.ALIVE, Life.UNSEEN)

    def held(self, at: float, judge: Judge) -> Finding | None:
        """What is to be said while it is held. In trouble it is a remedy at work, for some time."""
        if self.watch.life is not Life.HELD:
            return None
        if judge.bad and at - self.watch.changed_at < self._restart_seconds:
            return judge.recovering()
        return held(self.watch)

    def recovering(self, judge: Judge) -> Finding | None:
        """After a trouble a process that is only starting is not healthy yet."""
        return judge.recovering() if self.starting and judge.bad else None

    def interrupted(self) -> None:
        """Nobody looked for a while."""
        self._restarts.clear()
        self._settled = False

    # --- Inside --------------------------------------------------------------------------------------------------
    def _changed(self, at: float, observation: Observation) -> None:
        watch, facts = self.watch, observation.facts
        own = facts.services.get(self._service) if isinstance(facts, ProcessesFacts) else None
        self._gave_up = own is not None and own.state in _HOST_GAVE_UP
        if watch.life is Life.HELD:
            for trouble in (self._gone, self._silent, self._idle, self._restarted, self._loop):
                trouble.interrupted()
            self._starting_since = None
        elif watch.life is Life.ALIVE and own is not None:
            if watch.restarted_at == at:
                known = self._gone.confirmed or self._loop.confirmed or self._silent.confirmed
                self._starting_since, self._recorded = at, not (watch.restarted_on_request or known)
                if not watch.restarted_on_request:
                    self._restarts.append(at)
            elif own.age_seconds is not None and own.age_seconds < self._restart_seconds and not self.starting:
                self._starting_since, self._recorded = at - own.age_seconds, False  # it did not replace another
        self._judge_loop(at)

    def _judge_loop(self, at: float) -> None:
        if self.serving and self.watch.life is Life.ALIVE and not self._gave_up:
            self._loop.good(at)
            return
        full = len(self._restarts) == _LOOP_RESTARTS and at - self._restarts[0] < _LOOP_SECONDS
        if full or self._gave_up or (self._loop.confirmed and self.watch.life is Life.GONE):
            cause, symptom = self._explained(at, Cause.CRASH_LOOP, Symptom.PROCESS_GONE)
            self._loop.bad(at, Kind(cause, symptom, Probe.PROCESSES, direct=True), self._loop_text)

    def _loop_text(self) -> str:
        if self._gave_up:
            return f"{self._service} does not stay up; the process host has given it up; {self.watch.ending}."
        count = len(self._restarts)
        return f"{self._service} was started again {count} times within two minutes; {self.watch.ending}."

    def _is_alive(self, at: float) -> None:
        if not self._gone.quiet:
            self._gone.good(at)
        if not self._loop.quiet:
            self._judge_loop(at)
        self._judge_start(at)
        self._settled = (
            self._starting_since is None
            and self._gone.quiet
            and self._loop.quiet
            and self._restarted.quiet
            and self._idle.quiet
        )

    def _is_gone(self, at: float, probe: Probe) -> None:
        if self._loop.confirmed:
            self._judge_loop(at)
        if 0 < at - self.watch.changed_at < _SUPERVISION_SECONDS:
            return  # one sample is enough of a moment in which supervision may have it back
        cause, symptom = self._explained(at, Cause.PROCESS_GONE, Symptom.PROCESS_GONE)
        kind = Kind(cause, symptom, probe, direct=True)
        self._gone.bad(at, kind, lambda: f"{self._service} does not run; {self.watch.ending}.")

    def _judge_start(self, at: float) -> None:
        """Called at each look while a start is not over."""
        since = self._starting_since
        if since is None:
            self._idle.good(at)
            self._restarted.good(at)
            return
        if at - since >= self._restart_seconds:
            cause, symptom = self._explained(at, *self._useless)
            kind = Kind(cause, symptom, self._probe)
            self._idle.bad(
                at, kind, lambda: f"{self._service} was started {at - since:.0f} s ago and does not do its work."
            )
        if self._recorded and at - since >= _LAST_WORDS_SECONDS:
            cause, symptom = self._explained(at, Cause.PROCESS_RESTARTED, Symptom.PROCESS_GONE)
            kind = Kind(cause, symptom, Probe.PROCESSES, direct=True, severity=Severity.SEV_4)
            self._restarted.bad(
                at, kind, lambda: f"{self._service} has been restarted (pid {self.watch.pid}); {self.watch.ending}."
            )

    def _explained(self, at: float, cause: Cause, symptom: Symptom) -> tuple[Cause, Symptom]:
        """What it said of its own trouble before it ended, or what its log names, says more than that it ended."""
        blame, hint = self._blame, self._hints.cause(at)
        told = blame is not None and at <= blame[0]
        if blame is not None and told and (hint is None or not blame[3]):
            return blame[1], blame[2]
        if hint is not None:
            return hint, symptom
        return cause, symptom
