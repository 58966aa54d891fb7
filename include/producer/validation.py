"""Is this frame a trade that may enter the pipeline? Types by msgspec, then ranges.

The bounds are the sink's: prices and quantities go to ``DECIMAL(18,8)`` columns, ids to signed 64-bit ones. A time in
the far future would push the stream processor's watermark and make it drop every honest trade, hence the upper bound.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import msgspec

from include.broker.dead_letters import DeadLetterReason
from include.market.messages import CombinedFrame, TradeEvent, event_kind
from include.runtime.clock import Clock

LONGEST_FRAME = 4096  # bytes; a trade with its wrapper has some 200
GREATEST_ID = 2**63 - 1
_EARLIEST_MS = 1_483_228_800_000  # 2017, the year the exchange opened
_AHEAD_MS = 600_000  # more than any clock error; it is also as far as one junk time can push the watermark

decode_frame = msgspec.json.Decoder(CombinedFrame).decode
decode_trade = msgspec.json.Decoder(TradeEvent).decode
_is_decimal = re.compile(r"(?=[0.]*[1-9])[0-9]{1,10}(?:\.[0-9]{1,8})?").fullmatch


@dataclass(frozen=True)
class Rejection:
    """Why a message is no usable trade: the class, and a sentence for people."""

    reason: DeadLetterReason
    detail: str


class TradeCheck:
    """Range checks of one process: which symbols it follows, and what time it is.

    :attr:`latest_ms` is moved by :meth:`refresh`, not read from the clock for each trade.
    """

    def __init__(self, symbols: frozenset[str], clock: Clock) -> None:
        self._symbols, self._clock = symbols, clock
        self.latest_ms = 0
        self.refresh()

    def refresh(self) -> None:
        """Let the latest acceptable time follow the clock."""
        self.latest_ms = self._clock.time_ms() + _AHEAD_MS

    def problem(self, trade: TradeEvent) -> Rejection | None:
        """What is wrong with a trade that has the right types; None when nothing is."""
        if (
            _is_decimal(trade.price)
            and _is_decimal(trade.quantity)
            and 0 <= trade.trade_id <= GREATEST_ID
            and _EARLIEST_MS <= trade.trade_time_ms <= self.latest_ms
            and trade.symbol in self._symbols
        ):
            return None
        return self._explain(trade)

    def _explain(self, trade: TradeEvent) -> Rejection:
        out_of_range = DeadLetterReason.VALUE_OUT_OF_RANGE
        if trade.symbol not in self._symbols:
            return Rejection(DeadLetterReason.UNEXPECTED_SYMBOL, f"symbol {trade.symbol[:40]!r} is not followed")
        for name, text in (("p", trade.price), ("q", trade.quantity)):
            if not _is_decimal(text):
                detail = f"{name} {text[:40]!r} is not a positive decimal of at most 10 digits and 8 decimals"
                return Rejection(out_of_range, detail)
        if not 0 <= trade.trade_id <= GREATEST_ID:
            return Rejection(out_of_range, f"t {str(trade.trade_id)[:40]} is not a 64-bit id")
        return Rejection(
            out_of_range, f"T {str(trade.trade_time_ms)[:40]} is not a time in ms from 2017 to ten minutes from now"
        )


def explain_undecodable(frame: bytes, error: Exception) -> Rejection:
    """Classify a frame that is no trade by its types; ``error`` is what the decoder said."""
    try:
        msgspec.json.decode(frame)  # all of it: a typed decoder stops at the first thing it did not expect
        event = event_kind(frame)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as malformed:
        return Rejection(DeadLetterReason.MALFORMED_JSON, str(malformed)[:200])
    if event is not None and event != "trade":
        return Rejection(DeadLetterReason.UNEXPECTED_EVENT, f"event {event[:40]!r} instead of 'trade'")
    return Rejection(DeadLetterReason.SCHEMA_MISMATCH, str(error)[:200])


def is_shutdown_notice(frame: bytes) -> bool:
    """Whether a frame is ``serverShutdown``."""
    try:
        return b"serverShutdown" in frame and event_kind(frame) == "serverShutdown"
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
