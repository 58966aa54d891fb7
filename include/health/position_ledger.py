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
from include.health.front import Front
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

_SAMPLE_SECONDS = 2.0  # windows are 10 s and longer, so one look in two seconds is enough
_CHECK_SECONDS = 2.0
_FRESH_SECONDS = 10.0  # without a new look for longer, a position is not known; slow probes have three looks
_EXCUSED_SECONDS = 30.0
_REMEMBERED = 64  # positions of a hop
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
    MOMENT = "moment"  # milliseconds, one for all


class _Position:
    """One hop: fronts by unit and key. ``moves``: when it moved, and (as its position) the moment in milliseconds after
    which that must have happened. ``excused_at``: when it last waited for what comes behind it.
    """

    def __init__(self, spacing: float) -> None:
        self._spacing = spacing
        self.fronts: dict[_Unit, dict[str | int, Front]] = {}
        self.moves = Front(spacing, _REMEMBERED)
        self.sampled_at = self._sampled_before = 0.0
        self.excused_at = float("-inf")

    def sample(
        self, at: float, unit: _Unit, positions: Iterable[tuple[str | int, int | None]], *, moves: bool = True
    ) -> None:
        """It was seen at these positions. ``moves``: whether what follows must move when this does."""
        fronts = self.fronts.get(unit)
        if fronts is None:
            fronts = self.fronts[unit] = {}
        if at != self.sampled_at:
            self._sampled_before, self.sampled_at = self.sampled_at, at
        moved = False
        for key, position in positions:
            if position is not None:
                front = fronts.get(key)
                if front is None:
                    front = fronts[key] = Front(self._spacing, _REMEMBERED)
                moved |= front.advance(at, position)
        if moved and moves:
            self.moves.advance(at, int(self._sampled_before * 1000))


class PositionLedger:
    """Feed it every observation; ask it for the first stalled hop."""

    def __init__(self, config: DetectorConfig) -> None:
        near = max(10.0, 2 * config.micro_batch_seconds)
        far = max(15.0, 3 * config.micro_batch_seconds)
        self._windows = {hop: near if hop in _PRODUCER_HOPS else far for hop in Hop}
        self._positions = {hop: _Position(self._windows[hop] / 16) for hop in Hop}
        self._fresh = dict.fromkeys(Hop, _FRESH_SECONDS)
        self._fresh[Hop.EXCHANGE] = max(_FRESH_SECONDS, 3 * config.looks.get(Probe.EXCHANGE, 0.0))
        self._due: dict[Probe, float] = {}
        self._check_due = 0.0
        self._stall: Stall | None = None

    def observe(self, at: float, observation: Observation) -> None:
        """Take the positions from an observation; those of other probes, and failed ones, tell of none."""
        facts = observation.facts
        if facts is None or at < self._due.get(observation.probe, 0.0):
            return
        self._take(at, facts)
        self._due[observation.probe] = at + _SAMPLE_SECONDS - 0.5  # a late look is not put off by a whole round

    def stall(self, at: float) -> Stall | None:
        """The first stalled hop; ``since`` is when its input was first seen ahead of it."""
        if at >= self._check_due:
            self._check_due = at + _CHECK_SECONDS
            self._stall = self._find(at)
        return self._stall

    def resumed(self, at: float) -> None:
        """Nobody looked for a while, up to ``at``: what stood still meanwhile is not known."""
        self._positions = {hop: _Position(self._windows[hop] / 16) for hop in Hop}
        self._stall, self._check_due = None, at

    # --- Taking positions ----------------------------------------------------------------------------------------
    def _take(self, at: float, facts: Facts) -> None:
        match facts:
            case ProducerFacts(symbols=symbols):
                received, acknowledged = self._positions[Hop.RECEIVED], self._positions[Hop.ACKNOWLEDGED]
                received.sample(at, _Unit.ID, [(s, own.received) for s, own in symbols.items()])
                acknowledged.sample(at, _Unit.ID, [(s, own.acknowledged) for s, own in symbols.items()])
            case OffsetsFacts(partitions=partitions):
                self._positions[Hop.LOG_END].sample(at, _Unit.OFFSET, [(p, own.end) for p, own in partitions.items()])
                self._farther(at, Hop.FINISHED, [(p, own.committed) for p, own in partitions.items()])
            case ProcessorFacts():
                self._farther(at, Hop.FINISHED, facts.offsets.items())
                self._farther(at, Hop.COUNTED, facts.offsets.items())  # by its own word, while MySQL cannot be asked
                if facts.batch_phase == "mysql" or facts.status == "retrying_mysql":  # its own work is done
                    self._positions[Hop.FINISHED].excused_at = at
            case RowsFacts():
                self._rows(at, facts)
            case ExchangeFacts(newest=newest):
                self._positions[Hop.EXCHANGE].sample(at, _Unit.ID, newest.items())

    def _farther(self, at: float, hop: Hop, offsets: Iterable[tuple[int, int | None]]) -> None:
        """Two sources tell of it, one later than the other: only what is farther than known counts."""
        position = self._positions[hop]
        fronts = position.fronts.get(_Unit.OFFSET, {})
        ahead = [(p, offset) for p, offset in offsets if offset is not None and not _beyond(fronts.get(p), offset)]
        position.sample(at, _Unit.OFFSET, ahead, moves=hop is not Hop.COUNTED)  # a batch may have nothing to count

    def _rows(self, at: float, facts: RowsFacts) -> None:
        counted, rows = self._positions[Hop.COUNTED], self._positions[Hop.ROWS]
        self._farther(at, Hop.COUNTED, facts.offsets.items())
        counted.sample(at, _Unit.ID, facts.counted.items())
        if facts.row_age_seconds is not None:
            known = rows.fronts.get(_Unit.MOMENT, {}).get("rows")
            moment = int(at - facts.row_age_seconds)
            if _beyond(known, moment - 1) and known is not None and known.position is not None:
                moment = known.position  # clocks differ by a little each time
            rows.sample(at, _Unit.MOMENT, (("rows", moment),))

    # --- Finding the stall ---------------------------------------------------------------------------------------
    def _find(self, at: float) -> Stall | None:
        before: Hop | None = None
        for hop, position in self._positions.items():
            if at - position.sampled_at > self._fresh[hop] or at - position.excused_at < _EXCUSED_SECONDS:
                continue
            if before is not None:
                since = _stalled_since(self._positions[before], position)
                if since is not None and position.sampled_at - since >= self._windows[hop]:
                    return self._described(before, hop, since)
            before = hop
        return None

    def _described(self, before: Hop, hop: Hop, since: float) -> Stall:
        known = self._stall
        if known is not None and known.hop is hop:  # it goes on, and its beginning may be forgotten by now
            return known
        reason = f"{_capital(_NAMES[hop])} stands still, while {_NAMES[before]} has gone on."
        return Stall(hop, since, reason)


def _stalled_since(before: _Position, after: _Position) -> float | None:
    """Since when the one has been ahead and the other has stood still; ``None`` if it keeps up."""
    compared, earliest = False, None
    for unit, ahead in before.fronts.items():
        behind = after.fronts.get(unit)
        if behind is None:
            continue
        compared = True
        for key, own in behind.items():
            front = ahead.get(key)
            passed = None if front is None or own.position is None else front.passed_at(own.position)
            if passed is not None:
                since = max(passed, own.at)
                earliest = since if earliest is None or since < earliest else earliest
    if compared:
        return earliest
    # Only movement can be compared, and looks at the two are not made at one moment: the one must have moved for
    # certain after the other was last seen moving.
    return before.moves.passed_at(int(after.moves.at * 1000) - 1)


def _beyond(front: Front | None, position: int) -> bool:
    """It is farther than ``position`` already."""
    return front is not None and front.position is not None and front.position > position


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
