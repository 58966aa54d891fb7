"""Where the way of a trade is interrupted: the first hop whose input advances while its output does not.

Detection §2. Trade ids (exchange, received, acknowledged, counted) and offsets (log end, finished, counted) can be
compared, so a market in which nothing happens is told apart from a stall by the positions themselves. Where two
neighbours speak of different things (acknowledged ids and the log end; counted ids and rows) only their movement can be
compared. A hop that was not seen lately is left out: its neighbours are compared with one another.
"""

from __future__ import annotations

from collections.abc import Iterable

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


# Units of positions. Plain words, because enumerations are slow as keys.
_ID = "trade id"  # by symbol
_OFFSET = "offset"  # by partition
_MOMENT = "moment"  # seconds, one for all


class _Position:
    """One hop: by unit and key, where it is and since when. ``moved_at``: when it was last seen moving, which must have
    happened after ``moved_after``. ``excused_at``: when it last waited for what comes behind it. ``window``: seconds
    that it may stand still. ``fresh``: seconds for which a look at it counts.
    """

    def __init__(self, number: int, hop: Hop, window: float, fresh: float) -> None:
        self.number, self.hop, self.window, self.fresh = number, hop, window, fresh
        self.places: dict[str, dict[str | int, tuple[int, float]]] = {}
        self._sampled: dict[str, float] = {}
        self.sampled_at = self.moved_at = self.moved_after = 0.0
        self.excused_at = float("-inf")

    def sample(
        self,
        at: float,
        unit: str,
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
        if at > self.sampled_at:  # noqa: PLR1730 - max() takes three times as long
            self.sampled_at = at


class PositionLedger:
    """Feed it every observation; ask it for the first stalled hop."""

    def __init__(self, config: DetectorConfig) -> None:
        near = max(10.0, 2 * config.micro_batch_seconds)
        far = max(15.0, 3 * config.micro_batch_seconds)
        self._windows = tuple(near if hop in _PRODUCER_HOPS else far for hop in Hop)
        self._exchange_fresh = max(_FRESH_SECONDS, 3 * config.looks.get(Probe.EXCHANGE, 0.0))
        self._row_seconds = 2.0 + 2 * config.micro_batch_seconds  # a trade's way, and clocks that differ a little
        self._behind: dict[tuple[int, int, str | int | None], float] = {}  # since when the later one is behind
        self._begin()
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
        self._begin()
        self._behind.clear()
        self._newest.clear()
        self._stall, self._check_due = None, at

    def _begin(self) -> None:
        fresh = [self._exchange_fresh if hop is Hop.EXCHANGE else _FRESH_SECONDS for hop in Hop]
        self._positions = tuple(map(_Position, range(len(Hop)), Hop, self._windows, fresh))
        self._exchange, self._received, self._acknowledged, self._log_end = self._positions[:4]
        self._finished, self._counted, self._rows = self._positions[4:]

    # --- Taking positions ----------------------------------------------------------------------------------------
    def _take(self, at: float, facts: Facts) -> None:
        match facts:
            case ProducerFacts(symbols=symbols, sampling=sampling):
                # While trades are left out on purpose, what is settled goes on and the topic need not.
                received = [(s, own.received) for s, own in symbols.items()]
                acknowledged = [(s, own.acknowledged if sampling == 1 else own.settled) for s, own in symbols.items()]
                self._received.sample(at, _ID, received)
                self._acknowledged.sample(at, _ID, acknowledged, moves=sampling == 1)
            case OffsetsFacts(partitions=partitions):
                ends = [(p, own.end) for p, own in partitions.items()]
                committed = [(p, own.committed) for p, own in partitions.items()]
                self._log_end.sample(at, _OFFSET, ends)
                self._finished.sample(at, _OFFSET, committed, only_ahead=True)
            case ProcessorFacts(offsets=offsets):
                self._finished.sample(at, _OFFSET, offsets.items(), only_ahead=True)
                self._count(at, offsets)  # by its own word, while MySQL cannot be asked
                if facts.batch_phase == "mysql" or facts.status == "retrying_mysql":  # its own work is done
                    self._finished.excused_at = at
            case RowsFacts():
                self._take_rows(at, facts)
            case ExchangeFacts(newest=newest):
                self._exchange.sample(at, _ID, newest.items())

    def _count(self, at: float, offsets: dict[int, int]) -> None:
        """A batch may have nothing to count, so that these may move and the rows need not."""
        self._counted.sample(at, _OFFSET, offsets.items(), moves=False, only_ahead=True)

    def _take_rows(self, at: float, facts: RowsFacts) -> None:
        self._count(at, facts.offsets)
        self._counted.sample(at, _ID, facts.counted.items())
        if facts.row_age_seconds is not None:
            moment = int(at - facts.row_age_seconds)
            self._rows.sample(at, _MOMENT, (("rows", moment),))

    # --- Finding the stall ---------------------------------------------------------------------------------------
    def _find(self, at: float) -> Stall | None:
        before: _Position | None = None
        for position in self._positions:
            if at - position.sampled_at > position.fresh or at - position.excused_at < _EXCUSED_SECONDS:
                continue
            if before is not None:
                since = self._stalled_since(at, before, position)
                if since is not None:
                    if position.sampled_at - since >= position.window:
                        return self._described(before.hop, position.hop, since)
                    self._oldest = min(self._oldest, since)
            before = position
        return None

    def _stalled_since(self, at: float, before: _Position, position: _Position) -> float | None:
        """Since when the one has been ahead and the other has stood still; ``None`` if it keeps up."""
        first, second = before.number, position.number
        if moment := position.places.get(_MOMENT):  # rows tell when they were written: not before that
            behind = moment["rows"][0] < before.moved_after - self._row_seconds
            return self._noted((first, second, None), at, behind=behind)
        compared, earliest = False, None
        for unit, ahead in before.places.items():
            own = position.places.get(unit)
            if own is None:
                continue
            compared = True
            for key, (place, moved_at) in own.items():
                other = ahead.get(key)
                since = self._noted((first, second, key), at, behind=other is not None and other[0] > place)
                if since is not None:
                    since = max(since, moved_at)
                    earliest = since if earliest is None or since < earliest else earliest
        if compared:
            return earliest
        # Only movement can be compared, and looks at the two are not made at one moment: the one must have moved for
        # certain after the other was last seen moving.
        since = self._noted((first, second, None), at, behind=before.moved_after >= position.moved_at > 0)
        return None if since is None else max(since, position.moved_at)

    def _noted(self, pair: tuple[int, int, str | int | None], at: float, *, behind: bool) -> float | None:
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
