"""The watch: from looking to the row of an incident, once per process, for any number of followers.

It runs in the event loop of whoever follows it (Airflow's triggerer). Probes look in threads of their own, the store is
used in one more; the loop only judges and decides, which takes well under a millisecond.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from include.health.observations import Seen
from include.health.verdicts import Assessment
from include.incidents.decisions import Decision
from include.incidents.errors import StoreUnavailableError, WatchError
from include.incidents.followers import Followers, News
from include.incidents.keeper import IncidentKeeper
from include.incidents.situation import OpenView, Situation, situation_of
from include.incidents.watch_parts import WatchParts, parts_from
from include.playbook.names import ScenarioId
from include.runtime.clock import Clock, SystemClock
from include.runtime.logging import get_logger
from include.settings import Settings

_log = get_logger("incidents.watch")


@dataclass(frozen=True, slots=True)
class WatchPace:
    """Seconds. ``refresh``: how often the open incidents are read again, because others change them too.
    ``situation``: between two situations while nothing changes. ``grace``: see :class:`Followers`. ``idle``: how long
    nobody must follow before it stops looking. ``start``, ``stall``: how long a follower waits for the first, and for
    the next thing to be seen. ``store``: how long it puts up with a store that is away. ``back_off``: before a new try
    after an error, doubled up to ``longest_back_off``.
    """

    refresh: float = 1.0
    situation: float = 1.0
    grace: float = 30.0
    idle: float = 60.0
    start: float = 60.0
    stall: float = 10.0
    store: float = 20.0
    back_off: float = 1.0
    longest_back_off: float = 30.0


class Watch:
    """Looks, judges, decides and writes as long as anybody follows. ``build`` makes its parts, in a thread.

    An unexpected error starts it anew, with new parts; followers are told after a few seconds. Several processes may
    watch at once: the store lets one of them open an incident, and the others join.
    """

    def __init__(
        self, build: Callable[[], WatchParts], clock: Clock | None = None, pace: WatchPace | None = None
    ) -> None:
        self._build, self._clock, self._pace = build, clock or SystemClock(), pace or WatchPace()
        self._followers = Followers(self._pace.grace)
        self._task: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._reset()

    @classmethod
    def shared(cls, settings: Settings) -> Watch:
        """The one of this process for these settings; from any thread."""
        with _LOCK:
            if settings.home not in _SHARED:
                _SHARED[settings.home] = cls(parts_from(settings))
            return _SHARED[settings.home]

    async def follow(self, scenario: ScenarioId) -> AsyncGenerator[Situation, None]:
        """About one situation a second, and one at once when it changes; close it (``aclose``) to stop following.

        Raises :class:`WatchError` when there has been nothing to tell for some seconds, and why; the watch itself goes
        on trying. The followers of one watch share one event loop.
        """
        self._begin()
        joined = self._now()
        self._followers.join(scenario)
        self._asked_at = float("-inf")  # read the open incidents anew
        told_at, told = float("-inf"), None
        try:
            while True:
                self._check(joined)
                situation = self._situation(scenario, joined)
                if situation is not None:
                    now, summary = self._now(), _summary(situation)
                    if summary != told or now - told_at >= self._pace.situation:
                        told_at, told = now, summary
                        yield situation
                        continue
                await self._news.wait(self._pace.situation)
        finally:
            self._followers.leave(scenario, self._now())

    async def close(self) -> None:
        """Stop at once, whoever follows."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def _reset(self) -> None:
        self._news = News()
        self._keeper: IncidentKeeper | None = None
        self._assessment: Assessment | None = None
        self._assessed_at = float("-inf")
        self._views: tuple[OpenView, ...] = ()
        self._viewed_at = float("-inf")  # when they were asked for
        self._writing: asyncio.Future[None] | None = None
        self._asked_at = self._unwritten_since = float("-inf")
        self._error: str | None = None  # of the pipeline
        self._store_error: str | None = None

    def _begin(self) -> None:
        """Have the pipeline run, in the present event loop."""
        loop = asyncio.get_running_loop()
        running = self._task is not None and not self._task.done()
        if running and self._loop is not loop and self._loop is not None and not self._loop.is_closed():
            raise WatchError("another event loop of this process follows this watch")
        if not running or self._loop is not loop:
            self._reset()
            self._loop, self._task = loop, loop.create_task(self._run(), name="incident-watch")

    # --- What followers are told
    def _situation(self, scenario: ScenarioId, joined: float) -> Situation | None:
        """``None`` until something was seen, and the incidents were read, after the follower came."""
        if self._assessment is None or (self._viewed_at < joined and self._store_error is None):
            return None
        situation = situation_of(scenario, self._assessment, self._views)
        if self._store_error is not None:  # whether it was handed over meanwhile cannot be known
            return replace(situation, needs_hand_over=False)
        return situation

    def _check(self, joined: float) -> None:
        """Raise when there is nothing to tell."""
        now, pace = self._now(), self._pace
        if (self._task is None or self._task.done()) and self._error is None:
            raise WatchError("the watch was closed")
        patience = pace.stall if self._error or self._assessment else pace.start
        if now - max(self._assessed_at, joined) > patience:
            raise WatchError(f"nothing has been seen for {patience:g} s: {self._error or 'the watch does not move'}")
        away = self._store_error is not None or self._writing is not None
        unwritten = now - max(self._unwritten_since if self._store_error else self._asked_at, joined)
        if away and unwritten > pace.store:
            error = self._store_error or "it does not answer"
            raise WatchError(f"the incident store has been away for {unwritten:.0f} s: {error}")

    # --- The pipeline
    async def _run(self) -> None:
        pause = self._pace.back_off
        while True:
            began = self._now()
            try:
                await self._watch()
            except Exception as error:  # whatever it is: to watch is worth another try
                self._error = f"{type(error).__name__}: {error}"
                _log.exception("the watch failed and starts anew", seconds=pause)
            self._news.tell()
            if self._alone():
                return
            if self._error is None:  # somebody came while it was ending
                continue
            if self._now() - began > self._pace.longest_back_off:
                pause = self._pace.back_off
            await asyncio.sleep(pause)
            pause = min(pause * 2, self._pace.longest_back_off)

    async def _watch(self) -> None:
        """Until nobody follows for long."""
        self._assessment = None
        worker = ThreadPoolExecutor(1, "incident-store")
        try:
            parts = await asyncio.get_running_loop().run_in_executor(worker, self._build)
            self._keeper = IncidentKeeper(parts.store, self._clock, parts.reopen)
            stream = parts.prober.seen()
            try:
                await self._read(worker)
                async for seen in stream:
                    self._step(parts, parts.detector.feed(seen), worker)
                    if self._alone():
                        return
            finally:
                await asyncio.shield(self._end(parts, stream, worker))
        finally:
            worker.shutdown(wait=False)  # a store that hangs must not stop the loop
        raise WatchError("the prober ended by itself")

    async def _end(self, parts: WatchParts, stream: AsyncIterator[Seen], worker: ThreadPoolExecutor) -> None:
        if self._writing is not None:
            await asyncio.wait([self._writing], timeout=self._pace.store)
        if isinstance(stream, AsyncGenerator):
            await stream.aclose()
        await parts.prober.aclose()
        await asyncio.get_running_loop().run_in_executor(worker, parts.store.close)

    def _step(self, parts: WatchParts, assessment: Assessment, worker: ThreadPoolExecutor) -> None:
        """Decide about the newest assessment, unless the last decisions are still being written."""
        now = self._now()
        self._assessment, self._assessed_at, self._error = assessment, now, None
        if self._writing is None and self._keeper is not None:
            decisions = parts.correlator.decide(assessment, self._views, self._followers.followed(now))
            news = self._keeper.news(decisions)
            if news or now - self._asked_at >= self._pace.refresh:
                self._writing = asyncio.ensure_future(self._write(worker, news))
                return  # followers are told with the incident, not before
        self._news.tell()

    async def _read(self, worker: ThreadPoolExecutor) -> None:
        """The open incidents, before anything is decided."""
        self._writing = asyncio.ensure_future(self._write(worker, ()))
        await asyncio.wait([self._writing])

    async def _write(self, worker: ThreadPoolExecutor, news: tuple[Decision, ...]) -> None:
        """Carry decisions out and read what is open now. A failure is told, and is no reason to stop looking."""
        asked = self._asked_at = self._now()
        try:
            loop = asyncio.get_running_loop()
            self._views = await loop.run_in_executor(worker, self._carry_out, news)
            self._viewed_at, self._store_error = asked, None
        except StoreUnavailableError as error:
            self._store_failed(asked, str(error))
        except Exception as error:
            _log.exception("decisions could not be carried out")
            self._store_failed(asked, f"{type(error).__name__}: {error}")
        finally:
            self._writing = None
            self._news.tell()

    def _carry_out(self, news: tuple[Decision, ...]) -> tuple[OpenView, ...]:
        keeper = self._keeper
        if keeper is None:  # pragma: no cover - set before the first call
            return ()
        if news or keeper.remembers:
            keeper.apply(news)
        if keeper.trouble is not None:
            raise StoreUnavailableError(keeper.trouble)
        return keeper.views()

    def _store_failed(self, at: float, error: str) -> None:
        if self._store_error is None:
            self._unwritten_since = at
        self._store_error = error

    def _alone(self) -> bool:
        return self._followers.alone_for(self._now()) > self._pace.idle

    def _now(self) -> float:
        return self._clock.monotonic()


def _summary(situation: Situation) -> tuple[object, ...]:
    """What followers want to know at once."""
    incident = situation.incident
    about = (incident.id, incident.severity, incident.state) if incident else None
    return situation.verdict.state, about, situation.needs_hand_over


_SHARED: dict[object, Watch] = {}
_LOCK = threading.Lock()
