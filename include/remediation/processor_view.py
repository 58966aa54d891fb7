"""The stream processor as rungs see it: what it says, what waits for it, why it gave up."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from include.health.observations import Observation, OffsetsFacts, Outcome, Probe, ProcessorFacts
from include.health.probes.health_document import NoDocumentError, read_document
from include.remediation.model import Finding, Need, Proof
from include.remediation.rungs_common import facts_of
from include.remediation.tools import Tools
from include.runtime.processor_notes import LastFailure, ProcessorNotes
from include.services.controller import ServiceStatus
from include.services.names import PROCESSOR
from include.services.process_table import speaks_of_itself

_DOCUMENT_SECONDS = 0.9


class ProcessorView:
    """Looks; each is made when it is asked for."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self.notes = ProcessorNotes(tools.settings)

    def facts(self) -> ProcessorFacts | None:
        """What it says of itself, if it answers."""
        found = self._tools.look(Probe.PROCESSOR).facts
        return found if isinstance(found, ProcessorFacts) else None

    def document(self) -> dict[str, Any]:
        """All of ``/health``; empty if it does not answer."""
        with suppress(NoDocumentError):
            settings = self._tools.settings
            return read_document(settings.processor_health_port, _DOCUMENT_SECONDS, settings.processor_host)
        return {}

    def in_force(self, name: str) -> float | None:
        """A setting as the running process has it; ``None`` if it does not tell."""
        value = self.document().get("settings", {}).get(name)
        return None if value is None else float(value)

    def offsets(self) -> OffsetsFacts | None:
        """The topic and the group's offsets in it, if the broker answers."""
        found = self._tools.look(Probe.OFFSETS).facts
        return found if isinstance(found, OffsetsFacts) else None

    def unread(self, facts: ProcessorFacts) -> int | None:
        """Records that it has not counted yet; ``None`` if the broker does not answer."""
        offsets = self.offsets()
        if offsets is None:
            return None
        behind = 0
        for number, own in offsets.partitions.items():
            read = own.start if own.committed is None else own.committed
            behind += max(0, own.end - max(facts.offsets.get(number, 0), read))
        return behind

    def has_ended_a_batch(self) -> Proof:
        """Whether its process has committed a batch since its start, or runs and there is nothing to count. Raises
        :class:`~include.services.errors.ServicesError`.
        """
        status = self._tools.controller.status(PROCESSOR)
        if status.pid is None:
            failure = self.notes.failure()
            why = f": {failure.message}" if failure is not None else "."
            return Proof(False, f"stream_processor has ended again{why}", final=True)
        facts = self.facts()
        if facts is None or not self._is_of(status, facts):
            return Proof(False, "stream_processor does not answer yet.")
        if (batch := facts.last_batch) is not None:
            seen = {"batch": batch.id, "rows": batch.input_rows, "process_age_seconds": round(facts.age_seconds, 1)}
            text = f"Batch {batch.id} with {batch.input_rows} records was committed after the start."
            return Proof(True, text, seen)
        if facts.status == "running" and self.unread(facts) == 0:
            return Proof(True, "The query runs, and no record waits.", {"unread": 0})
        error = f"; its last error: {facts.last_error}" if facts.last_error else ""
        return Proof(False, f"No batch has ended yet; stream_processor is {facts.status}{error}.")

    def _is_of(self, status: ServiceStatus, facts: ProcessorFacts) -> bool:
        return speaks_of_itself(self._tools.settings, status, facts.pid, facts.age_seconds, self._tools.now())


def refuses(tools: Tools, probe: Probe, whose: str, page: str) -> Finding | None:
    """``FORBIDDEN`` if the target fails a real operation now: nothing that is done to the job can help."""
    seen = tools.look(probe)
    if seen.outcome is not Outcome.FAILED:
        return None
    return Finding(Need.FORBIDDEN, f"{whose} does not do its part ({_said(seen)}). {page}", facts_of(seen))


def mysql_refuses(tools: Tools) -> Finding | None:
    """See :func:`refuses`."""
    page = "A restart of the job changes nothing: the page for it is mysql_not_writing."
    return refuses(tools, Probe.MYSQL_CANARY, "MySQL", page)


def kafka_refuses(tools: Tools) -> Finding | None:
    """See :func:`refuses`."""
    page = "A restart of the job changes nothing: the page for it is kafka_down."
    return refuses(tools, Probe.KAFKA_CANARY, "Kafka", page)


def facts_of_failure(failure: LastFailure) -> dict[str, Any]:
    """For the timeline."""
    return {
        "kind": failure.kind,
        "number": failure.number,
        "batch": failure.batch_id,
        "times": failure.times,
        "failed_at": failure.at,
        "culprits": [culprit.name for culprit in failure.culprits],
    }


def _said(seen: Observation) -> str:
    return seen.error or seen.code.value
