"""Runs the probes, each in its own cadence and thread, and hands on what they see the moment it is there.

Why a thread each and no pool: a probe that hangs must not take another's place, and Python waits at its end for the
threads of a pool, so a probe that hangs for good would keep the process from ending. These are daemon threads.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import traceback
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from queue import SimpleQueue
from threading import Thread

import msgspec

from include.health.errors import ProberInUseError
from include.health.observations import Code, Observation, Outcome, Seen
from include.health.probes.base import Probe, blind, one_line
from include.runtime.clock import Clock, SystemClock
from include.runtime.logging import get_logger

TICK_SECONDS = 1.0  # a Seen comes at least so often
_SPREAD_SECONDS = 1.0  # first looks are spread over this time, so that probes do not all run in the same instant
_GRACE_SECONDS = 0.1  # for the way of a result that was there just in time
_STALL_SECONDS = 1.0  # waking so late means that this process itself stood still
_CLOSE_SECONDS = 3.0

_log = get_logger("health.prober")


class Prober:
    """Follow it with ``async for seen in prober.seen()``, one follower at a time; close it at the end.

    A look that overruns its probe's deadline is reported at the deadline, and not started again until it returned (its
    late result is dropped). What a probe raises is reported as ``BLIND`` with code ``own_fault``. If this process
    itself stood still (stopped, or its event loop blocked), the time-outs of that while are ``BLIND`` too: they say
    nothing about the targets.
    """

    def __init__(self, probes: Iterable[Probe], clock: Clock | None = None) -> None:
        self._clock: Clock = clock or SystemClock()
        self._results: deque[tuple[_Turn, Observation]] = deque()
        self._turns = [_Turn(probe, self.report, self._clock) for probe in probes]
        self._follower: tuple[asyncio.AbstractEventLoop, asyncio.Event] | None = None
        self._started = self._closed = False

    async def seen(self) -> AsyncIterator[Seen]:
        """Results as they come, those that arrived together in one; an empty one when there was none for a second.

        Looking pauses while nobody asks for the next. Raises :class:`ProberInUseError`.
        """
        if self._follower is not None or self._closed:
            raise ProberInUseError("the prober is closed" if self._closed else "the prober has a follower already")
        self._follower = asyncio.get_running_loop(), asyncio.Event()
        try:
            last = self._start()
            while not self._closed:
                now = self._clock.monotonic()
                if (observations := self._collect(now)) or now >= last + TICK_SECONDS:
                    last = now
                    yield Seen(self._clock.time_ms() / 1000, observations)
                    continue  # time went by meanwhile
                for turn in self._turns:
                    turn.start_if_due(now)
                await self._rest(self._follower[1], now, last + TICK_SECONDS)
        finally:
            self._follower = None

    def close(self, timeout: float = _CLOSE_SECONDS) -> None:
        """Stop looking and close the probes, waiting up to ``timeout`` seconds for looks that are under way.

        A look that hangs for longer is left behind in its daemon thread, with its probe.
        """
        if self._closed:
            return
        self._closed = True
        self._wake()
        until = time.monotonic() + timeout
        for turn in self._turns:
            turn.stop()
        if hung := [turn.probe.name.value for turn in self._turns if not turn.ended(until - time.monotonic())]:
            _log.warning("probes still hang and are left behind", probes=hung)

    async def aclose(self, timeout: float = _CLOSE_SECONDS) -> None:
        """:meth:`close`, without blocking the event loop."""
        await asyncio.to_thread(self.close, timeout)

    def report(self, turn: _Turn, observation: Observation) -> None:
        """Take a result in; called in a probe's thread."""
        self._results.append((turn, observation))
        self._wake()

    def _wake(self) -> None:
        if (follower := self._follower) is not None:
            loop, news = follower
            with contextlib.suppress(RuntimeError):  # the loop has been closed: nobody is there to be told
                loop.call_soon_threadsafe(news.set)

    def _start(self) -> float:
        now = self._clock.monotonic()
        if not self._started:
            self._started = True
            for place, turn in enumerate(self._turns):
                turn.due = now + min(turn.probe.every, _SPREAD_SECONDS) * place / len(self._turns)
                turn.thread.start()
        return now

    def _collect(self, now: float) -> tuple[Observation, ...]:
        found = []
        while self._results:
            turn, observation = self._results.popleft()
            found.append(turn.finish(observation, now))
        found.extend(turn.overrun(now) for turn in self._turns)
        return tuple(observation for observation in found if observation is not None)

    async def _rest(self, news: asyncio.Event, now: float, tick: float) -> None:
        """Sleep until there is news or something is to be done."""
        until = min((turn.next_event for turn in self._turns), default=tick)
        until = min(until, tick)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.001, until - now)):
                await news.wait()
        news.clear()
        woke = self._clock.monotonic()
        if woke - until > _STALL_SECONDS:
            _log.warning("the observer itself stood still", seconds=round(woke - until, 1))
            for turn in self._turns:
                turn.excuse(woke)


class _Turn:
    """One probe's state (only the event loop touches it) and its thread."""

    def __init__(self, probe: Probe, report: Callable[[_Turn, Observation], None], clock: Clock) -> None:
        self.probe, self.due = probe, 0.0
        self.thread = Thread(target=self._run, name=f"probe-{probe.name.value}", daemon=True)
        self._report, self._clock = report, clock
        self._orders: SimpleQueue[bool] = SimpleQueue()  # True: look; False: end
        self._looking_since: float | None = None
        self._reported = self._excused = False
        self._last_fault = ""

    @property
    def next_event(self) -> float:
        """When there is something to be done about it, if no result comes before."""
        if self._looking_since is None:
            return self.due
        return float("inf") if self._reported else self._last_moment(self._looking_since)

    def start_if_due(self, now: float) -> None:
        """Begin a look if it is time for one."""
        if self._looking_since is None and now >= self.due:
            self._looking_since, self._reported, self._excused = now, False, False
            self._orders.put(True)

    def finish(self, observation: Observation, now: float) -> Observation | None:
        """The look returned; ``None`` when its overrun has been reported."""
        reported, self._looking_since = self._reported, None
        self.due = max(self.due + self.probe.every, now)
        if reported:
            _log.info("a look that overran its deadline returned", probe=self.probe.name.value)
            return None
        if self._excused and observation.outcome is Outcome.FAILED and observation.code is Code.TIMEOUT:
            return blind(self.probe.name, Code.OWN_FAULT, f"the observer itself stood still: {observation.error}")
        return observation

    def overrun(self, now: float) -> Observation | None:
        """The report of a look that has just overrun its deadline."""
        if self._looking_since is None or self._reported or now < self._last_moment(self._looking_since):
            return None
        self._reported = True
        return Observation(
            probe=self.probe.name,
            outcome=self.probe.overrun,
            code=Code.TIMEOUT,
            error=f"no answer within {self.probe.deadline:g} s",
            took_seconds=self.probe.deadline,
        )

    def excuse(self, now: float) -> None:
        """This process stood still during the look: it gets its full time again, and its time-out does not count."""
        if self._looking_since is not None and not self._reported:
            self._looking_since, self._excused = now, True

    def stop(self) -> None:
        """Let the thread end after the look under way."""
        self._orders.put(False)
        if self.thread.ident is None:  # never started: close the probe all the same
            self.thread.start()

    def ended(self, seconds: float) -> bool:
        """Whether the thread ended within ``seconds``."""
        self.thread.join(max(0.0, seconds))
        return not self.thread.is_alive()

    def _last_moment(self, since: float) -> float:
        return since + self.probe.deadline + _GRACE_SECONDS

    def _run(self) -> None:
        while self._orders.get():
            started = self._clock.monotonic()
            try:
                observation = self.probe.look()
            except Exception as error:
                observation = blind(self.probe.name, Code.OWN_FAULT, self._fault(error))
            took = round(self._clock.monotonic() - started, 4)
            self._report(self, msgspec.structs.replace(observation, took_seconds=took))
        with contextlib.suppress(Exception):  # nobody is interested any more
            self.probe.close()

    def _fault(self, error: Exception) -> str:
        text = f"{type(error).__name__}: {one_line(error)}"
        if text != self._last_fault:  # said once, not at each look
            self._last_fault = text
            place = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{place.filename}:{place.lineno}"
            _log.warning("a probe failed by its own fault", probe=self.probe.name.value, error=text, where=where)
        return text
