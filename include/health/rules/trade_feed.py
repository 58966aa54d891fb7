"""Does btc_producer receive what is traded? The exchange's newest trade ids (the oracle) against the received ones.

A market in which nothing is traded has standing ids on both sides; a silent feed has them on one side only.
"""

from __future__ import annotations

from include.health.observations import ExchangeFacts, ProducerFacts
from include.producer.silence import Verdict
from include.producer.status import Status

_LOOKS_BEHIND = 2  # looks at the producer after the exchange's answer: a trade may just have been on its way
_QUIET_SECONDS, _ON_ITS_WAY_SECONDS = 5.0, 1.0


class TradeFeed:
    """``stalled_seconds``: how long a symbol's ids may stand still while they advance at the exchange."""

    def __init__(self, stalled_seconds: float) -> None:
        self._stalled_seconds = stalled_seconds
        self._newest: dict[str, int] = {}  # at the exchange
        self._received: dict[str, int] = {}
        self._moved_at: dict[str, float] = {}
        self._looks_behind: dict[str, int] = {}
        self._verdict: str | None = None
        self._judged_at = 0.0  # when the producer's own verdict became what it is
        self.exchange_moves = 0  # answers of the exchange with a newer id than before
        self.silent_seconds = 0.0
        self._answered_at = float("-inf")

    def exchange(self, at: float, facts: ExchangeFacts) -> None:
        """The exchange answered."""
        self._answered_at = at
        newest = self._newest
        moved = False
        for symbol, trade_id in facts.newest.items():
            moved |= trade_id > newest.get(symbol, trade_id)
            newest[symbol] = trade_id
        self.exchange_moves += moved

    def producer(self, at: float, facts: ProducerFacts) -> None:
        """The producer told of itself."""
        self.silent_seconds = facts.silent_seconds
        if facts.silence_verdict != self._verdict:
            self._verdict, self._judged_at = facts.silence_verdict, at
        newest, received = self._newest, self._received
        for symbol, own in facts.symbols.items():
            if own.received is None:
                continue
            if own.received != received.get(symbol):
                received[symbol], self._moved_at[symbol] = own.received, at
            behind = own.received < newest.get(symbol, 0)
            if behind or self._looks_behind.get(symbol):
                self._looks_behind[symbol] = self._looks_behind.get(symbol, 0) + 1 if behind else 0

    def silent(self, at: float, facts: ProducerFacts) -> str | None:
        """In words that trades are missing, if they are: by the oracle, or by the producer's own verdict."""
        for symbol, looks in self._looks_behind.items():
            if looks >= _LOOKS_BEHIND and at - self._moved_at[symbol] >= self._stalled_seconds:
                return (
                    f"btc_producer has received nothing of {symbol} for {at - self._moved_at[symbol]:.0f} s, behind "
                    f"trade {self._received[symbol]}, while the exchange is at trade {self._newest[symbol]}."
                )
        silence = facts.silent_seconds
        judged = self._verdict == Verdict.FEED_AT_FAULT and at - self._judged_at < silence  # in this very silence
        if silence >= self._stalled_seconds and (judged or facts.status == Status.SILENT):
            return f"No trade has come in for {silence:.0f} s, and the exchange told btc_producer of newer ones."
        return None

    def unreachable(self, at: float) -> bool:
        """Whether the producer found during the present silence that the exchange cannot be reached."""
        return self._verdict == Verdict.EXCHANGE_UNREACHABLE and at - self._judged_at < self.silent_seconds

    def quiet(self, at: float) -> str | None:
        """In words that nothing is traded, if nothing is: the exchange, asked in this silence, has no newer ids."""
        silence = self.silent_seconds
        if silence < _QUIET_SECONDS or at - self._answered_at > silence - _ON_ITS_WAY_SECONDS or not self._newest:
            return None
        if any(self._received.get(symbol, -1) < trade_id for symbol, trade_id in self._newest.items()):
            return None
        ids = ", ".join(f"{symbol} {trade_id}" for symbol, trade_id in sorted(self._newest.items()))
        return f"Nothing is traded: the newest trades at the exchange have been received ({ids})."

    @property
    def lags(self) -> bool:
        """Whether any symbol was behind the exchange at the last look."""
        return any(self._looks_behind.values())

    @property
    def behind(self) -> int:
        """Trades that the exchange had at its last answer and that have not been received."""
        received = self._received
        return sum(max(0, trade_id - received.get(symbol, trade_id)) for symbol, trade_id in self._newest.items())

    def interrupted(self) -> None:
        """Nobody looked for a while: what stood still meanwhile is not known."""
        self._newest.clear()
        self._looks_behind.clear()
        self._moved_at.clear()
        self._received.clear()
        self._verdict = None
