"""Whether the endpoints of the exchange can be reached, and what the stream processor says of its progress."""

from __future__ import annotations

import socket
import time
from typing import Any
from urllib.parse import urlsplit

from include.health.probes.health_document import NoDocumentError, read_document
from include.review.evidence import BlockKind
from include.review.evidence_source import Found, Source, gather, missing
from include.settings import Settings

_CONNECT_SECONDS, _ALL_SECONDS = 1.0, 1.5
_DOCUMENT_SECONDS = 1.5
_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}


def endpoint_sources(settings: Settings) -> tuple[Source, ...]:
    """Connections are opened, no request is sent: that cannot offend an exchange which wants to be left alone."""
    return (
        Source("exchange", BlockKind.EXCHANGE, lambda: read_endpoints(settings)),
        Source("spark-progress", BlockKind.SPARK_PROGRESS, lambda: read_spark_progress(settings)),
    )


def read_endpoints(settings: Settings) -> Found:
    """Every endpoint at once. Behind a site's proxy a direct connection says little; the note tells so."""
    urls = dict.fromkeys((*settings.rest_endpoints, *settings.stream_endpoints))
    each = [Source(url, BlockKind.EXCHANGE, lambda url=url: _connect(url)) for url in urls]  # type: ignore[misc]
    answers = gather(each, _ALL_SECONDS)  # a name that nobody resolves takes longer than any connection
    bad = [f"{answer.source.name}: {answer.found.note}" for answer in answers if not answer.found.available]
    line = f"{len(urls) - len(bad)} of {len(urls)} endpoints accept connections"
    content = {answer.source.name: answer.found.content for answer in answers}
    return Found(content, True, "opened connections only, without any proxy", (line, *bad))


def read_spark_progress(settings: Settings) -> Found:
    """The document of stream_processor's health endpoint as it is; it answers while a batch hangs."""
    try:
        document = read_document(settings.processor_health_port, _DOCUMENT_SECONDS, settings.processor_host)
    except NoDocumentError as error:
        return missing(f"stream_processor does not answer ({error.code}): {error}")
    return Found(document, True, "", _progress_lines(document))


def _progress_lines(document: dict[str, Any]) -> tuple[str, ...]:
    batch, last, error = (document.get(key) or {} for key in ("batch", "last_batch", "last_error"))
    lines = [f"status {document.get('status')}, pid {document.get('pid')}"]
    if batch.get("running"):
        lines.append(f"a batch runs for {batch.get('age_seconds')} s, in phase {batch.get('phase')}")
    if last:
        rows, took = last.get("input_rows"), (last.get("duration_ms") or {}).get("total")
        lines.append(f"last batch {last.get('id')}: {rows} rows in {took} ms, committed at {last.get('committed_at')}")
    if error:
        lines.append(f"last error at {error.get('at')} ({error.get('kind')}): {error.get('message')}")
    return tuple(lines)


def _connect(url: str) -> Found:
    parts, began = urlsplit(url), time.monotonic()
    address = (parts.hostname or "", parts.port or _PORTS.get(parts.scheme, 443))
    try:
        socket.create_connection(address, _CONNECT_SECONDS).close()
    except TimeoutError:
        return missing(f"no answer within {_CONNECT_SECONDS:g} s")
    except OSError as error:
        return missing(f"{type(error).__name__}: {error}")
    return Found({"connected_in_seconds": round(time.monotonic() - began, 4)})
