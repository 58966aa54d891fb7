"""The JSON of the trade streams, byte for byte in the exchange's field order, and WebSocket frames around it.

Each trade is encoded once for all clients, so the text is built directly instead of through a general encoder.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from include.market.standin.trades import UNITS, TradeColumns, text

_TRUTH = {False: "false", True: "true"}


class TimeUnit(IntEnum):
    """Unit of the times in answers and events, as the number of microseconds in it."""

    MICROSECOND = 1
    MILLISECOND = 1000


def trade_payloads(symbol: str, trades: TradeColumns, event_us: int, unit: TimeUnit) -> list[bytes]:
    """``<symbol>@trade`` events in id order."""
    head = f'{{"e":"trade","E":{event_us // unit},"s":"{symbol}","t":'
    rows = trades.rows(unit)
    return [
        (
            f'{head}{trade_id},"p":"{p // UNITS}.{p % UNITS:08d}","q":"{q // UNITS}.{q % UNITS:08d}",'
            f'"T":{time},"m":{_TRUTH[maker]},"M":{_TRUTH[best]}}}'
        ).encode()
        for trade_id, p, q, time, maker, best in rows
    ]


@dataclass(frozen=True, slots=True)
class Aggregate:
    """An aggregate trade: what one taker order traded at one price."""

    id: int
    price: int
    qty: int
    first_id: int
    last_id: int
    time_us: int
    buyer_maker: bool
    best_match: bool

    def fields(self, unit: TimeUnit) -> dict[str, object]:
        """The aggregate as REST gives it."""
        return {
            "a": self.id,
            "p": text(self.price),
            "q": text(self.qty),
            "f": self.first_id,
            "l": self.last_id,
            "T": self.time_us // unit,
            "m": self.buyer_maker,
            "M": self.best_match,
        }


def aggregates(trades: TradeColumns) -> list[Aggregate]:
    """The aggregates that whole runs of trades make up."""
    found: list[Aggregate] = []
    rows = zip(trades.aggregate.tolist(), trades.qty.tolist(), strict=True)
    start, qty, current = 0, 0, None
    for index, (aggregate_id, trade_qty) in enumerate(rows):
        if aggregate_id != current:
            if current is not None:
                found.append(_aggregate(trades, start, index, current, qty))
            start, qty, current = index, 0, aggregate_id
        qty += trade_qty
    if current is not None:
        found.append(_aggregate(trades, start, len(trades), current, qty))
    return found


def _aggregate(trades: TradeColumns, start: int, stop: int, aggregate_id: int, qty: int) -> Aggregate:
    return Aggregate(
        aggregate_id,
        int(trades.price[start]),
        qty,
        trades.first_id + start,
        trades.first_id + stop - 1,
        int(trades.time_us[start]),
        bool(trades.buyer_maker[start]),
        bool(trades.best_match[start]),
    )


def aggregate_payload(symbol: str, item: Aggregate, event_us: int, unit: TimeUnit) -> bytes:
    """An ``<symbol>@aggTrade`` event."""
    return (
        f'{{"e":"aggTrade","E":{event_us // unit},"s":"{symbol}","a":{item.id},"p":"{text(item.price)}",'
        f'"q":"{text(item.qty)}","f":{item.first_id},"l":{item.last_id},"T":{item.time_us // unit},'
        f'"m":{_TRUTH[item.buyer_maker]},"M":{_TRUTH[item.best_match]}}}'
    ).encode()


def combined(stream: str, payload: bytes) -> bytes:
    """The wrapper of combined streams."""
    return b'{"stream":"%b","data":%b}' % (stream.encode(), payload)


def text_frame(payload: bytes) -> bytes:
    """A complete, unmasked WebSocket text frame (RFC 6455 §5.2)."""
    return frame(0x1, payload)


def frame(opcode: int, payload: bytes) -> bytes:
    """A complete, unmasked WebSocket frame (RFC 6455 §5.2)."""
    size = len(payload)
    if size < 126:
        return bytes((0x80 | opcode, size)) + payload
    if size < 65_536:
        return b"%c\x7e%b%b" % (0x80 | opcode, size.to_bytes(2, "big"), payload)
    return b"%c\x7f%b%b" % (0x80 | opcode, size.to_bytes(8, "big"), payload)
