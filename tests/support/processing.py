"""A stream processor as rungs see it: a process that sleeps, and what it and the others say about it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest

from include.guardrails.memory import MemoryGuardrails
from include.health.observations import (
    AuditFacts,
    BatchFacts,
    ClusterFacts,
    Code,
    Observation,
    OffsetsFacts,
    PartitionFacts,
    Probe,
    ProcessorFacts,
    RoundTripFacts,
    SchemaFacts,
)
from include.incidents.memory_store import MemoryIncidentStore
from include.playbook.names import Cause, ScenarioId
from include.playbook.playbook import get_playbook
from include.remediation import processor_view, waiting
from include.remediation.model import RunRequest
from include.remediation.tools import Tools
from include.runtime.clock import ManualClock
from include.runtime.processor_notes import LastFailure, ProcessorNotes
from include.runtime.temporary_settings import TemporarySettings
from include.services.controller import ServiceController
from include.services.fake import FakeServiceController
from include.services.names import PROCESSOR, PRODUCER
from include.settings import Settings
from tests.support.remediating import observation

Answer = Observation | Callable[[], Observation]


@dataclass
class Scene:
    """``seen``: answers of the probes; ``document``: all of ``/health``, empty when nobody answers."""

    tools: Tools
    controller: FakeServiceController
    clock: ManualClock
    seen: dict[Probe, Answer]
    document: dict[str, Any] = field(default_factory=dict)

    @property
    def notes(self) -> ProcessorNotes:
        return ProcessorNotes(self.tools.settings)

    @property
    def pid(self) -> int | None:
        return self.controller.status(PROCESSOR).pid

    def start(self) -> None:
        self.controller.start(PROCESSOR, 5)

    def says(self, **changes: Any) -> None:
        """What the processor says, now and later: with the id of the process that runs then."""
        facts = replace_facts(RUNNING, **changes)

        def tell() -> Observation:
            pid = changes.get("pid", self.pid or 0)
            return observation(Probe.PROCESSOR, facts=replace_facts(facts, pid=pid))

        self.seen[Probe.PROCESSOR] = tell

    def failed(self, kind: str, **more: Any) -> LastFailure:
        """It gave up."""
        failure = LastFailure(**{"kind": kind, "message": "words", "at": "2026-11-24T10:00:00.000Z", **more})
        self.notes.gave_up(failure)
        return failure

    def lag(self, *rounds: tuple[int, int, float]) -> None:
        """End, committed and waiting seconds of the only partition, round by round; the last one for good."""
        left = list(rounds)

        def tell() -> Observation:
            end, committed, waiting_seconds = left.pop(0) if len(left) > 1 else left[0]
            self.clock.advance(0.95)  # with the look itself a second
            partition = PartitionFacts(end=end, committed=committed, waiting_seconds=waiting_seconds)
            facts = OffsetsFacts(partitions={0: partition}, retention_seconds=3600)
            return observation(Probe.OFFSETS, facts=facts)

        self.seen[Probe.OFFSETS] = tell


BATCH = BatchFacts(
    id=5,
    input_rows=40,
    invalid_rows=0,
    duplicate_rows=0,
    duration_seconds=0.4,
    phase_seconds={"aggregate": 0.3, "mysql": 0.1},
    committed_age_seconds=0.5,
)
RUNNING = ProcessorFacts(
    status="running",
    pid=1,
    age_seconds=300.0,
    query_run_id="run",
    batch_running=False,
    batch_age_seconds=0.0,
    batch_phase=None,
    last_batch=BATCH,
    offsets={0: 100},
    last_error=None,
    last_error_age_seconds=None,
    last_error_code=None,
)
_TRIP = RoundTripFacts(seconds=0.01)
WELL: dict[Probe, Answer] = {
    Probe.PRODUCER: observation(Probe.PRODUCER, Code.REFUSED),  # nothing is known about it
    Probe.KAFKA_CANARY: observation(Probe.KAFKA_CANARY, facts=_TRIP),
    Probe.KAFKA_METADATA: observation(
        Probe.KAFKA_METADATA, facts=ClusterFacts(brokers=1, controller=1, topic_problems={}, seconds=0.01)
    ),
    Probe.MYSQL_CANARY: observation(Probe.MYSQL_CANARY, facts=_TRIP),
    Probe.MYSQL_SCHEMA: observation(Probe.MYSQL_SCHEMA, facts=SchemaFacts(problems=())),
    Probe.MYSQL_AUDIT: observation(Probe.MYSQL_AUDIT, facts=AuditFacts(checked=12, missing=())),
}


def replace_facts(facts: Any, **changes: Any) -> Any:
    """A copy of a ``msgspec`` struct with other values."""
    import msgspec

    return msgspec.structs.replace(facts, **changes)


def request(scenario: ScenarioId = ScenarioId.STREAM_PROCESSOR_FAILURE, **changes: Any) -> RunRequest:
    """Of a health Dag."""
    return replace(RunRequest("INC-2026-0001", scenario, Cause.UNKNOWN, "health", "run"), **changes)


@contextmanager
def scene(home: Path, monkeypatch: pytest.MonkeyPatch, **settings: Any) -> Iterator[Scene]:
    """All is well, and the job runs."""
    monkeypatch.setattr(waiting, "POLL_SECONDS", 0.001)
    clock = ManualClock(time.time_ns() // 1_000_000)  # the process host tells real moments
    store = MemoryIncidentStore(clock)
    made = Settings(_env_file=None, home=home, **settings)
    made.run_dir.mkdir()
    controller = FakeServiceController(
        {PROCESSOR: ["sleep", "600"], PRODUCER: ["sleep", "600"]}, made.log_dir, settle_seconds=0.02
    )
    seen = dict(WELL)

    def look(probe: Probe) -> Observation:
        clock.advance(0.05)
        answer = seen[probe]
        return answer() if callable(answer) else answer

    tools = Tools(
        settings=made,
        controller=cast(ServiceController, controller),
        store=store,
        guardrails=MemoryGuardrails(clock, store),
        temporary=TemporarySettings(made.run_dir),
        look=look,
        scenario=get_playbook().scenarios.__getitem__,
        clock=clock,
    )
    current = Scene(tools, controller, clock, seen)
    monkeypatch.setattr(processor_view, "read_document", lambda port, seconds, host: current.document)
    current.start()
    current.says()
    current.lag((100, 100, 0.0))
    try:
        yield current
    finally:
        controller.close()
