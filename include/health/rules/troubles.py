"""One scenario can be broken in several ways; each is a trouble with a signal of its own, and the worst one speaks.

Order of speaking: confirmed; good again but not for long enough; confirmed as a mere record (SEV-4); first signs;
warnings. Within one rank the order of definition decides, so rules define what says most about the cause first.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from include.health.observations import Probe
from include.health.rules.base import Finding, Judge
from include.health.rules.evidence import EvidenceLog
from include.health.signals import Signal
from include.health.verdicts import State
from include.playbook.names import Cause, Severity, Symptom

_SAY_AGAIN_SECONDS = 10.0  # the sentence of a lasting trouble is renewed so often, not at each sample


class Kind(msgspec.Struct, frozen=True):
    """What a trouble is. ``warning``: never confirmed as an incident, a SEV-4 record at most."""

    cause: Cause
    symptom: Symptom | None
    probe: Probe
    direct: bool = False
    severity: Severity | None = None
    warning: bool = False


class Trouble:
    """One way to be broken. ``quiet``: its signal is healthy, so a good sample changes nothing."""

    def __init__(self, book: Troubles, signal: Signal) -> None:
        self._book, self.signal = book, signal
        self.quiet = False
        self.kind: Kind | None = None
        self._reason, self._say_again = "", 0.0

    def bad(self, at: float, kind: Kind, reason: Callable[[], str]) -> None:
        """A bad sample; the sentence is asked for only if it is to be said anew."""
        self.describe(at, kind, reason)
        self._book.evidence.add(at, kind.probe, (kind.symptom or kind.cause).value, self._reason)
        self.signal.bad(at)
        self._hush(quiet=False)

    def describe(self, at: float, kind: Kind, reason: Callable[[], str]) -> None:
        """What it is now, without being a sample."""
        if kind != self.kind or at >= self._say_again or self.quiet:
            self.kind, self._reason, self._say_again = kind, reason(), at + _SAY_AGAIN_SECONDS
        self._book.changed = True

    def good(self, at: float) -> None:
        """A good sample."""
        if not self.quiet:
            self._book.changed |= self.signal.good(at)
            self._hush(quiet=self.signal.state is State.HEALTHY)

    def follow(self) -> None:
        """Its signal was given a sample by somebody else."""
        self._hush(quiet=self.signal.state is State.HEALTHY)

    def sample(self, at: float, kind: Kind | None, reason: Callable[[], str]) -> None:
        """A bad sample if it is of a kind, else a good one."""
        if kind is not None:
            self.bad(at, kind, reason)
        elif not self.quiet:
            self.good(at)

    @property
    def confirmed(self) -> bool:
        """See :attr:`Signal.confirmed`."""
        return self.signal.confirmed

    def finding(self, judge: Judge) -> tuple[int, Finding] | None:
        """Its rank and what it says; ``None`` if it has nothing to say."""
        state, kind = self.signal.state, self.kind
        if kind is None or state in (State.HEALTHY, State.UNKNOWN):
            return None
        if kind.warning:
            return (4, self._finding(kind, State.SUSPECT, Severity.SEV_4)) if self.confirmed else None
        if state is State.RECOVERING:
            return 1, self._finding(kind, State.RECOVERING, kind.severity) if judge.bad else self._was(kind)
        if state is State.UNHEALTHY:
            rank = 2 if kind.severity is Severity.SEV_4 else 0
            return rank, self._finding(kind, State.UNHEALTHY, kind.severity)
        return 3, self._finding(kind, State.SUSPECT, kind.severity)

    def interrupted(self) -> None:
        """Nobody looked for a while."""
        self.signal.interrupted()
        self._hush(quiet=False)

    def _hush(self, *, quiet: bool) -> None:
        if quiet is not self.quiet:
            self.quiet = quiet
            self._book.loud += -1 if quiet else 1

    def _was(self, kind: Kind) -> Finding:
        return self._finding(kind, State.SUSPECT, kind.severity)

    def _finding(self, kind: Kind, state: State, severity: Severity | None) -> Finding:
        return Finding(
            state=state,
            cause=kind.cause,
            symptom=kind.symptom,
            reason=self._reason,
            direct=kind.direct,
            severity=severity,
            onset=self.signal.onset,
        )


class Troubles:
    """All troubles of one scenario. ``changed`` is set by whatever may matter to the verdict."""

    def __init__(self, evidence: EvidenceLog) -> None:
        self.evidence, self.changed = evidence, True
        self.loud = 0  # troubles that are not quiet
        self._all: list[Trouble] = []

    def define(self, enter: int = 1, leave: int = 1, *, of: int | None = None, dwell: float = 0.0) -> Trouble:
        """One more, which speaks after those before it in the same rank. For the numbers see :class:`Signal`."""
        trouble = Trouble(self, Signal(enter, leave, of=of, dwell=dwell))
        self._all.append(trouble)
        self.loud += 1
        return trouble

    @property
    def quiet(self) -> bool:
        """Whether no trouble has anything to say, and none would change by a good sample."""
        return self.loud == 0

    def worst(self, judge: Judge) -> Finding | None:
        """What the worst one says; ``None`` if there is none."""
        best: tuple[int, Finding] | None = None
        for trouble in self._all:
            if not trouble.quiet:
                found = trouble.finding(judge)
                if found is not None and (best is None or found[0] < best[0]):
                    best = found
        return None if best is None else best[1]

    def interrupted(self) -> None:
        """Nobody looked for a while: every run of samples starts again."""
        self.changed = True
        for trouble in self._all:
            trouble.interrupted()
