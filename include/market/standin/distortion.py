"""Applies the delivery faults to the trades of one tick: which are sent, in which order, and how they are spoilt."""

from __future__ import annotations

import heapq

import numpy as np

from include.market.standin.faults import Faults
from include.market.standin.generator import key_of, uniform

_ORDERING = ("drop_ratio", "duplicate_ratio", "reorder_ratio", "late_ratio")
_SPOILING = ("malformed_ratio", "wrong_type_ratio", "null_price_ratio", "unknown_field_ratio")
_MOST_LATE = 100_000  # trades held back; beyond it they are sent on time


class Distortion:
    """The delivery faults of one stream (``@trade`` or ``@aggTrade`` of one symbol)."""

    def __init__(self, seed: int, symbol: str, kind: str) -> None:
        self._symbol, self._kind = symbol, kind
        self._keys = {name: key_of(seed, symbol, kind, name) for name in _ORDERING + _SPOILING}
        self._late: list[tuple[int, int]] = []  # heap of (due in µs, id)
        self._waiting: int | None = None  # to be sent after the next trade

    def plan(self, first: int, stop: int, faults: Faults, now_us: int) -> range | list[int]:
        """Ids to send now, in order: a range when all are sent once and in order."""
        late = self._due(now_us)
        if not (faults.drop_ids or self._waiting is not None or any(getattr(faults, name) for name in _ORDERING)):
            return [*late, *range(first, stop)] if late else range(first, stop)
        dropped = self._hit(range(first, stop), "drop_ratio", faults)
        ids = [i for i in range(first, stop) if i not in dropped and not self._in_dropped_range(i, faults)]
        ids = self._swap(self._hold_back(ids, faults, now_us), faults)
        twice = self._hit(ids, "duplicate_ratio", faults)
        return late + [i for i in ids for _ in range(2 if i in twice else 1)]

    def spoil(self, ids: range | list[int], payloads: list[bytes], faults: Faults) -> list[bytes]:
        """The payloads as they are sent; ``payloads`` belong to ``ids``."""
        for name in _SPOILING:
            hit = self._hit(ids, name, faults)
            if hit:
                payloads = [_spoil(name, p) if i in hit else p for i, p in zip(ids, payloads, strict=True)]
        return payloads

    def _hit(self, ids: range | list[int], name: str, faults: Faults) -> set[int]:
        ratio = getattr(faults, name)
        if not ratio or not ids:
            return set()
        values = np.array(ids, np.uint64)
        return set(values[uniform(self._keys[name], values) < ratio].tolist())

    def _in_dropped_range(self, item: int, faults: Faults) -> bool:
        return self._kind == "trade" and any(
            r.symbol == self._symbol and r.first <= item <= r.last for r in faults.drop_ids
        )

    def _hold_back(self, ids: list[int], faults: Faults, now_us: int) -> list[int]:
        held = self._hit(ids, "late_ratio", faults) if len(self._late) < _MOST_LATE else set()
        for item in held:
            heapq.heappush(self._late, (now_us + round(faults.late_seconds * 1e6), item))
        return [i for i in ids if i not in held]

    def _due(self, now_us: int) -> list[int]:
        due = []
        while self._late and self._late[0][0] <= now_us:
            due.append(heapq.heappop(self._late)[1])
        return due

    def _swap(self, ids: list[int], faults: Faults) -> list[int]:
        """A trade that is hit waits for the next one, in this tick or a later one, and follows it."""
        hit = self._hit(ids, "reorder_ratio", faults)
        ordered: list[int] = []
        for item in ids:
            if self._waiting is not None:
                ordered += [item, self._waiting]
                self._waiting = None
            elif item in hit:
                self._waiting = item
            else:
                ordered.append(item)
        return ordered


def _spoil(name: str, payload: bytes) -> bytes:
    if name == "malformed_ratio":
        return payload[: len(payload) // 2]
    if name == "unknown_field_ratio":
        return payload[:-1] + b',"x_undocumented":"1"}'
    head, _, rest = payload.partition(b'"p":"')
    price, _, tail = rest.partition(b'"')
    return head + b'"p":' + (price if name == "wrong_type_ratio" else b"null") + tail
