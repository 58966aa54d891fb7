"""Errors of the market room."""

from __future__ import annotations


class MarketError(Exception):
    """Something went wrong between us and the exchange."""


class EndpointError(MarketError):
    """One endpoint did not give a usable answer: connection refused or lost, time-out, 5xx, or not the agreed JSON."""

    def __init__(self, url: str, cause: str) -> None:
        super().__init__(f"{url}: {cause}")
        self.url, self.cause = url, cause


class NoEndpointError(MarketError):
    """No endpoint that offers the call answered; ``causes`` says why, endpoint by endpoint."""

    def __init__(self, call: str, causes: dict[str, str]) -> None:
        reasons = "; ".join(f"{url}: {cause}" for url, cause in causes.items()) or "none is configured for it"
        super().__init__(f"no endpoint answered {call}: {reasons}")
        self.call, self.causes = call, causes


class RateLimitedError(MarketError):
    """The exchange asked us to wait, or the weight budget of this minute does not allow the call.

    Nothing was sent unless ``status`` (429, 418 or 403) is given. ``retry_after`` is in seconds.
    """

    def __init__(self, reason: str, retry_after: float, status: int | None = None) -> None:
        super().__init__(f"{reason}; next try in {retry_after:.1f} s")
        self.reason, self.retry_after, self.status = reason, retry_after, status


class RequestRefusedError(MarketError):
    """The exchange understood the request and refused it; another endpoint would refuse it too."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(f"the exchange refused the request (HTTP {status}, code {code}): {message}")
        self.status, self.code, self.message = status, code, message


class StreamClosedError(MarketError):
    """A stream connection ended; the text says how."""
