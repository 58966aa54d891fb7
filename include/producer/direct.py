"""The producer's path without a socket: bytes of frames in, acknowledged by Kafka out. For benchmarks and tests."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

from include.producer.errors import LastError
from include.producer.flood import FloodDetector
from include.producer.frame_path import FramePath
from include.producer.kafka_publisher import KafkaPublisher, KafkaTarget
from include.producer.publisher import PublisherState
from include.producer.sequencer import Sequencer
from include.producer.tracks import Track, Tracks
from include.producer.validation import TradeCheck
from include.runtime.clock import Clock, SystemClock

_FRAMES_PER_POLL = 256  # as the stream reader does


class DirectFeed:
    """Same parts as the process, wired the same way. ``first_ids`` gives each symbol and the first id to expect.

    Unlike a stream it waits for room, so that every frame counts; ids must be consecutive per symbol.
    """

    def __init__(self, target: KafkaTarget, first_ids: Mapping[str, int], clock: Clock | None = None) -> None:
        clock = clock or SystemClock()
        self.publisher = KafkaPublisher(target, clock, LastError())
        self.tracks = Tracks([self._track(symbol, first) for symbol, first in first_ids.items()])
        check, flood = TradeCheck(self.tracks.symbols, clock), FloodDetector(clock, 1.0)
        self.path = FramePath(self.tracks, self.publisher, check, flood, clock)

    def push(self, frames: Iterable[bytes]) -> None:
        """Take frames, waiting for acknowledgements whenever the buffer is full."""
        accept, publisher = self.path.accept, self.publisher
        for number, frame in enumerate(frames):
            accept(frame)
            if number % _FRAMES_PER_POLL == 0:
                publisher.poll()
                while publisher.unacknowledged > publisher.limit - _FRAMES_PER_POLL:
                    publisher.wait(0.01)

    def finish(self, seconds: float = 30.0) -> dict[str, int]:
        """Wait until all is acknowledged; the newest acknowledged id by symbol.

        Raises ``TimeoutError`` when Kafka does not acknowledge everything in time.
        """
        started = time.monotonic()
        left = self.publisher.flush(seconds)
        if left or self.publisher.state is PublisherState.BROKEN:
            raise TimeoutError(f"{left} messages unacknowledged after {time.monotonic() - started:.1f} s")
        return {t.symbol: t.channel.acknowledged for t in self.tracks if t.channel.acknowledged is not None}

    def close(self) -> None:
        """Free the resources; what is unacknowledged is dropped."""
        self.publisher.abandon()

    def _track(self, symbol: str, first: int) -> Track:
        channel = self.publisher.channel(symbol)
        return Track(symbol, Sequencer(channel.send, 1_000, first), channel, first)
