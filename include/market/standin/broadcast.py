"""Turns what happened since the last tick into stream events, each encoded once for all clients."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from include.market.standin.distortion import Distortion
from include.market.standin.faults import Faults
from include.market.standin.ledger import Ledger
from include.market.standin.payloads import (
    TimeUnit,
    aggregate_payload,
    aggregates,
    combined,
    text_frame,
    trade_payloads,
)

_MOST_TRADES = 20_000  # of one symbol in one tick; the rest follows in the next ones

Encoder = Callable[[int, int, TimeUnit], list[bytes]]  # (first, stop, unit) → payloads of these ids, in order


class Batch:
    """Events of one stream in one tick; frames are made on demand for each form that a client asked for."""

    def __init__(self, stream: str, encode: Callable[[TimeUnit], list[bytes]]) -> None:
        self.stream = stream
        self._encode = encode
        self._payloads: dict[TimeUnit, list[bytes]] = {}
        self._frames: dict[tuple[bool, TimeUnit], bytes] = {}

    def payloads(self, unit: TimeUnit) -> list[bytes]:
        """The events without wrapper and frame."""
        if unit not in self._payloads:
            self._payloads[unit] = self._encode(unit)
        return self._payloads[unit]

    def frames(self, is_combined: bool, unit: TimeUnit) -> bytes:
        """The events as WebSocket frames, joined."""
        key = (is_combined, unit)
        if key not in self._frames:
            events: Iterable[bytes] = self.payloads(unit)
            if is_combined:
                events = (combined(self.stream, event) for event in events)
            self._frames[key] = b"".join(map(text_frame, events))
        return self._frames[key]


class TradeBroadcast:
    """``@trade`` and ``@aggTrade`` events of one symbol, with the delivery faults applied."""

    def __init__(self, ledger: Ledger, symbol: str, seed: int) -> None:
        self._ledger, self._symbol = ledger, symbol
        self._sent = ledger.next_id(symbol)
        self._trade_stream, self._aggregate_stream = f"{symbol.lower()}@trade", f"{symbol.lower()}@aggTrade"
        self._trade_faults = Distortion(seed, symbol, "trade")
        self._aggregate_faults = Distortion(seed, symbol, "aggTrade")

    @property
    def caught_up(self) -> bool:
        """Whether all trades that have happened were handed out."""
        return self._sent == self._ledger.next_id(self._symbol)

    def batches(self, wanted: Callable[[str], bool], faults: Faults) -> list[Batch]:
        """Events since the last call, for the streams that are ``wanted``."""
        first, stop = self._sent, self._whole_orders(self._sent, self._ledger.next_id(self._symbol))
        self._sent = stop
        event_us = self._ledger.now_us + faults.clock_skew_ms * 1000
        batches = []
        if wanted(self._trade_stream):
            encode = self._trades(event_us)
            batches.append(self._batch(self._trade_stream, self._trade_faults, range(first, stop), encode, faults))
        if wanted(self._aggregate_stream):
            ids = range(self._aggregate_at(first), self._aggregate_at(stop))
            encode = self._aggregates(event_us)
            batches.append(self._batch(self._aggregate_stream, self._aggregate_faults, ids, encode, faults))
        return [batch for batch in batches if batch is not None]

    def _batch(
        self, stream: str, distortion: Distortion, fresh: range, encode: Encoder, faults: Faults
    ) -> Batch | None:
        ids = distortion.plan(fresh.start, fresh.stop, faults, self._ledger.now_us)
        if not ids:
            return None

        def payloads(unit: TimeUnit) -> list[bytes]:
            return distortion.spoil(ids, _encode_ids(ids, fresh, encode, unit), faults)

        return Batch(stream, payloads)

    def _trades(self, event_us: int) -> Encoder:
        def encode(first: int, stop: int, unit: TimeUnit) -> list[bytes]:
            columns = self._ledger.columns(self._symbol, first, stop)
            return trade_payloads(self._symbol, columns, event_us, unit)

        return encode

    def _aggregates(self, event_us: int) -> Encoder:
        def encode(first: int, stop: int, unit: TimeUnit) -> list[bytes]:
            bounds = (self._ledger.first_of_aggregate(self._symbol, a) for a in (first, stop))
            found = aggregates(self._ledger.columns(self._symbol, *bounds))
            return [aggregate_payload(self._symbol, item, event_us, unit) for item in found]

        return encode

    def _whole_orders(self, first: int, stop: int) -> int:
        """Where to stop in this tick: at most so many trades, and never within an order."""
        if stop - first <= _MOST_TRADES:
            return stop
        order = self._aggregate_at(first + _MOST_TRADES)
        cut = self._ledger.first_of_aggregate(self._symbol, order)
        return cut if cut > first else self._ledger.first_of_aggregate(self._symbol, order + 1)

    def _aggregate_at(self, trade_id: int) -> int:
        """Aggregate of a trade; one past the newest aggregate for the trade to come."""
        if trade_id < self._ledger.next_id(self._symbol):
            return int(self._ledger.columns(self._symbol, trade_id, trade_id + 1).aggregate[0])
        newest = self._ledger.columns(self._symbol, trade_id - 1, trade_id).aggregate
        return int(newest[0]) + 1 if len(newest) else 0


def _encode_ids(ids: Sequence[int], fresh: range, encode: Encoder, unit: TimeUnit) -> list[bytes]:
    """Payloads in the order of ``ids``, which are mostly those of ``fresh``; the others were held back earlier."""
    if ids == fresh:
        return encode(fresh.start, fresh.stop, unit)
    known = dict(zip(fresh, encode(fresh.start, fresh.stop, unit), strict=True)) if fresh else {}
    return [known[i] if i in known else encode(i, i + 1, unit)[0] for i in ids]
