"""What the producer knows about each symbol."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from include.producer.publisher import Channel
from include.producer.sampling import EVERYTHING, Sampling
from include.producer.sequencer import UNKNOWN, IdRange, Sequencer

_REMEMBERED = 20


class SymbolState(StrEnum):
    """Where a symbol stands."""

    STARTING = "starting"  # its first id is not known yet
    LIVE = "live"  # everything that is known to exist has been handed to Kafka
    BEHIND = "behind"  # trades are missing and being fetched by id


@dataclass
class Track:
    """One symbol. ``skipped`` are ids left out by the backfill limit, ``exchange_holes`` ids that do not exist,
    ``unusable`` ids whose trades failed validation."""

    symbol: str
    sequencer: Sequencer
    channel: Channel
    first_id: int = 0  # where it was started
    received: int = 0  # trades that came by stream, repeated ones included
    polled: int = UNKNOWN  # newest id that polling brought before the stream did
    newest_event_time_ms: int = 0
    skipped: list[IdRange] = field(default_factory=list)
    exchange_holes: list[IdRange] = field(default_factory=list)
    unusable: list[int] = field(default_factory=list)
    ids_skipped: int = 0
    ids_without_trade: int = 0
    ids_unusable: int = 0
    sampling: Sampling = EVERYTHING

    @property
    def settled(self) -> int | None:
        """Newest id with which nothing is left to do: acknowledged by Kafka, or left out behind such a one."""
        acknowledged, next_id = self.channel.acknowledged, self.sequencer.next_id
        if not self.sampling.reduced or next_id == UNKNOWN:
            return acknowledged
        settled = self.first_id - 1 if acknowledged is None else acknowledged
        return min(next_id, self.sampling.first_published(settled + 1)) - 1

    @property
    def state(self) -> SymbolState:
        """Where the symbol stands."""
        sequencer = self.sequencer
        if sequencer.next_id == UNKNOWN:
            return SymbolState.STARTING
        return SymbolState.LIVE if sequencer.newest_seen < sequencer.next_id else SymbolState.BEHIND

    def skip(self, ids: IdRange) -> None:
        """Leave ``ids`` out for good (the backfill limit), and say so in ``/health``."""
        self.skipped = [*self.skipped, ids][-_REMEMBERED:]
        self.ids_skipped += len(ids)
        self.sequencer.anchor(ids.last + 1)

    def mark_hole(self, ids: IdRange) -> None:
        """The exchange has no trades with ``ids``: go on behind them."""
        self.exchange_holes = [*self.exchange_holes, ids][-_REMEMBERED:]
        self.ids_without_trade += len(ids)
        self.sequencer.anchor(ids.last + 1)

    def pass_over(self, trade_id: int) -> None:
        """The exchange's trade with this id, the next one, is unusable: go on behind it."""
        self.unusable = [*self.unusable, trade_id][-_REMEMBERED:]
        self.ids_unusable += 1
        self.sequencer.anchor(trade_id + 1)

    def describe(self) -> dict[str, object]:
        """For ``/health``."""
        sequencer = self.sequencer
        known = sequencer.next_id != UNKNOWN
        return {
            "received": sequencer.newest_seen if sequencer.newest_seen != UNKNOWN else None,
            "acknowledged": self.channel.acknowledged,
            "settled": self.settled,
            "next": sequencer.next_id if known else None,
            "newest_event_time_ms": self.newest_event_time_ms or None,
            "state": self.state.value,
            "trades_received": self.received,
            "duplicates_dropped": sequencer.duplicates,
            "held": sequencer.held,
            "skipped": [[ids.first, ids.last] for ids in self.skipped],
            "exchange_holes": [[ids.first, ids.last] for ids in self.exchange_holes],
            "unusable": self.unusable,
        }


class Tracks:
    """All symbols of this process, by name."""

    def __init__(self, tracks: list[Track]) -> None:
        self.by_symbol = {track.symbol: track for track in tracks}

    def __iter__(self) -> Iterator[Track]:
        return iter(self.by_symbol.values())

    def __getitem__(self, symbol: str) -> Track:
        return self.by_symbol[symbol]

    @property
    def symbols(self) -> frozenset[str]:
        """Names of the symbols."""
        return frozenset(self.by_symbol)
