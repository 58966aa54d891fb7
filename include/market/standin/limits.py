"""The exchange's accounting for each client address: request weight, bans, connection attempts, message floods."""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass, field
from enum import StrEnum

from include.market.standin.config import Limits
from include.runtime.clock import Clock

MINUTE_MS = 60_000


class Admission(StrEnum):
    """Whether a request is served, and if not why."""

    ADMITTED = "admitted"
    OVER_WEIGHT = "over_weight"  # 429
    OVER_REQUESTS = "over_requests"  # 429
    BANNED = "banned"  # 418
    OVER_ATTEMPTS = "over_attempts"  # 429 for a stream handshake


@dataclass(frozen=True)
class Decision:
    """An :class:`Admission` with the request weight used in this minute, and when the refusal ends."""

    admission: Admission
    used_weight: int
    until_ms: int = 0
    retry_after_seconds: int = 0


@dataclass
class _Address:
    minute: int = -1
    weight: int = 0
    five_minutes: int = -1
    requests: int = 0
    refused: int = 0  # answers with 429 in this minute
    banned_until_ms: int = 0
    bans: int = 0
    floods: int = 0
    attempts: deque[float] = field(default_factory=deque)


class Accounting:
    """Counts per client address, on calendar minutes of the exchange's clock."""

    def __init__(self, limits: Limits, clock: Clock) -> None:
        self._limits, self._clock = limits, clock
        self._addresses: defaultdict[str, _Address] = defaultdict(_Address)
        self._all_banned_until_ms = 0

    def request(self, address: str, weight: int) -> Decision:
        """Account for a REST request."""
        account, now = self._current(address)
        if now < (until_ms := max(account.banned_until_ms, self._all_banned_until_ms)):
            return self._refuse(Admission.BANNED, account, until_ms)
        account.weight += weight
        account.requests += 1
        if account.weight > self._limits.request_weight_per_minute:
            return self._over(account, Admission.OVER_WEIGHT, (account.minute + 1) * MINUTE_MS)
        if account.requests > self._limits.raw_requests_per_five_minutes:
            return self._over(account, Admission.OVER_REQUESTS, (account.five_minutes + 1) * 5 * MINUTE_MS)
        return Decision(Admission.ADMITTED, account.weight)

    def connection(self, address: str) -> Decision:
        """Account for an attempt to open a stream connection."""
        account, now = self._current(address)
        if now < (until_ms := max(account.banned_until_ms, self._all_banned_until_ms)):
            return self._refuse(Admission.BANNED, account, until_ms)
        moment = self._clock.monotonic()
        while account.attempts and account.attempts[0] <= moment - self._limits.connection_attempt_seconds:
            account.attempts.popleft()
        account.attempts.append(moment)
        if len(account.attempts) > self._limits.connection_attempts:
            wait = account.attempts[0] + self._limits.connection_attempt_seconds - moment
            return self._refuse(Admission.OVER_ATTEMPTS, account, now + round(wait * 1000))
        return Decision(Admission.ADMITTED, account.weight)

    def flood(self, address: str) -> None:
        """A connection of this address was closed for too many messages; repeated, the address is banned."""
        account, _ = self._current(address)
        account.floods += 1
        if account.floods >= self._limits.floods_before_ban:
            account.floods = 0
            self._ban(account)

    def ban_all(self, seconds: float) -> None:
        """Ban every address from now on; 0 lifts this ban."""
        self._all_banned_until_ms = self._clock.time_ms() + round(seconds * 1000)

    def clear(self) -> None:
        """Forget all counts and bans."""
        self._addresses.clear()
        self._all_banned_until_ms = 0

    def snapshot(self) -> dict[str, dict[str, int]]:
        """Counts and bans by address."""
        return {
            address: {
                "used_weight": self._current(address)[0].weight,
                "requests": account.requests,
                "refused": account.refused,
                "banned_until_ms": account.banned_until_ms,
                "connection_attempts": len(account.attempts),
            }
            for address, account in list(self._addresses.items())
        }

    def _current(self, address: str) -> tuple[_Address, int]:
        """The address's counts with ended windows reset, and the time."""
        account, now = self._addresses[address], self._clock.time_ms()
        if (minute := now // MINUTE_MS) != account.minute:
            account.minute, account.weight, account.refused = minute, 0, 0
        if (five_minutes := minute // 5) != account.five_minutes:
            account.five_minutes, account.requests = five_minutes, 0
        return account, now

    def _over(self, account: _Address, admission: Admission, until_ms: int) -> Decision:
        account.refused += 1
        if account.refused > self._limits.requests_before_ban:
            self._ban(account)
            return self._refuse(Admission.BANNED, account, account.banned_until_ms)
        return self._refuse(admission, account, until_ms)

    def _ban(self, account: _Address) -> None:
        seconds = min(self._limits.ban_seconds * 2**account.bans, self._limits.longest_ban_seconds)
        account.bans += 1
        account.banned_until_ms = self._clock.time_ms() + round(seconds * 1000)

    def _refuse(self, admission: Admission, account: _Address, until_ms: int) -> Decision:
        wait = max(1, -(-(until_ms - self._clock.time_ms()) // 1000))
        return Decision(admission, account.weight, until_ms, wait)
