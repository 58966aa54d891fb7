"""What a stand-in exchange is made from: its market and its limits."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from include.settings import LOOPBACK, Feed, Settings


@dataclass(frozen=True)
class Limits:
    """The exchange's limits, as documented; tests lower them to reach them quickly. Times are exchange seconds."""

    request_weight_per_minute: int = 6_000  # per address, on calendar minutes
    raw_requests_per_five_minutes: int = 300_000
    requests_before_ban: int = 10  # refused with 429 before the address is banned with 418
    ban_seconds: float = 120.0  # of the first ban; each further one is twice as long
    longest_ban_seconds: float = 3 * 86_400.0
    connection_attempts: int = 300  # per address
    connection_attempt_seconds: float = 300.0
    incoming_messages_per_second: int = 5  # per connection
    floods_before_ban: int = 5  # connections closed for too many messages before the address is banned
    streams_per_connection: int = 1024
    ping_seconds: float = 20.0
    pong_seconds: float = 60.0
    connection_seconds: float = 86_400.0
    unsent_bytes: int = 64 * 2**20  # a client this far behind is disconnected


@dataclass(frozen=True)
class StandInConfig:
    """A market and the ports it is served on (0 picks a free one).

    With ``replay_file`` the trades are those of an archive, else they are generated from ``seed`` at ``rate`` trades a
    second over all symbols. ``state_dir`` holds the journal of generated trades; without it a restart begins anew.
    """

    symbols: tuple[str, ...] = ("BTCUSDT", "ETHUSDT")
    rate: float = 20.0
    seed: int = 1
    replay_file: Path | None = None
    replay_factor: float = 1.0
    state_dir: Path | None = None
    host: str = LOOPBACK  # listened on; in a container also from outside
    port: int = 0
    control_port: int = 0
    limits: Limits = field(default_factory=Limits)

    @classmethod
    def from_settings(cls, settings: Settings) -> StandInConfig:
        """The exchange that the settings describe."""
        return cls(
            symbols=settings.symbols,
            rate=settings.generator_rate,
            seed=settings.generator_seed,
            replay_file=settings.replay_file if settings.feed is Feed.REPLAY else None,
            replay_factor=settings.replay_factor,
            state_dir=settings.data_dir / "exchange",
            host=settings.listen_host,
            port=settings.exchange_port,
            control_port=settings.exchange_control_port,
        )
