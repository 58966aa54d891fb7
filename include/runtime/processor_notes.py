"""Small files between stream_processor and whoever heals it: why it gave up, what it is told to do, what it set aside.

A process that gives up is gone with its ``/health``: what it failed with must outlive it. And an order must reach a
process that has not started yet. Every file is whole on disk or not there; one that cannot be read counts as absent.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from include.runtime.files import write_whole
from include.settings import Settings

_MOST_REMEMBERED = 1000


@dataclass(frozen=True, slots=True)
class Culprit:
    """A record because of which a batch cannot be counted. ``symbol`` and ``trade_id`` are ``None`` where the record
    cannot even be read as a trade; ``error`` is what was said about it.
    """

    partition: int
    offset: int
    error: str
    symbol: str | None = None
    trade_id: int | None = None

    @property
    def name(self) -> str:
        """For people: ``BTCUSDT 4711`` or its place in the topic."""
        place = f"partition {self.partition} offset {self.offset}"
        return place if self.symbol is None else f"{self.symbol} {self.trade_id} ({place})"


@dataclass(frozen=True, slots=True)
class LastFailure:
    """Why the process gave up. ``kind``: class of the error in the words of ``/health``; ``times``: how often it gave
    up in a row with this class on this batch. ``culprits``: rows at fault, as far as they were found (at most 20);
    ``more_culprits``: there are more, so it is not a matter of single rows.
    """

    kind: str
    message: str
    at: str  # ISO 8601, UTC
    number: int | None = None
    query_id: str | None = None
    batch_id: int | None = None
    times: int = 1
    culprits: tuple[Culprit, ...] = ()
    more_culprits: bool = False


@dataclass(frozen=True, slots=True)
class IsolationOrder:
    """Told once: if the next batch cannot be counted, put the rows at fault (at most ``most``) into the dead letters
    and count the rest. ``until_ms``: it is void afterwards (milliseconds since the epoch).
    """

    by: str
    incident_id: str
    until_ms: int
    most: int = 100


@dataclass(frozen=True, slots=True)
class SetAside:
    """Rows that were put into the dead letters on order. Sent again, they are put there again without a new one."""

    trades: frozenset[tuple[str, int]] = field(default_factory=frozenset)

    def knows(self, culprits: Iterable[Culprit]) -> bool:
        """Whether each of ``culprits`` is one of them."""
        return all((culprit.symbol, culprit.trade_id) in self.trades for culprit in culprits)


class ProcessorNotes:
    """The files under ``<data>/stream_processor``. One process writes each; any may read."""

    def __init__(self, settings: Settings) -> None:
        folder = settings.data_dir / "stream_processor"
        self._failure, self._order = folder / "last_failure.json", folder / "isolation_order.json"
        self._set_aside = folder / "set_aside.json"

    def failure(self) -> LastFailure | None:
        """Why it gave up, until a batch is committed again."""
        found = _read(self._failure)
        try:
            culprits = tuple(Culprit(**each) for each in found.pop("culprits")) if found else ()
            return LastFailure(**found, culprits=culprits) if found else None
        except (KeyError, TypeError):
            return None

    def gave_up(self, failure: LastFailure) -> None:
        """Remember it, counted up if it is the same trouble on the same batch as before."""
        before = self.failure()
        same = before is not None and _place(before) == _place(failure)
        times = before.times + 1 if before is not None and same else 1
        _write(self._failure, {**asdict(failure), "times": times})

    def recovered(self) -> None:
        """A batch is committed: nothing to tell, and an order is carried out."""
        self._failure.unlink(missing_ok=True)
        self._order.unlink(missing_ok=True)

    def order(self, now_ms: int) -> IsolationOrder | None:
        """The order in force."""
        found = _read(self._order)
        try:
            order = IsolationOrder(**found) if found else None
        except TypeError:
            return None
        return order if order is not None and now_ms < order.until_ms else None

    def give_order(self, order: IsolationOrder) -> None:
        """In the place of an earlier one."""
        _write(self._order, asdict(order))

    def withdraw_order(self) -> bool:
        """Whether there was one."""
        found = self._order.exists()
        self._order.unlink(missing_ok=True)
        return found

    def set_aside(self) -> SetAside:
        """Rows put into the dead letters on order so far, the newest thousand."""
        found = _read(self._set_aside) or {}
        try:
            return SetAside(frozenset((str(symbol), int(trade)) for symbol, trade in found.get("trades", ())))
        except (TypeError, ValueError):
            return SetAside()

    def remember_set_aside(self, culprits: Iterable[Culprit]) -> None:
        """Add rows that could be read as trades."""
        fresh = [[each.symbol, each.trade_id] for each in culprits if each.symbol is not None]
        known = (_read(self._set_aside) or {}).get("trades", [])
        trades = [*(each for each in known if each not in fresh), *fresh]
        _write(self._set_aside, {"trades": trades[-_MOST_REMEMBERED:]})


def _place(failure: LastFailure) -> tuple[object, ...]:
    return failure.kind, failure.query_id, failure.batch_id


def _read(path: Path) -> dict[str, Any]:
    """Empty when there is none, or none that can be read."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _write(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(content, indent=1) + "\n")
