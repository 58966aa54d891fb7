"""A publisher in memory that behaves as the real one does; acknowledgements come when the test says so."""

from __future__ import annotations

from collections import deque

from include.broker.dead_letters import DeadLetter
from include.producer.publisher import Origin, PublisherPosition, PublisherState, Sent
from include.runtime.clock import Clock, SystemClock


class FakeChannel:
    """See :class:`include.producer.publisher.Channel`."""

    def __init__(self, owner: FakePublisher, symbol: str) -> None:
        self._owner, self.symbol = owner, symbol
        self.acknowledged: int | None = None

    def send(self, trade_id: int, value: bytes, origin: Origin) -> Sent:
        owner = self._owner
        if owner.state is PublisherState.BROKEN:
            return Sent.BROKEN
        if owner.state is PublisherState.PAUSED or len(owner.waiting) >= owner.limit:
            owner.state = PublisherState.PAUSED
            return Sent.FULL
        owner.waiting.append((self, trade_id, value, origin, owner.clock.monotonic()))
        return Sent.TAKEN


class FakePublisher:
    """See :class:`include.producer.publisher.Publisher`. ``away`` keeps everything unacknowledged."""

    def __init__(self, limit: int = 1000, clock: Clock | None = None) -> None:
        self.limit, self.clock = limit, clock or SystemClock()
        self.state, self.dead_letters_lost = PublisherState.OPEN, 0
        self.away = False
        self.waiting: deque[tuple[FakeChannel, int, bytes, Origin, float]] = deque()
        self.topic: list[tuple[str, int, bytes, Origin]] = []
        self.dead_letters: list[DeadLetter] = []
        self._channels: dict[str, FakeChannel] = {}

    def channel(self, symbol: str) -> FakeChannel:
        return self._channels.setdefault(symbol, FakeChannel(self, symbol))

    def send_dead_letter(self, letter: DeadLetter) -> Sent:
        if self.state is PublisherState.BROKEN:
            return Sent.BROKEN
        self.dead_letters.append(letter)
        return Sent.TAKEN

    def poll(self) -> None:
        while self.waiting and not self.away and self.state is not PublisherState.BROKEN:
            channel, trade_id, value, origin, _ = self.waiting.popleft()
            self.topic.append((channel.symbol, trade_id, value, origin))
            channel.acknowledged = trade_id
        if self.state is PublisherState.PAUSED and len(self.waiting) <= self.limit // 2:
            self.state = PublisherState.OPEN

    def flush(self, seconds: float) -> int:
        self.poll()
        return len(self.waiting)

    def position(self) -> PublisherPosition:
        age = self.clock.monotonic() - self.waiting[0][4] if self.waiting else 0.0
        return PublisherPosition(self.state, len(self.waiting), age, 0.0)

    def abandon(self) -> None:
        self.state = PublisherState.BROKEN
        self.waiting.clear()

    def ids(self, symbol: str) -> list[int]:
        """Ids in the topic."""
        return [trade_id for name, trade_id, *_ in self.topic if name == symbol]
