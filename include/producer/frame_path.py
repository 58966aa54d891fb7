"""The hot path: bytes of a frame → validated → in id order → handed to Kafka. No I/O and no waiting of its own.

The value that goes to Kafka is the exchange's own JSON object, byte for byte.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from include.broker.dead_letters import DeadLetter, DeadLetterReason
from include.market.messages import RestTrade, TradeEvent
from include.producer.flood import FloodDetector, Storing
from include.producer.publisher import Origin, Publisher, Sent
from include.producer.sequencer import Offered
from include.producer.tracks import Track, Tracks
from include.producer.validation import (
    LONGEST_FRAME,
    Rejection,
    TradeCheck,
    decode_frame,
    decode_trade,
    explain_undecodable,
    is_shutdown_notice,
)
from include.runtime.clock import Clock

STAGE = "btc_producer"
_encode = msgspec.json.Encoder().encode


class FrameKind(StrEnum):
    """What a frame was."""

    TRADE = "trade"
    INVALID = "invalid"
    SHUTDOWN_NOTICE = "shutdown_notice"  # the exchange will close the connection soon


_TRADE = FrameKind.TRADE  # looked up once, not for each trade


class FramePath:
    """One instance for the process; every connection feeds into it.

    ``last_trade`` is the trade of the newest :attr:`FrameKind.TRADE`, for those who compare connections.
    """

    def __init__(self, tracks: Tracks, publisher: Publisher, check: TradeCheck, flood: FloodDetector, clock: Clock):
        self._tracks, self._by_symbol = tracks, tracks.by_symbol
        self.publisher = publisher
        self._check, self.flood, self._clock = check, flood, clock
        self.last_trade: TradeEvent | None = None
        self.reasons: dict[str, int] = {}
        self.dead_letters_dropped = 0

    def accept(self, frame: bytes, stream: str = "") -> FrameKind:
        """Take one frame from the exchange; ``stream`` names its source in a dead letter."""
        try:
            data = decode_frame(frame).data
            trade = decode_trade(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            if is_shutdown_notice(frame):
                return FrameKind.SHUTDOWN_NOTICE
            return self._reject(frame, explain_undecodable(frame, error), stream)
        rejection = self._check.problem(trade)
        if rejection is None and len(frame) > LONGEST_FRAME:
            rejection = Rejection(DeadLetterReason.SCHEMA_MISMATCH, f"{len(frame)} bytes are too long for a trade")
        if rejection is not None:
            return self._reject(frame, rejection, stream)
        track = self._by_symbol[trade.symbol]
        track.received += 1
        track.newest_event_time_ms = trade.trade_time_ms
        track.sequencer.offer(trade.trade_id, bytes(data))
        self.flood.valid += 1
        self.last_trade = trade
        return _TRADE

    def accept_rest(self, track: Track, row: RestTrade) -> Offered | None:
        """Take one trade that was fetched by id; None when it cannot be used.

        An unusable one proves that its id exists: when its turn comes it is dead-lettered and passed over.
        """
        trade = row.as_event(track.symbol)
        value = _encode(trade)
        if (rejection := self._check.problem(trade)) is not None:
            if row.trade_id == track.sequencer.next_id:
                self._reject(value, rejection, f"rest:{track.symbol}:{row.trade_id}")
                track.pass_over(row.trade_id)
            return None
        self.flood.valid += 1
        offered = track.sequencer.offer(trade.trade_id, value, Origin.REST)
        if offered is Offered.PUBLISHED:
            track.newest_event_time_ms = max(track.newest_event_time_ms, trade.trade_time_ms)
        return offered

    def _reject(self, frame: bytes, rejection: Rejection, stream: str) -> FrameKind:
        if self.flood.invalid_frame() is not Storing.COUNT_ONLY:
            self._store(frame, rejection, stream)
        self._count(rejection)
        return FrameKind.INVALID

    def _store(self, raw: bytes, rejection: Rejection, origin: str) -> None:
        letter = DeadLetter(raw, rejection.reason, rejection.detail, STAGE, origin, self._clock.time_ms())
        if self.publisher.send_dead_letter(letter) is not Sent.TAKEN:
            self.dead_letters_dropped += 1

    def _count(self, rejection: Rejection) -> None:
        self.reasons[rejection.reason.value] = self.reasons.get(rejection.reason.value, 0) + 1
