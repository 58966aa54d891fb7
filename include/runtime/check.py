"""Health check of a container: ``python -m include.runtime.check URL [path=value …]``.

Exit code 0 when the URL answers within two seconds with status 200 and each dotted path in its JSON has the value; 1
with one line that says what was expected and received; 2 on wrong usage. It is run every few seconds beside each
process, so it reads no settings and loads nothing but the standard library.
"""

from __future__ import annotations

import http.client
import json
import signal
import sys
from collections.abc import Sequence
from typing import Any
from urllib.parse import SplitResult, urlsplit

DEADLINE_SECONDS = 2.0

_USAGE = """\
usage: python -m include.runtime.check URL [PATH=VALUE ...]

Ask URL (http://host[:port]/path) once. Exit code 0: it answered within 2 seconds with status 200, and the JSON it sent
has VALUE at each dotted PATH. Exit code 1: it did not; one line says what was expected and received.

  python -m include.runtime.check http://127.0.0.1:28101/health
  python -m include.runtime.check http://127.0.0.1:8080/api/v2/monitor/health scheduler.status=healthy
"""


class Unhealthy(Exception):  # noqa: N818 - what it is, not an error of ours
    """Not as expected; the text is one line."""


def main(arguments: Sequence[str]) -> int:
    """Check, and return the exit code."""
    if {"-h", "--help"} & set(arguments):
        sys.stdout.write(_USAGE)
        return 0
    if problem := _misuse(arguments):
        sys.stderr.write(f"{problem}\n\n{_USAGE}")
        return 2
    # a deadline for all of it: the socket's own starts anew with each byte, and knows nothing of looking up a name
    signal.signal(signal.SIGALRM, _too_late)
    signal.setitimer(signal.ITIMER_REAL, DEADLINE_SECONDS)
    try:
        check(arguments[0], dict(_split(argument) for argument in arguments[1:]))
    except Unhealthy as unhealthy:
        sys.stderr.write(f"{unhealthy}\n")
        return 1
    return 0


def check(url: str, expected: dict[str, str]) -> None:
    """Raise :class:`Unhealthy` unless ``url`` answers 200 with these values; ``expected`` is by dotted path."""
    status, body = _get(url)
    if status != http.client.OK:
        raise Unhealthy(f"{url}: expected status 200, received {status}")
    if not expected:
        return
    try:
        document = json.loads(body)
    except ValueError:
        raise Unhealthy(f"{url}: expected JSON, received {body[:80]!r}") from None
    wrong = [
        f"{path}={value}, received {received}"
        for path, value in expected.items()
        if (received := _at(document, path)) != value
    ]
    if wrong:
        raise Unhealthy(f"{url}: expected {'; expected '.join(wrong)}")


def _get(url: str) -> tuple[int, bytes]:
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=DEADLINE_SECONDS)
    try:
        connection.request("GET", f"{address.path or '/'}{'?' * bool(address.query)}{address.query}")
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException) as error:
        reason = str(error) or type(error).__name__
        raise Unhealthy(f"{url}: expected an answer, received none: {reason}") from error
    finally:
        connection.close()


def _at(document: Any, path: str) -> str:
    """The value at a dotted path as a person would type it; ``nothing`` where there is none."""
    found = document
    for key in path.split("."):
        if not isinstance(found, dict) or key not in found:
            return "nothing"
        found = found[key]
    return found if isinstance(found, str) else json.dumps(found)


def _misuse(arguments: Sequence[str]) -> str:
    if not arguments:
        return "A URL is needed."
    if not _is_usable(arguments[0]):
        return f"URL: received {arguments[0]!r}; allowed is http://host[:port]/path."
    wrong = [argument for argument in arguments[1:] if not all(_split(argument)) or "=" not in argument]
    return f"PATH=VALUE: received {wrong[0]!r}; for example scheduler.status=healthy." if wrong else ""


def _is_usable(url: str) -> bool:
    try:
        address: SplitResult = urlsplit(url)
        return address.scheme == "http" and bool(address.hostname) and address.port != 0
    except ValueError:
        return False


def _split(argument: str) -> tuple[str, str]:
    path, _, value = argument.partition("=")
    return path, value


def _too_late(_signal: int, _frame: object) -> None:
    raise TimeoutError(f"not within {DEADLINE_SECONDS:g} seconds")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
