"""One signal: many samples of one thing, and whether it counts as bad (detection §1).

It turns bad on ``enter`` bad samples of the last ``of``, and good again only on ``leave`` good ones in a row and not
before ``dwell`` seconds. A look that saw nothing is no sample: it neither makes a signal bad nor clears it.
"""

from __future__ import annotations

from include.health.verdicts import State

_HEALTHY, _UNHEALTHY, _RECOVERING = State.HEALTHY, State.UNHEALTHY, State.RECOVERING  # looking up a member takes long


class Signal:
    """See the module's text. ``state`` is never ``FLAPPING``; ``since`` is when it began; ``onset`` is the first bad
    sample of the present trouble (0: there is none). Times are the caller's, in seconds.
    """

    __slots__ = (
        "_dwell",
        "_enter",
        "_good_run",
        "_leave",
        "_mask",
        "_unhealthy_at",
        "_window",
        "onset",
        "since",
        "state",
    )

    def __init__(self, enter: int, leave: int, *, of: int | None = None, dwell: float = 0.0) -> None:
        window = of or enter
        if not 1 <= enter <= window or leave < 1:
            raise ValueError(f"enter {enter} of {window} and leave {leave} make no sense")
        self._enter, self._leave, self._dwell = enter, leave, dwell
        self._mask = (1 << window) - 1
        self._window = 0  # the last samples, one bit each, the newest lowest; set: bad
        self._good_run = 0
        self._unhealthy_at = 0.0
        self.state, self.since, self.onset = State.UNKNOWN, 0.0, 0.0

    @property
    def confirmed(self) -> bool:
        """Bad, and not yet good again for long enough."""
        return self.state is _UNHEALTHY or self.state is _RECOVERING

    def sample(self, at: float, bad: bool) -> bool:
        """Add one sample; whether the state changed."""
        return self.bad(at) if bad else self.good(at)

    def good(self, at: float) -> bool:
        """Add a good sample; whether the state changed."""
        if self.state is _HEALTHY:
            return False
        self._window = (self._window << 1) & self._mask
        if self.confirmed:
            self._good_run += 1
            if self._good_run < self._leave or at - self._unhealthy_at < self._dwell:
                return self._become(State.RECOVERING, at)
            self._window = 0
        return self._window == 0 and self._become(State.HEALTHY, at)

    def bad(self, at: float) -> bool:
        """Add a bad sample; whether the state changed."""
        self._good_run = 0
        if self.state is State.UNHEALTHY:
            return False
        if not self.onset:
            self.onset = at
        self._window = (self._window << 1 | 1) & self._mask
        if self.confirmed:  # good samples had begun: it was not over
            return self._become(State.UNHEALTHY, at)
        if self._window.bit_count() >= self._enter:
            self._unhealthy_at = at
            return self._become(State.UNHEALTHY, at)
        return self._become(State.SUSPECT, at)

    def interrupted(self) -> bool:
        """The observer was away: what is confirmed stays, but every run of samples starts again; whether the state
        changed.
        """
        self._good_run = 0
        if self.confirmed:
            return False
        self._window = 0
        changed = self.state is not State.UNKNOWN
        self.state, self.since, self.onset = State.UNKNOWN, 0.0, 0.0
        return changed

    def _become(self, state: State, at: float) -> bool:
        if state is self.state:
            return False
        self.state, self.since = state, at
        if state is State.HEALTHY:
            self.onset = 0.0
        return True
