"""Faults that can be switched on and off while the exchange runs.

Delivery faults change what clients receive and never the ledger; market faults change how the market goes on, and the
ledger records it. Which trade a ratio hits depends on the seed and the trade's id alone: every client sees the same.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from include.market.standin.errors import FaultError
from include.market.standin.ledger import Pace

Ratio = Annotated[float, Field(ge=0, le=1)]
Seconds = Annotated[float, Field(ge=0)]


class SymbolStatus(StrEnum):
    """Trading status of a symbol; only ``TRADING`` trades."""

    TRADING = "TRADING"
    HALT = "HALT"
    BREAK = "BREAK"  # delisted
    CANCEL_ONLY = "CANCEL_ONLY"


class Acceptance(StrEnum):
    """What happens to new connections, REST and stream alike."""

    ACCEPT = "accept"
    REFUSE = "refuse"  # nothing listens on the port
    RESET = "reset"  # accepted, then reset
    TLS = "tls"  # answered with a fatal TLS alert: another protocol than the client speaks


class IdRange(BaseModel):
    """Trades ``first`` to ``last`` of a symbol, both included."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    symbol: str
    first: int
    last: int


class Faults(BaseModel):
    """All faults; the defaults are none. Field descriptions are the documentation of record."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # --- Delivery: connections ---------------------------------------------------------------------------------
    connections: Acceptance = Field(Acceptance.ACCEPT, description="What happens to new connections.")
    stream_status: Annotated[int, Field(ge=400, le=599)] | None = Field(
        None, description="HTTP status that refuses WebSocket handshakes."
    )
    silent: bool = Field(False, description="Streams send no data, yet pings are sent and answered.")
    silent_open: bool = Field(
        False, description="As silent, for the connections that are open when it is switched on; new ones get data."
    )
    no_pings: bool = Field(False, description="Streams send no pings.")
    half_frame: bool = Field(False, description="Each connection gets half of its next frame and is then cut off.")
    drip_bytes_per_second: Annotated[int, Field(ge=1)] | None = Field(
        None, description="Each connection gets its bytes at this rate."
    )

    # --- Delivery: trades on the streams -----------------------------------------------------------------------
    drop_ids: tuple[IdRange, ...] = Field((), description="Trades that are never sent.")
    drop_ratio: Ratio = Field(0, description="Share of trades that are never sent.")
    duplicate_ratio: Ratio = Field(0, description="Share of trades that are sent twice.")
    reorder_ratio: Ratio = Field(0, description="Share of trades that change places with the next one.")
    late_ratio: Ratio = Field(0, description="Share of trades that are sent late, out of order.")
    late_seconds: Seconds = Field(5.0, description="How late they are sent, in exchange seconds.")
    malformed_ratio: Ratio = Field(0, description="Share of frames that are not JSON (cut short).")
    wrong_type_ratio: Ratio = Field(0, description="Share of frames whose price is a JSON number.")
    null_price_ratio: Ratio = Field(0, description="Share of frames whose price is null.")
    unknown_field_ratio: Ratio = Field(0, description="Share of frames with a field that is not documented.")

    # --- Delivery: REST ----------------------------------------------------------------------------------------
    rest_status: Annotated[int, Field(ge=400, le=599)] | None = Field(
        None, description="HTTP status of every REST answer (403, 418, 429, 451, 500, 502, 503, 504 …)."
    )
    ban_seconds: Seconds = Field(
        0, description="All addresses are banned (418 with Retry-After) for this many exchange seconds from now."
    )
    rest_hang_seconds: Seconds = Field(
        0, description="REST answers come after this many exchange seconds; from 10 on with error -1007."
    )
    clock_skew_ms: int = Field(0, description="Added to the server time and the event time E of streams, not to T.")

    # --- Market ------------------------------------------------------------------------------------------------
    quiet: bool = Field(False, description="No trades; ids go on consecutively afterwards.")
    burst: Annotated[float, Field(gt=0, le=1000)] = Field(1.0, description="Factor of the trade rate (replay: pace).")
    rate: Annotated[float, Field(ge=0, le=200_000)] | None = Field(
        None, description="Trades a second over all symbols instead of the configured rate (generated trades only)."
    )
    symbol_status: dict[str, SymbolStatus] = Field(
        default_factory=dict, description="Status of symbols: HALT stops trading, BREAK delists."
    )

    @model_validator(mode="before")
    @classmethod
    def _known(cls, value: Any) -> Any:
        """An unknown name must say which one was meant."""
        if isinstance(value, Mapping) and (unknown := sorted(set(value) - set(cls.model_fields))):
            hints = {n: difflib.get_close_matches(str(n), cls.model_fields, 1) for n in unknown}
            named = ", ".join(f"{n} (did you mean {h[0]}?)" if h else str(n) for n, h in hints.items())
            raise ValueError(f"no such fault: {named}; there are {', '.join(cls.model_fields)}")
        return value

    def active(self) -> dict[str, Any]:
        """The faults that are on."""
        return self.model_dump(mode="json", exclude_defaults=True)

    def pace(self, symbols: tuple[str, ...]) -> Pace:
        """What the market faults ask of the ledger."""
        halted = {name for name, status in self.symbol_status.items() if status is not SymbolStatus.TRADING}
        return Pace(self.rate, self.burst, frozenset(symbols) if self.quiet else frozenset(halted))

    def status_of(self, symbol: str) -> SymbolStatus:
        """Trading status of a symbol."""
        return self.symbol_status.get(symbol, SymbolStatus.TRADING)


class FaultBoard:
    """The faults that are on now. ``changed`` is called after each change, and may refuse it with an exception."""

    def __init__(self, symbols: tuple[str, ...], changed: Callable[[Faults], None], replay: bool) -> None:
        self._symbols, self._changed, self._replay = symbols, changed, replay
        self.current = Faults()

    def set(self, **faults: Any) -> Faults:
        """Switch faults on or change them; those not named stay as they are.

        Raises :class:`FaultError`, which names what is wrong and what is allowed.
        """
        merged = {**self.current.model_dump(exclude_defaults=True), **faults}
        try:
            self._replace(Faults.model_validate(merged))
        except ValidationError as error:
            raise FaultError("\n".join(_explain(item) for item in error.errors())) from error
        return self.current

    def clear(self, *names: str) -> Faults:
        """Switch the named faults off, all without names. Raises :class:`FaultError` for a name that is none."""
        if unknown := [name for name in names if name not in Faults.model_fields]:
            raise FaultError(f"no such fault: {', '.join(unknown)}; there are {', '.join(Faults.model_fields)}")
        kept = self.current.model_dump(exclude_defaults=True)
        self._replace(Faults(**{n: v for n, v in kept.items() if names and n not in names}))
        return self.current

    def _replace(self, faults: Faults) -> None:
        named = {*faults.symbol_status, *(item.symbol for item in faults.drop_ids)}
        if unknown := sorted(named - set(self._symbols)):
            raise FaultError(f"no such symbol: {', '.join(unknown)}; this exchange has {', '.join(self._symbols)}")
        if faults.rate is not None and self._replay:
            raise FaultError("rate: a replay keeps the recorded pace; use burst to speed it up")
        self.current = faults
        self._changed(faults)


def _explain(item: Any) -> str:
    if not item["loc"]:
        return str(item["msg"]).removeprefix("Value error, ")
    name = str(item["loc"][0])
    allowed = Faults.model_fields[name].description if name in Faults.model_fields else ""
    return f"{'.'.join(map(str, item['loc']))}: received {item['input']!r}: {item['msg']}. {allowed}".strip()
