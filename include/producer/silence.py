"""Quiet market or silent feed? After a silence the exchange itself is asked by REST (the oracle).

A socket that answers pings but carries no data is a real way to fail, and a market without trades is none. Only ids
can tell them apart: the exchange knows a newer trade than the stream has brought, or it does not. What polling has
brought since the silence began is such a trade, too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from enum import StrEnum

from include.market.errors import MarketError, RateLimitedError
from include.producer.tracks import Track, Tracks
from include.runtime.clock import Clock
from include.runtime.logging import get_logger

_LONGEST_SYMBOL_SILENCE, _LONGEST_FEED_SILENCE = 300.0, 30.0
_FORGET = 0.999  # per check with data: a learned patience halves within half a minute of activity
_GRACE_SECONDS, _GRACE_STEP = 1.0, 0.05
_log = get_logger("producer.silence")


class Verdict(StrEnum):
    """What a silence was."""

    FEED_AT_FAULT = "feed_at_fault"  # the exchange has trades that the stream did not bring
    QUIET = "quiet"  # the exchange has none either
    WOKE_UP = "woke_up"  # trades came while the exchange was being asked
    EXCHANGE_UNREACHABLE = "exchange_unreachable"  # no endpoint of any family answered: exchange or network
    RATE_LIMITED = "rate_limited"  # not allowed to ask now: not known


class SilenceTimer:
    """Patience with one source: ``shortest`` seconds, doubled after each silence that proved to be quiet."""

    def __init__(self, now: float, shortest: float, longest: float) -> None:
        self._shortest, self._longest, self.patience = shortest, max(longest, shortest), shortest
        self._since, self._ask_at = now, now + shortest

    def data(self, now: float) -> None:
        """Data arrived."""
        self.patience = max(self._shortest, self.patience * _FORGET)
        self._since, self._ask_at = now, now + self.patience

    def start_over(self, now: float) -> None:
        """A new connection gets its full patience."""
        self._since, self._ask_at = now, now + self.patience

    def asked(self, now: float, verdict: Verdict) -> None:
        """The exchange was asked: be more patient if it was quiet, else ask again after the same time."""
        if verdict is Verdict.QUIET:
            self.patience = min(self._longest, self.patience * 2)
        self._ask_at = max(self._since + self.patience, now + self._shortest)

    def due(self, now: float) -> bool:
        """Whether it is time to ask."""
        return now >= self._ask_at

    def seconds(self, now: float) -> float:
        """How long the silence has lasted."""
        return now - self._since


class SilenceWatch:
    """Watches every symbol, and the feed as a whole (with less patience).

    ``newest_trade_id`` asks the exchange. :meth:`look` is called often; :meth:`judge` takes as long as the exchange.
    """

    def __init__(
        self, tracks: Tracks, newest_trade_id: Callable[[str], Awaitable[int | None]], shortest: float, clock: Clock
    ) -> None:
        now = clock.monotonic()
        self._tracks, self._newest_trade_id, self._clock = tracks, newest_trade_id, clock
        self._timers = {track.symbol: SilenceTimer(now, shortest, _LONGEST_SYMBOL_SILENCE) for track in tracks}
        self._counts = {track.symbol: track.received for track in tracks}
        self._polled = {track.symbol: track.polled for track in tracks}  # when its silence began
        self._feed = SilenceTimer(now, shortest, _LONGEST_FEED_SILENCE)
        self._latest_symbol = next(iter(self._timers))
        self.last_verdict: Verdict | None = None

    def look(self) -> str | None:
        """Note which symbols got data; the symbol to ask about if a silence has become too long."""
        now = self._clock.monotonic()
        suspect = None
        for track in self._tracks:
            symbol, timer = track.symbol, self._timers[track.symbol]
            if track.received != self._counts[symbol]:
                self._counts[symbol] = track.received
                self._polled[symbol] = track.polled
                self._latest_symbol = symbol
                timer.data(now)
                self._feed.data(now)
            elif timer.due(now):
                suspect = suspect or symbol
        return suspect or (self._latest_symbol if self._feed.due(now) else None)

    def start_over(self) -> None:
        """There is a new connection: silence starts now."""
        now = self._clock.monotonic()
        for timer in (self._feed, *self._timers.values()):
            timer.start_over(now)
        self._polled = {track.symbol: track.polled for track in self._tracks}

    async def judge(self, symbol: str) -> Verdict:
        """Ask the exchange about a silent symbol."""
        track, now = self._tracks[symbol], self._clock.monotonic()
        silence = self._timers[symbol].seconds(now)
        verdict = await self._ask(track)
        for timer in (self._timers[symbol], self._feed):
            timer.asked(self._clock.monotonic(), verdict)
        if verdict is not self.last_verdict or verdict is Verdict.FEED_AT_FAULT:
            _log.info("silence judged", symbol=symbol, verdict=verdict.value, seconds=round(silence, 1))
        self.last_verdict = verdict
        return verdict

    def feed_silence_seconds(self) -> float:
        """Seconds since the stream brought a trade of any symbol, or since there is another connection."""
        return self._feed.seconds(self._clock.monotonic())

    async def _ask(self, track: Track) -> Verdict:
        count = track.received
        try:
            newest = await self._newest_trade_id(track.symbol)
        except RateLimitedError:
            return Verdict.RATE_LIMITED
        except MarketError as error:
            _log.warning("the exchange cannot be asked", symbol=track.symbol, error=str(error))
            return Verdict.EXCHANGE_UNREACHABLE
        by_polling = track.polled != self._polled[track.symbol]
        if newest is None or (newest <= track.sequencer.newest_seen and not by_polling):
            return Verdict.QUIET
        waited = 0.0
        while waited < _GRACE_SECONDS:  # a trade that was on its way when the exchange was asked
            if track.received != count:
                return Verdict.WOKE_UP
            await asyncio.sleep(_GRACE_STEP)
            waited += _GRACE_STEP
        track.sequencer.notice(newest)
        return Verdict.FEED_AT_FAULT
