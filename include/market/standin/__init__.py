"""The stand-in exchange: speaks Binance's REST and WebSocket market data on loopback, from one ledger of trades.

As a process: ``python -m include.market.standin``, configured by the settings. In a test, in the test's own loop::

    async with StandInExchange(StandInConfig(symbols=("BTCUSDT",), rate=100)) as exchange:
        exchange.rest_url      # "http://127.0.0.1:…"   GET /api/v3/historicalTrades …
        exchange.stream_url    # "ws://127.0.0.1:…"     /ws/btcusdt@trade, /stream?streams=…
        exchange.control_url   # "http://127.0.0.1:…"   /control/… (see ControlServer)
        exchange.faults.set(drop_ratio=0.01, malformed_ratio=0.01)   # the faults are the fields of Faults
        exchange.faults.clear()
        exchange.trades("BTCUSDT")                                   # ground truth: list[Trade]

Free ports are picked unless the configuration names them. Time runs on the machine's clock, or on what is passed as
``clock``: ``ScaledClock(factor)`` for hours in seconds, ``ManualClock()`` for a market that moves only by
``await exchange.advance(seconds)``, which returns when everything that happened was handed to the clients' sockets.
Trades, pings, deadlines, limits, bans and waits all follow that clock.

The same seed gives the same ids, prices and quantities; with a ``state_dir`` a restart continues the ledger where it
ended, as if nothing had been traded meanwhile. Delivery faults never change the ledger.
"""

from include.market.standin.clock import ScaledClock
from include.market.standin.config import Limits, StandInConfig
from include.market.standin.errors import ArchiveError, FaultError, JournalError, PortTakenError, StandInError
from include.market.standin.exchange import StandInExchange
from include.market.standin.faults import Acceptance, Faults, IdRange, SymbolStatus
from include.market.standin.trades import Trade

__all__ = [
    "Acceptance",
    "ArchiveError",
    "FaultError",
    "Faults",
    "IdRange",
    "JournalError",
    "Limits",
    "PortTakenError",
    "ScaledClock",
    "StandInConfig",
    "StandInError",
    "StandInExchange",
    "SymbolStatus",
    "Trade",
]
