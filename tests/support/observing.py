"""Observations in a few words, and stories told in them: what is seen from when on, and what must be concluded when."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import include.playbook
from include.health.observations import (
    BatchFacts,
    ClusterFacts,
    Code,
    Facts,
    HostFacts,
    LogFacts,
    Observation,
    Outcome,
    Probe,
    ProcessesFacts,
    ProcessFacts,
    ProcessorFacts,
    ProducerFacts,
    RoundTripFacts,
    RowsFacts,
    Seen,
)
from include.health.rules.base import Rules
from include.health.verdicts import Assessment, Verdict
from include.playbook.names import ScenarioId
from include.playbook.thresholds import Thresholds

T = TypeVar("T", bound=Thresholds)
START = 1_700_000_000.0

Look = Observation
Phase = tuple[float, Sequence[Look]]


def thresholds(scenario: ScenarioId, model: type[T], **changes: Any) -> T:
    """Those of the playbook, with some of them changed."""
    file = Path(include.playbook.__file__).parent / "scenarios" / f"{scenario}.toml"
    return model(**{**tomllib.loads(file.read_text())["thresholds"], **changes})


def ok(probe: Probe, facts: Facts | None = None, **more: Any) -> Observation:
    """The operation succeeded."""
    return Observation(probe=probe, outcome=Outcome.OK, facts=facts, **more)


def failed(probe: Probe, code: Code, error: str = "", **more: Any) -> Observation:
    """The target failed it."""
    return Observation(probe=probe, outcome=Outcome.FAILED, code=code, error=error or code.value, **more)


def blind(probe: Probe, code: Code = Code.OWN_FAULT) -> Observation:
    """The probe failed for a reason of its own."""
    return Observation(probe=probe, outcome=Outcome.BLIND, code=code, error="boom")


def round_trip(probe: Probe, seconds: float = 0.005) -> Observation:
    """It went round."""
    return ok(probe, RoundTripFacts(seconds=seconds))


def cluster(brokers: int = 1, **problems: str) -> Observation:
    """``KAFKA_METADATA``; problems by topic, with ``_`` for ``-``."""
    named = {topic.replace("_", "-"): text for topic, text in problems.items()}
    return ok(Probe.KAFKA_METADATA, ClusterFacts(brokers=brokers, controller=1, topic_problems=named, seconds=0.01))


def processes(**services: ProcessFacts) -> Observation:
    """``PROCESSES``: these, and nothing of the others."""
    return ok(Probe.PROCESSES, ProcessesFacts(services=services))


def runs(pid: int = 100, age: float = 1000.0, state: str = "running") -> ProcessFacts:
    """It has a process."""
    return ProcessFacts(state=state, pid=pid, age_seconds=age)


def ended(exit_code: int | None = -9, state: str = "exited") -> ProcessFacts:
    """It ended on its own."""
    return ProcessFacts(state=state, exit_code=exit_code)


def stopped(state: str = "stopped") -> ProcessFacts:
    """Somebody asked for it."""
    return ProcessFacts(state=state, exit_code=0, on_request=True)


def host(**free: float) -> Observation:
    """``HOST``: free share of disk by folder."""
    return ok(
        Probe.HOST,
        HostFacts(disk_free_bytes={}, disk_free_share=free, memory_free_share=0.5, file_descriptors_share=0.1),
    )


def log(service: str, line: str) -> Observation:
    """``LOGS``: one new error."""
    return ok(Probe.LOGS, LogFacts(errors={service: {"other": 1}}, newest={service: line}))


def rows(batches: int = 1, offset: int = 0) -> Observation:
    """``MYSQL_LEDGER``."""
    facts = RowsFacts(counted={}, batches=batches, batch_age_seconds=1.0, row_age_seconds=1.0, offsets={0: offset})
    return ok(Probe.MYSQL_LEDGER, facts)


def batch(number: int = 1, age: float = 0.5, input_rows: int = 10) -> BatchFacts:
    """A committed batch."""
    return BatchFacts(
        id=number,
        input_rows=input_rows,
        invalid_rows=0,
        duplicate_rows=0,
        duration_seconds=0.3,
        phase_seconds={},
        committed_age_seconds=age,
    )


def processor(**changes: Any) -> Observation:
    """``PROCESSOR``: a job that runs and has no batch at the moment, with some things changed."""
    usual: dict[str, Any] = {
        "status": "running",
        "pid": 7,
        "age_seconds": 1000.0,
        "query_run_id": "run",
        "batch_running": False,
        "batch_age_seconds": 0.0,
        "batch_phase": None,
        "last_batch": batch(),
        "offsets": {0: 0},
        "last_error": None,
        "last_error_age_seconds": None,
        "last_error_code": None,
    }
    return ok(Probe.PROCESSOR, ProcessorFacts(**{**usual, **changes}))


def seconds(phases: Iterable[Phase], until: float, every: float = 1.0) -> Iterator[Seen]:
    """One ``Seen`` each second (or ``every``): what the phase that has begun last sees."""
    plan = sorted(phases, key=lambda phase: phase[0])
    for step in range(int(until / every) + 1):
        now = step * every
        looks: Sequence[Look] = ()
        for begin, what in plan:
            if begin <= now:
                looks = what
        yield Seen(START + now, tuple(looks))


def take(rules: Rules, at: float, observation: Observation) -> None:
    """As the detector hands it on."""
    if observation.outcome is not Outcome.BLIND and observation.probe in rules.handlers:
        rules.handlers[observation.probe](at, observation)


def told(rules: Rules, stream: Iterable[Seen]) -> dict[float, Verdict]:
    """The verdicts of one scenario's rules, by seconds since the start."""
    verdicts = {}
    for seen in stream:
        for observation in seen.observations:
            take(rules, seen.at, observation)
        verdicts[seen.at - START] = rules.verdict(seen.at)
    return verdicts


def assessed(detector: Any, stream: Iterable[Seen]) -> list[Assessment]:
    """Everything that a detector concludes."""
    return [detector.feed(seen) for seen in stream]


def producer(**changes: Any) -> Observation:
    """``PRODUCER``: a producer that is well and has nothing to send, with some things changed."""
    usual: dict[str, Any] = {
        "status": "live",
        "pid": 8,
        "age_seconds": 1000.0,
        "symbols": {},
        "silent_seconds": 0.1,
        "silence_verdict": None,
        "stream_proven": True,
        "polling": False,
        "times_limited": 0,
        "retry_after_seconds": 0.0,
        "weight_used": 0,
        "weight_limit": 6000,
        "open_breakers": (),
        "buffered": 0,
        "oldest_unacknowledged_seconds": 0.0,
        "publisher_state": "open",
        "invalid_state": "normal",
        "invalid_total": 0,
        "window_valid": 0,
        "window_invalid": 0,
        "last_error": None,
    }
    return ok(Probe.PRODUCER, ProducerFacts(**{**usual, **changes}))
