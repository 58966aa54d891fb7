"""Missing trades, fetched from the exchange by id, page by page. Each step asks once and decides from the answer.

The same steps serve every loss: a gap in the stream, a restart, frames dropped while Kafka was away, and polling
while no stream endpoint answers.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from include.market.errors import MarketError, NoEndpointError, RateLimitedError
from include.market.rest import PAGE_LIMIT, RestClient
from include.producer.errors import LastError
from include.producer.frame_path import FramePath
from include.producer.publisher import PublisherState
from include.producer.repair_policy import (
    LONGEST_WAIT,
    Coverage,
    Page,
    Step,
    grace_seconds,
    poll_interval,
    wait_after,
)
from include.producer.sequencer import UNKNOWN, IdRange
from include.producer.tracks import Track, Tracks
from include.producer.validation import GREATEST_ID
from include.runtime.clock import Clock
from include.runtime.logging import get_logger

_CONCURRENT = 4  # calls under way at a time
_CONFIRM_SECONDS = 0.5  # between the two answers that make a hole
_EMPTY_ANSWERS = 5  # … for an id that the stream brought, before the exchange is asked what its newest is
_log = get_logger("producer.repair")


@dataclass
class _Case:
    """The repair of one symbol."""

    first: int
    opened_at: float
    not_before: float
    fetched: int = 0
    failures: int = 0
    empty_answers: int = 0
    suspected: IdRange | None = None


class Repairer:
    """Call :meth:`start_due` often; it starts the steps that are due, at most one a symbol at a time."""

    def __init__(
        self,
        tracks: Tracks,
        path: FramePath,
        client: RestClient,
        *,
        clock: Clock,
        backfill_limit: int,
        last_error: LastError,
    ) -> None:
        self._tracks, self._path, self._client, self._clock = tracks, path, client, clock
        self._backfill_limit, self._last_error = backfill_limit, last_error
        self._cases: dict[str, _Case] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._polled_at: dict[str, float] = {}
        self.polling = False
        self.last_poll_ok_at: float | None = None
        self.limited_until = 0.0
        self.trades_fetched = self.gaps_repaired = 0

    def start_due(self) -> None:
        """Start what is due. Must be called on the event loop."""
        for track in self._tracks:
            if len(self._running) >= _CONCURRENT:
                return
            if track.symbol not in self._running and self._due(track):
                self._running[track.symbol] = asyncio.create_task(self._run(track), name=f"repair-{track.symbol}")

    @property
    def busy(self) -> bool:
        """Whether steps are under way."""
        return bool(self._running)

    async def close(self) -> None:
        """Cancel what is under way."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def poll_interval(self) -> float:
        """Seconds between two polls of a symbol."""
        return poll_interval(self._client.budget, len(self._tracks.by_symbol))

    def polls_answered(self) -> bool:
        """Whether polling works: an answer within the last few rounds."""
        answered = self.last_poll_ok_at
        return answered is not None and self._clock.monotonic() - answered < 3 * self.poll_interval() + 2

    def rate_limited(self) -> bool:
        """Whether trades are wanted and the exchange's limits forbid to fetch them now."""
        return self._clock.monotonic() < self.limited_until and (self.polling or bool(self._cases))

    def _due(self, track: Track) -> bool:
        now = self._clock.monotonic()
        gap, case = track.sequencer.gap(), self._cases.get(track.symbol)
        if gap is None:
            if case is not None:
                self._close_case(track, case)
            polled = self._polled_at.get(track.symbol, -1e9)
            return self.polling and track.sequencer.next_id != UNKNOWN and now - polled >= self.poll_interval()
        if case is None:
            grace = grace_seconds(
                self._client.budget, len(self._tracks.by_symbol), track.sequencer.newest_seen - gap.first
            )
            self._cases[track.symbol] = _Case(gap.first, now, now + grace)
            return False
        return now >= case.not_before and self._path.publisher.state is PublisherState.OPEN

    def _grace(self, track: Track) -> float:
        missing = track.sequencer.newest_seen - track.sequencer.next_id + 1
        return grace_seconds(self._client.budget, len(self._tracks.by_symbol), missing)

    def _close_case(self, track: Track, case: _Case) -> None:
        del self._cases[track.symbol]
        if not case.fetched:
            return
        self.gaps_repaired += 1
        _log.info(
            "gap repaired",
            symbol=track.symbol,
            first=case.first,
            fetched=case.fetched,
            seconds=round(self._clock.monotonic() - case.opened_at, 2),
        )

    async def _run(self, track: Track) -> None:
        try:
            while await self.step(track) is Step.PROGRESS and self._due(track):
                self._path.publisher.poll()
        except Exception as error:
            self._last_error.note("repair", repr(error))
            _log.exception("repair step failed", symbol=track.symbol)
            if (case := self._cases.get(track.symbol)) is not None:
                self._wait(case, LONGEST_WAIT, Step.FAILED)
        finally:
            self._running.pop(track.symbol, None)

    async def step(self, track: Track) -> Step:
        """Ask the exchange once for what ``track`` needs next (or, while polling, for whatever comes next)."""
        now = self._clock.monotonic()
        gap = track.sequencer.gap()
        if gap is None:
            return await self._poll(track)
        case = self._cases.setdefault(track.symbol, _Case(gap.first, now, now))
        try:
            if len(gap) > self._backfill_limit and await self._skip(track):
                return Step.SKIPPED
            first = track.sequencer.next_id
            # Up to the newest id, not just this gap: a page costs the same and closes the gaps behind it, too.
            wanted = min(PAGE_LIMIT, max(1, track.sequencer.newest_seen - first + 1))
            page = await asyncio.to_thread(self._fetch, track.symbol, first, wanted)
        except MarketError as error:
            case.failures += 1
            wait = self._note(error) or wait_after(case.failures)
            return self._wait(case, wait, Step.RATE_LIMITED if isinstance(error, RateLimitedError) else Step.FAILED)
        return await self._judge(track, case, first, page)

    async def _poll(self, track: Track) -> Step:
        self._polled_at[track.symbol] = self._clock.monotonic()
        try:
            page = await asyncio.to_thread(self._fetch, track.symbol, track.sequencer.next_id, PAGE_LIMIT)
        except MarketError as error:
            self._note(error)
            return Step.RATE_LIMITED if isinstance(error, RateLimitedError) else Step.FAILED
        self.last_poll_ok_at = self._clock.monotonic()
        known = track.sequencer.newest_seen
        self.take(track, page)
        if track.sequencer.newest_seen > known:
            track.polled = track.sequencer.newest_seen
        if len(page.rows) >= PAGE_LIMIT:
            del self._polled_at[track.symbol]  # there is more: go on at once
        return Step.POLLED

    def _note(self, error: MarketError) -> float | None:
        """Keep an error for ``/health``; seconds to wait if the exchange's limits are the reason."""
        if isinstance(error, RateLimitedError):
            self.limited_until = self._clock.monotonic() + error.retry_after
            return error.retry_after
        self._last_error.note("rest", error)
        return None

    def _fetch(self, symbol: str, first: int, limit: int) -> Page:
        try:
            return Page(self._client.trades_from(symbol, first, limit), Coverage.BY_ID)
        except NoEndpointError:
            return Page(self._client.recent_trades(symbol), Coverage.RECENT)

    def take(self, track: Track, page: Page) -> list[int]:
        """Offer a page's trades; their ids, those of unusable trades included: they exist."""
        for row in page.rows:
            self.trades_fetched += self._path.accept_rest(track, row) is not None
        return [row.trade_id for row in page.rows if row.trade_id <= GREATEST_ID]

    async def _judge(self, track: Track, case: _Case, first: int, page: Page) -> Step:
        before = track.sequencer.next_id
        existing = [trade_id for trade_id in self.take(track, page) if trade_id >= before]
        case.failures = 0
        if track.sequencer.next_id > before:
            case.fetched += track.sequencer.next_id - before
            case.suspected, case.empty_answers = None, 0
            return self._wait(case, self._grace(track), Step.PROGRESS)
        if self._path.publisher.state is not PublisherState.OPEN:
            return Step.NO_ROOM
        if existing and page.coverage is Coverage.BY_ID and first == before and existing[0] > before:
            return self._hole(track, case, IdRange(before, existing[0] - 1))
        case.empty_answers += 1
        if case.empty_answers >= _EMPTY_ANSWERS and page.coverage is Coverage.BY_ID:
            return await self._distrust(track, case)
        return self._wait(case, wait_after(case.empty_answers), Step.NOTHING_YET)

    def _hole(self, track: Track, case: _Case, ids: IdRange) -> Step:
        if case.suspected != ids:
            case.suspected = ids
            return self._wait(case, _CONFIRM_SECONDS, Step.HOLE_SUSPECTED)
        _log.warning("the exchange has no trades with these ids", symbol=track.symbol, first=ids.first, last=ids.last)
        track.mark_hole(ids)
        case.suspected = None
        return Step.HOLE

    async def _distrust(self, track: Track, case: _Case) -> Step:
        """The stream spoke of trades that REST does not give: does the exchange know of them at all?"""
        case.empty_answers = 0
        try:
            newest = await asyncio.to_thread(self._client.newest_trade_id, track.symbol)
        except MarketError as error:
            self._last_error.note("rest", error)
            return self._wait(case, LONGEST_WAIT, Step.FAILED)
        if newest is not None and newest >= track.sequencer.next_id:
            return self._wait(case, LONGEST_WAIT, Step.NOTHING_YET)
        claimed = track.sequencer.newest_seen
        dropped = track.sequencer.distrust_beyond(newest if newest is not None else track.sequencer.next_id - 1)
        _log.warning("ids unknown to the exchange", symbol=track.symbol, claimed=claimed, newest=newest, drop=dropped)
        return Step.DISTRUSTED

    async def _skip(self, track: Track) -> bool:
        newest = await asyncio.to_thread(self._client.newest_trade_id, track.symbol)
        first = track.sequencer.next_id
        if newest is None or newest - first + 1 <= self._backfill_limit:
            return False
        ids = IdRange(first, newest - self._backfill_limit)
        _log.error("trades skipped: over the backfill limit", symbol=track.symbol, first=ids.first, last=ids.last)
        track.skip(ids)
        return True

    def _wait(self, case: _Case, seconds: float, step: Step) -> Step:
        case.not_before = self._clock.monotonic() + seconds
        return step
