"""``/health`` of one of our own processes, asked with a short deadline."""

from __future__ import annotations

import http.client
import json
from datetime import datetime
from typing import Any

from include.health.observations import Code
from include.settings import LOOPBACK


class NoDocumentError(Exception):
    """The process did not give its document; ``code`` says how it failed."""

    def __init__(self, code: Code, reason: str) -> None:
        super().__init__(reason)
        self.code = code


def read_document(port: int, seconds: float, host: str = LOOPBACK) -> dict[str, Any]:
    """The document of the process that listens at ``port`` of ``host``.

    Each reading is a connection of its own, as the process closes it after the answer. Raises
    :class:`NoDocumentError`.
    """
    connection = http.client.HTTPConnection(host, port, timeout=seconds)
    try:
        connection.request("GET", "/health")
        answer = connection.getresponse()
        body = answer.read()
    except TimeoutError as error:
        raise NoDocumentError(Code.TIMEOUT, f"no answer within {seconds:g} s") from error
    except ConnectionRefusedError as error:
        raise NoDocumentError(Code.REFUSED, f"nobody listens at port {port}") from error
    except (OSError, http.client.HTTPException) as error:
        raise NoDocumentError(Code.CONNECTIVITY, str(error) or type(error).__name__) from error
    finally:
        connection.close()
    if answer.status >= http.client.INTERNAL_SERVER_ERROR:
        raise NoDocumentError(Code.SERVER_ERROR, f"HTTP {answer.status}")
    try:
        document = json.loads(body)
    except ValueError as error:
        raise NoDocumentError(Code.UNKNOWN, f"HTTP {answer.status}, not JSON") from error
    if answer.status != http.client.OK or not isinstance(document, dict):
        raise NoDocumentError(Code.UNKNOWN, f"HTTP {answer.status} without a document; is it another program's port?")
    return document


def age_seconds(moment: str, now: str) -> float:
    """Seconds from ``moment`` to ``now``, both in ISO 8601, both by the clock of the process; never negative."""
    return max(0.0, (datetime.fromisoformat(now) - datetime.fromisoformat(moment)).total_seconds())
