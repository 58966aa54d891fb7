"""What a probe is, and the few words in which its results are made."""

from __future__ import annotations

import re
from typing import Protocol

from include.health.observations import Code, Facts, Observation, Outcome
from include.health.observations import Probe as ProbeName

_LONGEST_ERROR = 300
_SECRET = re.compile(r"(?i)((?:password|passwd|pwd|secret|token)['\"]?\s*[=:]\s*)(?:'[^']*'|\"[^\"]*\"|[^\s,;)&]+)")
_CREDENTIALS_IN_URL = re.compile(r"(://)[^/\s@]*@")


class Probe(Protocol):
    """One real operation against one target, repeated.

    ``look`` is called in a thread that belongs to the probe, so never twice at a time; what the probe holds needs no
    locks. ``close`` is called in that same thread after the last look.
    """

    @property
    def name(self) -> ProbeName:
        """Which probe it is."""
        ...

    @property
    def every(self) -> float:
        """Seconds from the start of one look to the start of the next."""
        ...

    @property
    def deadline(self) -> float:
        """Seconds that a look may take. Its clients' own time-outs have to keep it."""
        ...

    @property
    def overrun(self) -> Outcome:
        """What a look that kept on beyond the deadline means: ``FAILED`` (the target let it wait) or ``BLIND``."""
        ...

    def look(self) -> Observation:
        """Do the operation once, within the deadline.

        A target that fails is a result, never an exception. Whatever is raised all the same is the probe's own fault,
        and reported as ``BLIND``. ``took_seconds`` may be left out: it is measured by the prober.
        """
        ...

    def close(self) -> None:
        """Free connections; must not wait for a target that does not answer."""
        ...


def seen_well(name: ProbeName, facts: Facts, *, note: str | None = None, code: Code = Code.OK) -> Observation:
    """The operation succeeded; ``note`` says what else is to be said."""
    return Observation(probe=name, outcome=Outcome.OK, code=code, facts=facts, error=note)


def failed(
    name: ProbeName, code: Code, error: object, *, number: int | None = None, facts: Facts | None = None
) -> Observation:
    """The target failed the operation. ``number``: its own error number."""
    return Observation(probe=name, outcome=Outcome.FAILED, code=code, facts=facts, error=one_line(error), number=number)


def blind(name: ProbeName, code: Code, error: object, *, number: int | None = None) -> Observation:
    """The probe could not look, for a reason of its own: nothing is said about the target."""
    return Observation(probe=name, outcome=Outcome.BLIND, code=code, error=one_line(error), number=number)


def one_line(error: object) -> str:
    """An error's text in one line of bounded length, without anything that looks like a secret."""
    text = str(error) or type(error).__name__
    text = _CREDENTIALS_IN_URL.sub(r"\1", _SECRET.sub(r"\1(hidden)", " ".join(text.split())))
    return text if len(text) <= _LONGEST_ERROR else text[: _LONGEST_ERROR - 1] + "…"
