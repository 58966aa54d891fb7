"""What the life of a process alone tells: gone, held because somebody asked for it, or replaced a moment ago."""

from __future__ import annotations

from include.health.rules.base import Finding
from include.health.rules.process_watch import Life, ProcessWatch
from include.health.verdicts import State
from include.playbook.names import Cause, Severity, Symptom


def process_gone(watch: ProcessWatch, seen: str, onset: float, hint: Cause | None = None) -> Finding:
    """Its process is gone; ``seen`` is the sentence's beginning, ``hint`` the cause that its log names."""
    loop = Cause.CRASH_LOOP if watch.looping(onset) else Cause.PROCESS_GONE
    return Finding(
        state=State.UNHEALTHY,
        cause=hint or loop,
        symptom=Symptom.PROCESS_GONE,
        reason=f"{seen}; {watch.ending}.",
        direct=True,
        onset=onset,
    )


def held(watch: ProcessWatch) -> Finding | None:
    """Somebody stopped it, or it was never started: a record, no fault."""
    if watch.life is not Life.HELD:
        return None
    how = "was never started" if watch.never_started else "was stopped on request"
    return Finding(
        state=State.SUSPECT,
        cause=Cause.STOPPED_ON_REQUEST,
        symptom=Symptom.PROCESS_GONE,
        reason=f"{watch.service} {how}.",
        direct=True,
        severity=Severity.SEV_4,
        onset=watch.changed_at,
    )


def restarted(watch: ProcessWatch, at: float) -> Finding | None:
    """It was replaced by a new process a moment ago, or is still starting: a record."""
    healed = watch.healed(at)
    if not healed and not watch.starting(at):
        return None
    how = "was started again on request" if watch.restarted_on_request else "was started again"
    return Finding(
        state=State.SUSPECT,
        cause=Cause.PROCESS_RESTARTED,
        symptom=Symptom.PROCESS_GONE,
        reason=f"{watch.service} {how if watch.restarted_at else 'was started'} a moment ago.",
        direct=True,
        severity=Severity.SEV_4,
        onset=watch.restarted_at or watch.changed_at,
    )
