"""Where each symbol starts: behind what the topic holds, or where the settings say."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from confluent_kafka import KafkaException

from include.broker.topics import TopicSpec, ensure_topics
from include.market.errors import MarketError
from include.market.rest import RestClient
from include.producer.errors import LastError, TailUnreadableError, TailUnsettledError
from include.producer.tail import TopicTail
from include.producer.tracks import Track, Tracks
from include.runtime.logging import get_logger

_RETRY_SECONDS, _WITHOUT_REST_SECONDS = 1.0, 5.0
_GREATEST_LAG = 1_000_000  # ids that REST may be behind the stream, and so behind what we published
_log = get_logger("producer.resume")


class Resumption:
    """Finds the first id of each symbol."""

    def __init__(
        self,
        bootstrap_servers: str,
        topics: tuple[TopicSpec, ...],
        client: RestClient,
        start_from: str,
        last_error: LastError,
    ) -> None:
        self._bootstrap_servers, self._topics, self._client = bootstrap_servers, topics, client
        self._start_from, self._last_error = start_from, last_error

    async def newest_published(self, symbols: frozenset[str], ceiling: Mapping[str, int]) -> dict[str, int]:
        """Newest id in the topic by symbol; waits for Kafka as long as it takes."""
        while True:
            try:
                return await asyncio.to_thread(self._read_topic, symbols, ceiling)
            except (KafkaException, TailUnsettledError, TailUnreadableError) as error:
                self._last_error.note("kafka", error)
                _log.warning("the topic cannot be read yet", error=str(error))
                await asyncio.sleep(_RETRY_SECONDS)

    async def newest_at_exchange(self, symbols: frozenset[str]) -> dict[str, int]:
        """Newest id by symbol (-1: no trades) as far as the exchange answers; also learns the exchange's limits."""
        newest: dict[str, int] = {}
        try:
            info = await asyncio.to_thread(self._client.exchange_info, sorted(symbols))
            states = {entry.symbol: entry.status for entry in info.symbols if entry.status != "TRADING"}
            if states:
                _log.warning("symbols are not trading", states=states)
            for symbol in sorted(symbols):
                found = await asyncio.to_thread(self._client.newest_trade_id, symbol)
                newest[symbol] = -1 if found is None else found
        except MarketError as error:
            self._last_error.note("rest", error)
            _log.warning("the exchange cannot be asked at start", error=str(error))
        return newest

    async def anchor(self, tracks: Tracks) -> None:
        """Give every track its first id."""
        at_exchange = await self.newest_at_exchange(tracks.symbols)
        ceiling = await self._ceiling(tracks, at_exchange)
        published = await self.newest_published(tracks.symbols, ceiling)
        await asyncio.gather(*(self._anchor_one(t, published.get(t.symbol), at_exchange) for t in tracks))

    async def _ceiling(self, tracks: Tracks, at_exchange: Mapping[str, int]) -> dict[str, int]:
        """Greatest credible id by symbol. Where REST does not answer, what the stream brings within seconds tells."""
        waited = 0.0
        while True:
            newest = {t.symbol: at_exchange.get(t.symbol, t.sequencer.oldest_held) for t in tracks}
            if None not in newest.values() or waited >= _WITHOUT_REST_SECONDS:
                return {s: known + _GREATEST_LAG for s, known in newest.items() if known is not None and known >= 0}
            await asyncio.sleep(_RETRY_SECONDS)
            waited += _RETRY_SECONDS

    async def _anchor_one(self, track: Track, published: int | None, at_exchange: Mapping[str, int]) -> None:
        if published is not None:
            track.channel.acknowledged = published
            first, source = published + 1, "topic"
        else:
            first, source = await self._first_id(track, at_exchange), self._start_from
        track.first_id = first
        track.sequencer.anchor(first)
        if (newest := at_exchange.get(track.symbol)) is not None:
            track.sequencer.notice(newest)
        _log.info("symbol starts", symbol=track.symbol, next=first, source=source)

    async def _first_id(self, track: Track, at_exchange: Mapping[str, int]) -> int:
        """The first id of a symbol that the topic does not hold."""
        waited = 0.0
        newest = at_exchange.get(track.symbol)
        while True:
            try:
                if self._start_from == "oldest":
                    rows = await asyncio.to_thread(self._client.trades_from, track.symbol, 0, 1)
                    return rows[0].trade_id if rows else 0
                if newest is None:
                    found = await asyncio.to_thread(self._client.newest_trade_id, track.symbol)
                    newest = -1 if found is None else found
                return newest + 1
            except MarketError as error:
                self._last_error.note("rest", error)
            held = track.sequencer.oldest_held
            if self._start_from == "live" and held is not None and waited >= _WITHOUT_REST_SECONDS:
                return held  # the stream alone says where "live" is
            await asyncio.sleep(_RETRY_SECONDS)
            waited += _RETRY_SECONDS

    def _read_topic(self, symbols: frozenset[str], ceiling: Mapping[str, int]) -> dict[str, int]:
        ensure_topics(self._bootstrap_servers, self._topics)
        tail = TopicTail(self._bootstrap_servers, self._topics[0].name)
        try:
            return tail.newest_ids(symbols, ceiling)
        finally:
            tail.close()
