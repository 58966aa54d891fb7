"""The btc_producer process: wires the parts together and keeps them going until it is told to stop."""

from __future__ import annotations

import asyncio

from include.broker.topics import DEAD_LETTERS, TRADES, TopicSpec, expected_topics
from include.market.backoff import Backoff
from include.market.endpoints import stream_ladder
from include.market.rest import RestClient
from include.producer.errors import LastError
from include.producer.feed import Feed
from include.producer.flood import FloodDetector
from include.producer.frame_path import FramePath
from include.producer.kafka_publisher import KafkaPublisher, KafkaTarget
from include.producer.metrics import registry
from include.producer.publisher import Channel, Publisher, PublisherState
from include.producer.repair import Repairer
from include.producer.report import Report
from include.producer.resume import Resumption
from include.producer.sampling import SampledChannel, Sampling
from include.producer.sequencer import UNKNOWN, Sequencer
from include.producer.silence import SilenceWatch, Verdict
from include.producer.status import Status
from include.producer.tracks import Track, Tracks
from include.producer.validation import TradeCheck
from include.runtime.clock import Clock, SystemClock
from include.runtime.health_endpoint import HealthEndpoint
from include.runtime.logging import get_logger
from include.settings import Settings

_TICK_SECONDS = 0.02
_FLUSH_SECONDS = 10.0
_POLL_AFTER_SECONDS = 3.0  # without a stream to rely on
_log = get_logger("producer")


class BtcProducer:
    """Everything of one process. ``topic`` and ``dead_letter_topic`` are named otherwise by tests only.

    Binds the health port on construction (``OSError`` when it is taken).
    """

    def __init__(
        self,
        settings: Settings,
        *,
        topic: str = TRADES,
        dead_letter_topic: str = DEAD_LETTERS,
        clock: Clock | None = None,
    ) -> None:
        self.settings, self._clock = settings, clock or SystemClock()
        self.sampling = Sampling(settings.producer_sampling)
        self._target = KafkaTarget(
            settings.bootstrap_servers,
            topic,
            dead_letter_topic,
            settings.producer_buffer_trades,
            self.sampling.headers(),
        )
        self.stopping, self.replacements = False, 0
        self._replacing: asyncio.Task[None] | None = None
        self._judging: asyncio.Task[None] | None = None
        self._replace_backoff = Backoff()
        self._taken_over: dict[str, int | None] = {}
        self.last_error = LastError()
        self.sampled: dict[str, SampledChannel] = {}  # by symbol; empty while everything is published

        self.publisher: Publisher = self._new_publisher()
        self.tracks = Tracks([self._new_track(symbol) for symbol in settings.symbols])
        self.flood = FloodDetector(self._clock, settings.producer_invalid_flood_ratio)
        self._check = TradeCheck(self.tracks.symbols, self._clock)
        self.path = FramePath(self.tracks, self.publisher, self._check, self.flood, self._clock)
        self.client = RestClient(settings.rest_endpoints, self._clock)
        self.silence = SilenceWatch(self.tracks, self._newest_trade_id, settings.silence_seconds, self._clock)
        self.repairer = Repairer(
            self.tracks,
            self.path,
            self.client,
            clock=self._clock,
            backfill_limit=settings.producer_backfill_limit,
            last_error=self.last_error,
        )
        self.feed = Feed(
            symbols=settings.symbols,
            endpoints=stream_ladder(settings.stream_endpoints, self._clock),
            gate=self.client.gate,
            path=self.path,
            clock=self._clock,
            rotation_seconds=settings.stream_rotation_hours * 3600,
            on_connected=self.silence.start_over,
            last_error=self.last_error,
        )
        self._resumption = Resumption(
            settings.bootstrap_servers, self._topics(), self.client, settings.start_from, self.last_error
        )
        self.report = Report(self)
        metrics = registry(self.report.samples)
        self.endpoint = HealthEndpoint(settings.producer_health_port, self.report.health, metrics, settings.listen_host)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until ``stop`` is set, then flush within a deadline."""
        self.endpoint.start()
        if self.sampling.reduced:
            _log.warning("reduced frequency", published=self.sampling.share, block=self.sampling.block)
        feed = asyncio.create_task(self.feed.run(), name="feed")
        anchoring = asyncio.create_task(self._resumption.anchor(self.tracks), name="anchoring")
        try:
            await self._work(stop, feed, anchoring)
        finally:
            self.stopping = True
            _log.info("stopping", unacknowledged=self.publisher.position().buffered)
            await self._end(feed, anchoring)

    def reconnect_on_request(self, why: str) -> None:
        """Replace the stream connection, because a person or a remedy wants it; ``/health`` has the answer."""
        answer = self.feed.request_reconnect()
        _log.warning("reconnect requested", why=why, answer=answer.value)

    async def _work(self, stop: asyncio.Event, *tasks: asyncio.Task[None]) -> None:
        previous: Status | None = None
        next_second = 0.0
        while not stop.is_set():
            self.publisher.poll()
            self._tend_publisher()
            self.repairer.polling = self.feed.untrusted_seconds() >= _POLL_AFTER_SECONDS
            self.repairer.start_due()
            self._tend_silence()
            if self._clock.monotonic() >= next_second:
                next_second = self._clock.monotonic() + 1.0
                previous = self._each_second(previous)
            for task in tasks:
                if task.done():
                    task.result()  # a part that failed takes the process down, and its supervisor restarts it
            try:
                await asyncio.wait_for(stop.wait(), _TICK_SECONDS)
            except TimeoutError:
                continue

    def _each_second(self, previous: Status | None) -> Status:
        self.flood.refresh()
        self._check.refresh()
        if self._acknowledged() != self._taken_over:  # the present publisher has proved that it works
            self._replace_backoff.reset()
        now = self.report.status()
        if now is not previous:
            _log.info(
                "status", status=now.value, before=previous.value if previous else None, error=self.last_error.text
            )
        return now

    def _tend_silence(self) -> None:
        if self._judging is not None:
            if not self._judging.done():
                return
            self._judging.result()
            self._judging = None
        symbol = self.silence.look()
        if symbol is None or self.feed.current_url is None or self.tracks[symbol].sequencer.next_id == UNKNOWN:
            return
        self._judging = asyncio.create_task(self._judge(symbol), name="silence")

    async def _judge(self, symbol: str) -> None:
        judged = self.feed.connections
        verdict = await self.silence.judge(symbol)
        if verdict is Verdict.FEED_AT_FAULT and self.feed.connections == judged:  # not replaced meanwhile
            self.feed.reconnect()
        elif verdict is Verdict.QUIET:
            self.feed.confirm()

    def _tend_publisher(self) -> None:
        if self._replacing is not None:
            if self._replacing.done():
                self._replacing.result()
                self._replacing = None
        elif self.publisher.state is PublisherState.BROKEN:
            self._replacing = asyncio.create_task(self._replace_publisher(), name="replace-publisher")

    async def _replace_publisher(self) -> None:
        """Kafka refused a message for good: drop all that is unacknowledged, go on behind what the topic holds."""
        await asyncio.sleep(self._replace_backoff.next_delay())
        _log.error("kafka producer broken, replacing it", error=self.last_error.text)
        self.publisher.abandon()
        ceiling = {t.symbol: t.sequencer.next_id - 1 for t in self.tracks if t.sequencer.next_id != UNKNOWN}
        published = await self._resumption.newest_published(frozenset(ceiling), ceiling)
        fresh = self._new_publisher()
        for track in self.tracks:
            acknowledged = track.channel.acknowledged
            newest = published.get(track.symbol, acknowledged)
            track.channel = self._new_channel(fresh, track.symbol)
            track.channel.acknowledged = newest
            track.sequencer.reattach(track.channel.send)
            if track.symbol in ceiling:
                track.sequencer.anchor(track.first_id if newest is None else newest + 1)
        self.publisher = self.path.publisher = fresh
        self.replacements += 1
        self._taken_over = self._acknowledged()
        _log.info("kafka producer replaced", published=published)

    async def _end(self, *tasks: asyncio.Task[None]) -> None:
        others = [task for task in (*tasks, self._judging, self._replacing) if task is not None]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await self.repairer.close()
        left = self.publisher.flush(_FLUSH_SECONDS)  # in a worker it could wait behind REST calls that hang
        self.publisher.abandon()
        self.endpoint.close()
        self.client.close()
        _log.info("stopped", unacknowledged=left, acknowledged=self._acknowledged())

    def _acknowledged(self) -> dict[str, int | None]:
        return {track.symbol: track.channel.acknowledged for track in self.tracks}

    async def _newest_trade_id(self, symbol: str) -> int | None:
        return await asyncio.to_thread(self.client.newest_trade_id, symbol)

    def _new_publisher(self) -> KafkaPublisher:
        return KafkaPublisher(self._target, self._clock, self.last_error)

    def _new_track(self, symbol: str) -> Track:
        channel = self._new_channel(self.publisher, symbol)
        limit = max(1_000, self.settings.producer_buffer_trades // (4 * len(self.settings.symbols)))
        return Track(symbol, Sequencer(channel.send, limit), channel, sampling=self.sampling)

    def _new_channel(self, publisher: Publisher, symbol: str) -> Channel:
        channel = publisher.channel(symbol)
        if not self.sampling.reduced:
            return channel
        before = self.sampled.get(symbol)
        self.sampled[symbol] = SampledChannel(channel, self.sampling, before.left_out if before else 0)
        return self.sampled[symbol]

    def _topics(self) -> tuple[TopicSpec, ...]:
        names = {TRADES: self._target.topic, DEAD_LETTERS: self._target.dead_letter_topic}
        by_name = {spec.name: spec for spec in expected_topics(self.settings)}
        return tuple(TopicSpec(new, by_name[old].partitions, by_name[old].config) for old, new in names.items())
