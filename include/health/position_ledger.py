"""Where the way of a trade is interrupted: the first hop whose input advances while its output does not.

Detection §2. Trade ids (exchange, received, acknowledged, counted) and offsets (log end, finished, counted) can be
compared, so a market in which nothing happens is told apart from a stall by the positions themselves. Where two
neighbours speak of different things (acknowledged ids and the log end; counted ids and rows) only their movement can be
compared. A hop that was not seen lately is left out: its neighbours are compared with one another.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from include.health.config import DetectorConfig
from include.health.observations import (
    ExchangeFacts,
    Facts,
    Observation,
    OffsetsFacts,
    Probe,
    ProcessorFacts,
    ProducerFacts,
    RowsFacts,
)
from include.health.verdicts import Hop, Stall

_CHECK_SECONDS, _CHECK_AGAIN_SECONDS = 6.0, 2.0  # as long as everything moves, and else; windows are 10 s and longer
_FRESH_SECONDS = 10.0  # without a new look for longer, a position is not known; slow probes have three looks
_EXCUSED_SECONDS = 30.0
_PRODUCER_HOPS = (Hop.EXCHANGE, Hop.RECEIVED, Hop.ACKNOWLEDGED, Hop.LOG_END)
_NAMES = {
    Hop.EXCHANGE: "the exchange's newest trade",
    Hop.RECEIVED: "what btc_producer received",
    Hop.ACKNOWLEDGED: "what Kafka acknowledged",
    Hop.LOG_END: "the end of crypto-trades",
    Hop.FINISHED: "what stream_processor finished",
    Hop.COUNTED: "what is counted in MySQL",
    Hop.ROWS: "the newest row of moving_averages",
}


class _Unit(Enum):
    ID = "trade id"  # by symbol
    OFFSET = "offset"  # by partition
    MOMENT = "moment"  # seconds, one for all


class _Position:
    """One hop: by unit and key, where it is and since when. ``moved_at``: when it was last seen moving, which must have
    happened after ``moved_after``. ``excused_at``: when it last waited for what comes behind it.
    """

    def __init__(self) -> None:
        self.places: dict[_Unit, dict[str | int, tuple[int, float]]] = {}
        self._sampled: dict[_Unit, float] = {}
        self.sampled_at = self.moved_at = self.moved_after = 0.0
        self.excused_at = float("-inf")

    def sample(
        self,
        at: float,
        unit: _Unit,
        positions: Iterable[tuple[str | int, int | None]],
        *,
        moves: bool = True,
        only_ahead: bool = False,
    ) -> None:
        """It was seen at these positions. ``moves``: whether what follows must move when this does. ``only_ahead``:
        of several sources that tell of it one is later than the other.
        """
        places = self.places.get(unit)
        if places is None:
            places = self.places[unit] = {}
        moved = False
        for key, position in positions:
            if position is None:
                continue
            known = places.get(key)
            if known is None:
                places[key] = (position, at)
            elif position > known[0]:
                places[key] = (position, at)
                moved = True
            elif position < known[0] and not only_ahead:
                places[key] = (position, at)
        if moved and moves:
            self.moved_at, self.moved_after = at, self._sampled.get(unit, 0.0)
        self._sampled[unit] = at
        self.sampled_at = max(self.sampled_at, at)


class PositionLedger:
    """Feed it every observation; ask it for the first stalled hop."""

    def __init__(self, config: DetectorConfig) -> None:
        near = max(10.0, 2 * config.micro_batch_seconds)
        far = max(15.0, 3 * config.micro_batch_seconds)
        self._windows = {hop: near if hop in _PRODUCER_HOPS else far for hop in Hop}
        self._row_seconds = 2.0 + 2 * config.micro_batch_seconds  # a trade's way, and clocks that differ a little
        self._positions = {hop: _Position() for hop in Hop}
        self._behind: dict[tuple[Hop, Hop, str | int | None], float] = {}  # since when the later one is behind
        self._fresh = dict.fromkeys(Hop, _FRESH_SECONDS)
        self._fresh[Hop.EXCHANGE] = max(_FRESH_SECONDS, 3 * config.looks.get(Probe.EXCHANGE, 0.0))
        self._newest: dict[Probe, tuple[float, Facts]] = {}
        self._check_due = 0.0
        self._oldest = 0.0  # since when something has been behind without moving, at the last check
        self._stall: Stall | None = None

    def observe(self, at: float, observation: Observation) -> None:
        """Keep the facts of an observation; those of other probes, and failed ones, tell of no position."""
        facts = observation.facts
        if facts is not None:
            self._newest[observation.probe] = (at, facts)

    def stall(self, at: float) -> Stall | None:
        """The first stalled hop, looked for every few seconds; ``since`` is when its input was first seen ahead."""
        if at >= self._check_due:
            for when, facts in self._newest.values():
                self._take(when, facts)
            self._newest.clear()
            self._oldest = at
            self._stall = self._find(at)
            moves = self._stall is None and at - self._oldest < _CHECK_SECONDS / 2
            self._check_due = at + (_CHECK_SECONDS if moves else _CHECK_AGAIN_SECONDS)
        return self._stall

    def resumed(self, at: float) -> None:
        """Nobody looked for a while, up to ``at``: what stood still meanwhile is not known."""
        self._positions = {hop: _Position() for hop in Hop}
        self._behind.clear()
        self._newest.clear()
        self._stall, self._check_due = None, at

    # --- Taking positions ----------------------------------------------------------------------------------------
    def _take(self, at: float, facts: Facts) -> None:
        positions = self._positions
        match facts:
            case ProducerFacts(symbols=symbols):
                received = [(s, own.received) for s, own in symbols.items()]
                acknowledged = [(s, own.acknowledged) for s, own in symbols.items()]
                positions[Hop.RECEIVED].sample(at, _Unit.ID, received)
                positions[Hop.ACKNOWLEDGED].sample(at, _Unit.ID, acknowledged)
            case OffsetsFacts(partitions=partitions):
                ends = [(p, own.end) for p, own in partitions.items()]
                committed = [(p, own.committed) for p, own in partitions.items()]
                positions[Hop.LOG_END].sample(at, _Unit.OFFSET, ends)
                positions[Hop.FINISHED].sample(at, _Unit.OFFSET, committed, only_ahead=True)
            case ProcessorFacts(offsets=offsets):
                positions[Hop.FINISHED].sample(at, _Unit.OFFSET, offsets.items(), only_ahead=True)
                self._counted(at, offsets)  # by its own word, while MySQL cannot be asked
                if facts.batch_phase == "mysql" or facts.status == "retrying_mysql":  # its own work is done
                    positions[Hop.FINISHED].excused_at = at
            case RowsFacts():
                self._rows(at, facts)
            case ExchangeFacts(newest=newest):
                positions[Hop.EXCHANGE].sample(at, _Unit.ID, newest.items())

    def _counted(self, at: float, offsets: dict[int, int]) -> None:
        """A batch may have nothing to count, so that these may move and the rows need not."""
        self._positions[Hop.COUNTED].sample(at, _Unit.OFFSET, offsets.items(), moves=False, only_ahead=True)

    def _rows(self, at: float, facts: RowsFacts) -> None:
        self._counted(at, facts.offsets)
        self._positions[Hop.COUNTED].sample(at, _Unit.ID, facts.counted.items())
        if facts.row_age_seconds is not None:
            moment = int(at - facts.row_age_seconds)
            self._positions[Hop.ROWS].sample(at, _Unit.MOMENT, (("rows", moment),))

    # --- Finding the stall ---------------------------------------------------------------------------------------
    def _find(self, at: float) -> Stall | None:
        before: Hop | None = None
        for hop, position in self._positions.items():
            if at - position.sampled_at > self._fresh[hop] or at - position.excused_at < _EXCUSED_SECONDS:
                continue
            if before is not None:
                since = self._stalled_since(at, before, hop)
                if since is not None:
                    if position.sampled_at - since >= self._windows[hop]:
                        return self._described(before, hop, since)
                    self._oldest = min(self._oldest, since)
            before = hop
        return None

    def _stalled_since(self, at: float, before: Hop, hop: Hop) -> float | None:
        """Since when the one has been ahead and the other has stood still; ``None`` if it keeps up."""
        ahead_of, position = self._positions[before], self._positions[hop]
        if moment := position.places.get(_Unit.MOMENT):  # rows tell when they were written: not before that
            behind = moment["rows"][0] < ahead_of.moved_after - self._row_seconds
            return self._noted((before, hop, None), at, behind=behind)
        compared, earliest = False, None
        for unit, ahead in ahead_of.places.items():
            own = position.places.get(unit)
            if own is None:
                continue
            compared = True
            for key, (place, moved_at) in own.items():
                other = ahead.get(key)
                since = self._noted((before, hop, key), at, behind=other is not None and other[0] > place)
                if since is not None:
                    since = max(since, moved_at)
                    earliest = since if earliest is None or since < earliest else earliest
        if compared:
            return earliest
        # Only movement can be compared, and looks at the two are not made at one moment: the one must have moved for
        # certain after the other was last seen moving.
        since = self._noted((before, hop, None), at, behind=ahead_of.moved_after >= position.moved_at > 0)
        return None if since is None else max(since, position.moved_at)

    def _noted(self, pair: tuple[Hop, Hop, str | int | None], at: float, *, behind: bool) -> float | None:
        if not behind:
            if pair in self._behind:
                del self._behind[pair]
            return None
        return self._behind.setdefault(pair, at)

    def _described(self, before: Hop, hop: Hop, since: float) -> Stall:
        known = self._stall
        if known is not None and known.hop is hop:  # it goes on, and its beginning may be forgotten by now
            return known
        reason = f"{_capital(_NAMES[hop])} stands still, while {_NAMES[before]} has gone on."
        return Stall(hop, since, reason)


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
