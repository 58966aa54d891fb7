"""The simulated btc_producer: stream first, REST where the stream fails, a buffer while Kafka is away."""

from __future__ import annotations

from collections import deque

from include.health.observations import Code
from include.producer.flood import FloodState
from include.producer.publisher import PublisherState
from include.producer.silence import Verdict
from include.producer.status import Facts, Status, status
from tests.detection.plant_kafka import Broker
from tests.detection.plant_market import Market, Stream
from tests.detection.plant_processes import Process

_BUFFER, _FLUSH_PER_STEP, _REPAIR_PER_STEP = 200_000, 60_000, 3_000
_SILENCE_SECONDS, _GRACE_SECONDS, _POLL_AFTER_SECONDS = 5.0, 1.0, 3.0
_ORACLE_WEIGHT, _LIMIT = 4, 6_000


class Producer:
    """Positions are ids by symbol. ``received`` is what came in, ``acked`` what Kafka has."""

    def __init__(self, process: Process, market: Market, broker: Broker) -> None:
        self.process, self._market, self._broker = process, market, broker
        self.received, self.acked = list(market.ids), list(market.ids)
        self._unsent: deque[tuple[float, int, int]] = deque()  # made at, and how many of each symbol
        self._due = [0, 0]  # received, not yet acknowledged
        self.unacked_since: float | None = None
        self.data_at = 0.0  # newest trade of any symbol that came in
        self.verdict: Verdict | None = None
        self.untrusted_since: float | None = None
        self.polling = self.polls_answered = False
        self.flood, self.invalid_total = FloodState.NORMAL, 0
        self.window = [0, 0]  # valid and invalid frames of the last ten seconds
        self.times_limited = 0
        self.weight, self._weight_minute, self._asked_at = 3, -1, 0.0
        self.last_error: str | None = None
        self.cut_off = False  # it alone cannot talk to Kafka
        self.gap: int | None = None  # symbol of which one trade is missing and cannot be had: what follows is held
        self._held, self._held_symbol = 0, 0
        self.wants_more_rest = False  # a person's script, or a repair, keeps the REST side busy
        self._pid = 0
        self._ids_at_start: list[int] | None = None

    # --- Time passes -------------------------------------------------------------------------------------------
    def step(self, now: float) -> None:
        """One second of work."""
        if not self.process.answers:
            return
        if self.process.pid != self._pid:
            self._boot(now)
        if self._market.stream is Stream.OK and self.untrusted_since is None:
            self._receive(now)
        else:
            self._without_stream(now)
        if now - self.data_at > _SILENCE_SECONDS:
            self._ask(now)
        if self._held and self.gap is None:
            self._due[self._held_symbol] += self._held
            self._unsent.append((now, self._held, 0) if self._held_symbol == 0 else (now, 0, self._held))
            self._held = 0
        if self._due[0] or self._due[1]:
            self._send(now)

    def calm(self) -> bool:
        """Whether :meth:`status` can only be ``live``."""
        return (
            not self._held
            and self.untrusted_since is None
            and self.unacked_since is None
            and self.flood is FloodState.NORMAL
            and not self.wants_more_rest
            and self.received[0] == self._market.ids[0]
            and self.received[1] == self._market.ids[1]
        )

    def status(self, now: float) -> Status:
        """The product's own rule."""
        return status(
            Facts(
                stopping=False,
                anchored=self.process.answers,
                publisher=self.publisher,
                oldest_unacknowledged_seconds=self.unacknowledged_seconds(now),
                flood=self.flood,
                rate_limited=self.retry_after(now) > 0 and (self.polling or self.wants_more_rest),
                polling=self.polling,
                polls_answered=self.polls_answered,
                verdict=self.verdict,
                stream_proven=self.untrusted_since is None,
                behind=self._held > 0 or self.behind(),
            )
        )

    def symbol_states(self) -> tuple[str, str]:
        """Of each symbol."""
        behind = self.behind()
        first, second = (behind or (self._held > 0 and self.gap == symbol) for symbol in (0, 1))
        return "behind" if first else "live", "behind" if second else "live"

    @property
    def buffered(self) -> int:
        """Trades received and not acknowledged."""
        return self._due[0] + self._due[1]

    @property
    def publisher(self) -> PublisherState:
        """Whether trades are taken."""
        return PublisherState.PAUSED if self.buffered >= _BUFFER else PublisherState.OPEN

    def behind(self) -> bool:
        """Whether it knows of trades that it does not have."""
        known = self.verdict is Verdict.FEED_AT_FAULT or self.polling or self._ids_at_start is not None
        return known and any(r < i for r, i in zip(self.received, self._market.ids, strict=True))

    def unacknowledged_seconds(self, now: float) -> float:
        """Age of the oldest trade that Kafka does not have."""
        return 0.0 if self.unacked_since is None else now - self.unacked_since

    def retry_after(self, now: float) -> float:
        """Seconds that the exchange told it to keep quiet."""
        return max(0.0, self._market.retry_after_until - now)

    # --- Ways in -----------------------------------------------------------------------------------------------
    def begin(self, now: float) -> None:
        """It has been running since long before the story."""
        self._pid, self.data_at = self.process.pid, now

    def _boot(self, now: float) -> None:
        """Start behind what the topic holds; what is missing is fetched by id."""
        self._pid, self._ids_at_start = self.process.pid, list(self._market.ids)
        self.received = list(self.acked)
        self._unsent.clear()
        self._due = [0, 0]
        self.unacked_since, self.verdict, self.untrusted_since = None, None, None
        self.polling = self.polls_answered = False
        self.data_at = now
        self.invalid_total, self.times_limited, self.last_error = 0, 0, None

    def _receive(self, now: float) -> None:
        """Everything that was traded; after a pause, as much as REST gives in a second."""
        if self.buffered >= _BUFFER:
            return
        ids, received, due = self._market.ids, self.received, self._due
        first, second = ids[0] - received[0], ids[1] - received[1]
        if not (first or second):
            self._ids_at_start = None
            return
        if first + second > _REPAIR_PER_STEP and self._market.surge == [1.0, 1.0]:
            first, second = min(first, _REPAIR_PER_STEP // 2), min(second, _REPAIR_PER_STEP // 2)
        received[0] += first
        received[1] += second
        self.data_at = now
        if self.gap is not None:
            first, second = self._hold(first, second)
        due[0] += first
        due[1] += second
        self._unsent.append((now - 0.5, first, second))  # in the middle of the second, as it were

    def _hold(self, first: int, second: int) -> tuple[int, int]:
        """What follows on a gap waits for it."""
        self._held_symbol = self.gap or 0
        self._held += first if self._held_symbol == 0 else second
        return (0, second) if self._held_symbol == 0 else (first, 0)

    def _without_stream(self, now: float) -> None:
        stream = self._market.stream
        if stream is Stream.OK:  # the new connection brings trades again
            self.untrusted_since, self.polling, self.flood = None, False, FloodState.NORMAL
            self.window = [0, 0]
            self._receive(now)
            return
        if stream is Stream.GARBAGE:
            self._take_garbage()
        if stream is Stream.CLOSED:
            self.last_error = "stream: connection refused"
        if self.untrusted_since is None and (stream is Stream.CLOSED or self.verdict is Verdict.FEED_AT_FAULT):
            self.untrusted_since = now
        self.polling = self.untrusted_since is not None and now - self.untrusted_since >= _POLL_AFTER_SECONDS
        if self.polling:
            self.polls_answered = self._rest_answers(now)
            if self.polls_answered:
                self._receive(now)

    def _take_garbage(self) -> None:
        self.invalid_total += 20
        self.window = [0, 200]
        self.flood = FloodState.FLOOD
        self.last_error = "frame: Object missing required field `t`"

    def _ask(self, now: float) -> None:
        """The process asks the exchange itself after a silence (include.producer.silence)."""
        if now - self._asked_at < _SILENCE_SECONDS or now - self.data_at < _SILENCE_SECONDS + _GRACE_SECONDS:
            return
        self._asked_at = now
        if not self._rest_answers(now):
            limited = self._market.rest in (Code.RATE_LIMITED, Code.BANNED)
            self.verdict = Verdict.RATE_LIMITED if limited else Verdict.EXCHANGE_UNREACHABLE
        elif self.received == self._market.ids:
            self.verdict = Verdict.QUIET
        else:
            self.verdict = Verdict.FEED_AT_FAULT
            if self.buffered < _BUFFER and self._market.stream is not Stream.OK:
                self.untrusted_since = self.untrusted_since or now

    def _rest_answers(self, now: float) -> bool:
        self._count(now, _ORACLE_WEIGHT)
        if now < self._market.retry_after_until:
            return False
        if self._market.rest is None:
            return True
        if self._market.rest in (Code.RATE_LIMITED, Code.BANNED):
            self.times_limited += 1
            self._market.retry_after_until = now + (10.0 if self._market.rest is Code.RATE_LIMITED else 120.0)
        self.last_error = f"rest: {self._market.rest.value}"
        return False

    def use_rest(self, now: float) -> None:
        """One call more, for example of a repair."""
        self._rest_answers(now)

    def weight_used(self, now: float) -> int:
        """Of this minute."""
        self._count(now, 0)
        return self.weight

    def _count(self, now: float, weight: int) -> None:
        minute = int(now) // 60
        if minute != self._weight_minute:
            self._weight_minute, self.weight = minute, 3
        self.weight += weight

    # --- Way out -----------------------------------------------------------------------------------------------
    def _send(self, now: float) -> None:
        broker, due, unsent = self._broker, self._due, self._unsent
        if self.cut_off:
            self.unacked_since = unsent[0][0]
            return
        if broker.takes(0) and broker.takes(1):
            room = _FLUSH_PER_STEP
            while unsent and room > 0:
                made_at, first, second = unsent.popleft()
                self._acknowledge(0, first, made_at)
                self._acknowledge(1, second, made_at)
                room -= first + second
            self.unacked_since = unsent[0][0] if unsent else None
            return
        for partition in (0, 1):  # one partition may still take its symbol's trades
            if broker.takes(partition) and due[partition]:
                self._acknowledge(partition, due[partition], now)
                self._forget_sent(partition)
        waiting = next((made for made, *counts in unsent if any(counts)), None)
        self.unacked_since = waiting

    def _acknowledge(self, partition: int, count: int, made_at: float) -> None:
        if count:
            self._broker.append(partition, count, made_at)
            self.acked[partition] += count
            self._due[partition] -= count

    def _forget_sent(self, partition: int) -> None:
        kept = [(made, 0, second) if partition == 0 else (made, first, 0) for made, first, second in self._unsent]
        self._unsent = deque(entry for entry in kept if entry[1] or entry[2])
