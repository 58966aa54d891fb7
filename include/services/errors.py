"""Errors of the services room. Each carries its facts as fields; the text is meant for a person."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


class ServicesError(Exception):
    """Base of this room's errors."""


class UnknownServiceError(ServicesError):
    """No such service."""

    def __init__(self, name: str, known: Iterable[str]) -> None:
        self.name, self.known = name, tuple(sorted(known))
        super().__init__(f"no service is called {name!r}; there are: {', '.join(self.known) or '(none)'}")


class HostUnreachableError(ServicesError):
    """The process host does not answer. Says nothing about the processes themselves."""

    def __init__(self, address: str, reason: str) -> None:
        self.address, self.reason = address, reason
        super().__init__(f"the process host does not answer at {address}: {reason}")


class HostRefusesError(ServicesError):
    """The process host answers, and does not do what was asked: ``reason`` is its own word."""

    def __init__(self, address: str, asked: str, reason: str) -> None:
        self.address, self.asked, self.reason = address, asked, reason
        super().__init__(f"the process host at {address} refuses to {asked}: {reason}")


class HostForbidsError(ServicesError):
    """We have no right to ask that of the process host. ``allow`` tells people what is to be allowed."""

    def __init__(self, address: str, asked: str, allow: str) -> None:
        self.address, self.asked, self.allow = address, asked, allow
        super().__init__(f"the process host at {address} forbids to {asked}; allow {allow}")


class HostNotReadyError(ServicesError):
    """What was found at start keeps the services from being controlled; the text tells what, and what to do."""


class StartFailedError(ServicesError):
    """A service ended right after its start, or could not be started at all.

    ``exit_code`` is None when the host does not know it, negative when a signal ended the process.
    """

    def __init__(self, name: str, exit_code: int | None, reason: str, log_lines: Sequence[str] = ()) -> None:
        self.name, self.exit_code, self.reason, self.log_lines = name, exit_code, reason, tuple(log_lines)
        log = "".join(f"\n  {line}" for line in log_lines)
        super().__init__(
            f"{name} did not start: {reason} (exit code {'unknown' if exit_code is None else exit_code}); "
            + (f"end of its log:{log}" if log else "its log is empty")
        )


class ServiceTimeoutError(ServicesError):
    """A service did not reach the wanted state in time."""

    def __init__(self, name: str, verb: str, timeout: float, state: str) -> None:
        self.name, self.verb, self.timeout, self.state = name, verb, timeout, state
        super().__init__(f"{verb} {name}: not done after {timeout:g} s; it is {state}")
