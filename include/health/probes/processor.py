"""``PROCESSOR``: what stream_processor says about itself."""

from __future__ import annotations

from typing import Any

from include.health.observations import BatchFacts, Code, Observation, Outcome, Probe, ProcessorFacts
from include.health.probes.base import failed, seen_well
from include.health.probes.health_document import NoDocumentError, age_seconds, read_document
from include.settings import Settings

_SECONDS = 0.9


class ProcessorProbe:
    """Asks ``/health``, which a thread of its own serves: it answers while a batch hangs."""

    name = Probe.PROCESSOR
    every = 1.0
    deadline = 1.0
    overrun = Outcome.FAILED

    def __init__(self, settings: Settings) -> None:
        self._host, self._port = settings.processor_host, settings.processor_health_port

    def look(self) -> Observation:
        """``ProcessorFacts``. A document of another form is the probe's own fault, and raises."""
        try:
            document = read_document(self._port, _SECONDS, self._host)
        except NoDocumentError as error:
            return failed(self.name, error.code, error)
        return seen_well(self.name, processor_facts(document))

    def close(self) -> None:
        """See ``Probe``."""


def processor_facts(document: dict[str, Any]) -> ProcessorFacts:
    """The document as numbers; all ages are told by the document itself."""
    now, batch, error = document["now"], document["batch"], document["last_error"]
    last_batch = document["last_batch"]
    return ProcessorFacts(
        status=document["status"],
        pid=document["pid"],
        age_seconds=age_seconds(document["started_at"], now),
        query_run_id=document["query"].get("run_id"),
        batch_running=batch["running"],
        batch_age_seconds=batch["age_seconds"],
        batch_phase=batch["phase"],
        phase_age_seconds=batch["phase_age_seconds"],
        last_batch=last_batch and _batch_facts(last_batch, now),
        offsets={int(partition): offset for partition, offset in document["offsets"].items()},
        last_error=error and error["message"],
        last_error_age_seconds=error and age_seconds(error["at"], now),
        last_error_code=error and Code(error["kind"]),
        last_error_number=error and error["number"],
    )


def _batch_facts(batch: dict[str, Any], now: str) -> BatchFacts:
    durations = {phase: spent / 1000 for phase, spent in batch["duration_ms"].items()}
    return BatchFacts(
        id=batch["id"],
        input_rows=batch["input_rows"],
        invalid_rows=batch["invalid_rows"],
        duplicate_rows=batch["duplicate_rows"],
        duration_seconds=durations.pop("total"),
        phase_seconds=durations,
        committed_age_seconds=age_seconds(batch["committed_at"], now),
    )
