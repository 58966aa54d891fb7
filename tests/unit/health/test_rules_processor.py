"""Stories of stream_processor_failure: process, query, running batch, progress."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from include.health.observations import Code, LogFacts, Observation, Outcome, Probe
from include.health.rules.processor_errors import cause_of
from include.health.verdicts import State
from include.playbook.names import Cause, Severity, Symptom
from tests.support.flow import Act, Flow, both, changes, first, watched
from tests.support.observing import START, blind, ended, failed, ok, runs, stopped
from tests.support.processor_stories import FAULT_AT, ageing, batch_in, halted, processor_rules, told, works


def _gone(facts: Any) -> Act:
    def act(flow: Flow) -> None:
        halted(flow)
        flow.services["stream_processor"] = facts
        flow.told[Probe.PROCESSOR] = failed(Probe.PROCESSOR, Code.REFUSED, "connection refused")

    return act


def _hung_process(flow: Flow) -> None:
    halted(flow)
    flow.told[Probe.PROCESSOR] = failed(Probe.PROCESSOR, Code.TIMEOUT, "read timed out")


def _error(status: str, code: Code | None) -> Act:
    return ageing(status=status, last_error="something happened", last_error_code=code, last_error_age_seconds=0.0)


def _canary(code: Code) -> Act:
    look = Observation(probe=Probe.MYSQL_CANARY, outcome=Outcome.FAILED, code=code, error="refused")
    return lambda flow: flow.told.update({Probe.MYSQL_CANARY: look})


class _Case(NamedTuple):
    """A fault, seconds until it must be confirmed, and what must be said of it."""

    name: str
    act: Act
    within: float
    cause: Cause
    symptom: Symptom
    direct: bool = True


_MYSQL_HANGS = both(batch_in("mysql"), _canary(Code.TIMEOUT))
_CASES = [
    _Case("gone", _gone(ended()), 2, Cause.PROCESS_GONE, Symptom.PROCESS_GONE),
    _Case("given up", _gone(ended(1, "backoff")), 1, Cause.CRASH_LOOP, Symptom.PROCESS_GONE),
    _Case("hung", _hung_process, 3, Cause.PROCESS_HUNG, Symptom.PROCESS_SILENT),
    _Case("batch", batch_in("aggregate"), 30, Cause.BATCH_HUNG, Symptom.BATCH_HUNG),
    _Case("batch in MySQL", batch_in("mysql"), 30, Cause.BATCH_HUNG, Symptom.BATCH_HUNG),
    _Case("MySQL hangs", _MYSQL_HANGS, 30, Cause.BATCH_HUNG, Symptom.MYSQL_CONNECTIVITY),
    _Case("no progress", halted, 30, Cause.NO_PROGRESS, Symptom.NO_PROGRESS, direct=False),
    _Case("failed", _error("failed", Code.UNKNOWN), 1, Cause.QUERY_FAILED, Symptom.NO_PROGRESS),
    _Case("schema", _error("failed", Code.SCHEMA), 1, Cause.SCHEMA_MISMATCH, Symptom.MYSQL_SCHEMA),
    _Case("1045", _error("failed", Code.CREDENTIALS), 1, Cause.WRITE_FAILURE, Symptom.MYSQL_CREDENTIALS),
    _Case("topic", _error("failed", Code.TOPIC_MISSING), 1, Cause.KAFKA_CONNECTION, Symptom.KAFKA_REFUSES),
    _Case("retry", _error("retrying_mysql", None), 17, Cause.WRITE_FAILURE, Symptom.MYSQL_CONNECTIVITY, direct=False),
    _Case("locks", _error("retrying_mysql", Code.LOCKED), 17, Cause.WRITE_FAILURE, Symptom.MYSQL_LOCKED, direct=False),
    _Case(
        "restarts",
        _error("restarting_query", Code.TRANSPORT),
        17,
        Cause.KAFKA_CONNECTION,
        Symptom.KAFKA_TRANSPORT,
        direct=False,
    ),
]


@pytest.mark.parametrize("case", _CASES, ids=lambda case: case.name)
def test_each_fault_has_its_cause_in_time(case: _Case) -> None:
    verdicts = told(case.act, 340)
    when = first(verdicts, State.UNHEALTHY)
    assert when is not None
    assert 0 <= when - FAULT_AT <= case.within
    verdict = verdicts[when]
    assert (verdict.cause, verdict.symptom, verdict.direct) == (case.cause, case.symptom, case.direct)
    assert verdict.severity is None
    assert verdict.evidence
    assert START + FAULT_AT <= verdict.onset <= START + when


@pytest.mark.parametrize("case", _CASES, ids=lambda case: case.name)
def test_what_is_over_is_healthy_after_a_while(case: _Case) -> None:
    def over(flow: Flow) -> None:
        flow.as_usual()
        flow.services["stream_processor"] = runs(12, 0.5)
        flow.processor["query_run_id"] = "another"

    verdicts = told(case.act, 500, {360: over})
    assert changes({s: v for s, v in verdicts.items() if s >= 359})[-1] == "healthy"
    assert verdicts[359].state.bad


@pytest.mark.parametrize("status", ["retrying_mysql", "restarting_query"])
def test_what_is_tried_again_is_suspect_at_once_and_healthy_when_it_succeeds(status: str) -> None:
    verdicts = told(_error(status, Code.TIMEOUT), 340, {308: Flow.as_usual})
    assert verdicts[FAULT_AT + 1].state is State.SUSPECT
    assert verdicts[FAULT_AT + 1].severity is None
    assert changes(verdicts) == ["healthy", "suspect", "healthy"]


def test_a_query_that_runs_and_fails_in_turns_is_not_taken_for_healthy() -> None:
    """Each try to start it looks like running for a second or two; no batch is ever finished."""

    def turns(flow: Flow) -> None:
        halted(flow)
        look = flow._processor

        def processor() -> Observation:
            running = int(flow.now) % 4 < 2
            flow.processor.update(
                status="running" if running else "restarting_query",
                last_error="kafka: gone",
                last_error_code=Code.TRANSPORT,
                last_error_age_seconds=1.0,
            )
            return look()

        flow._processor = processor  # type: ignore[method-assign]

    verdicts = told(turns, 345)
    assert 15 <= first(verdicts, State.UNHEALTHY) - FAULT_AT <= 20  # type: ignore[operator]
    assert verdicts[345].symptom is Symptom.KAFKA_TRANSPORT


def _restarted(pid: int) -> Act:
    def act(flow: Flow) -> None:
        halted(flow)
        flow.services["stream_processor"] = runs(pid, 0.5)
        flow.processor.update(pid=pid, status="starting", last_batch=None, query_run_id=None)

    return act


def test_supervision_that_brings_it_back_leaves_a_record() -> None:
    verdicts = told(_restarted(9), 400, {FAULT_AT + 25: works})
    assert changes(verdicts) == ["healthy", "unhealthy", "recovering", "healthy"]
    assert {v.severity for v in verdicts.values() if v.state.bad} == {Severity.SEV_4}
    assert verdicts[FAULT_AT + 3].cause is Cause.PROCESS_RESTARTED
    assert verdicts[FAULT_AT + 24].state is State.UNHEALTHY  # not before it has counted a batch


def test_a_restart_that_does_not_work_in_time_is_the_scenario_itself() -> None:
    verdicts = told(_restarted(9), 400)
    assert verdicts[FAULT_AT + 59].severity is Severity.SEV_4
    assert (verdicts[FAULT_AT + 63].cause, verdicts[FAULT_AT + 63].severity) == (Cause.NO_PROGRESS, None)


def test_what_its_log_said_last_is_why_it_ended() -> None:
    """It may end before its health endpoint was asked again: the record must name MySQL's schema all the same."""

    def ends(flow: Flow) -> None:
        line = "query ended error=WarehouseFailedError: MySQL error 1054 (schema) after 1 attempt in 0.0 s"
        flow.told[Probe.LOGS] = Observation(
            probe=Probe.LOGS,
            outcome=Outcome.OK,
            facts=LogFacts(errors={"stream_processor": {"schema": 1}}, newest={"stream_processor": line}),
        )
        _restarted(9)(flow)

    verdict = told(ends, 330)[FAULT_AT + 4]
    assert (verdict.symptom, verdict.severity) == (Symptom.MYSQL_SCHEMA, Severity.SEV_4)


def test_what_it_said_before_it_ended_is_why_it_ended() -> None:
    """A dropped column ends it again and again; the incident is MySQL's, so the symptom must name MySQL."""

    def ends(flow: Flow) -> None:
        flow.as_usual()
        _gone(ended(1))(flow)

    def again(flow: Flow) -> None:
        flow.told.pop(Probe.PROCESSOR)
        _restarted(11)(flow)

    verdicts = told(_error("failed", Code.SCHEMA), 360, {303: ends, 310: again})
    assert {v.symptom for s, v in verdicts.items() if s > FAULT_AT} == {Symptom.MYSQL_SCHEMA}


def test_stopped_on_request_is_never_unhealthy_and_neither_is_its_start() -> None:
    def started(flow: Flow) -> None:
        flow.told.pop(Probe.PROCESSOR)
        _restarted(12)(flow)

    verdicts = told(_gone(stopped()), 700, {600: started, 625: works})
    assert changes(verdicts) == ["healthy", "suspect", "healthy"]
    held = verdicts[400]
    assert (held.cause, held.severity) == (Cause.STOPPED_ON_REQUEST, Severity.SEV_4)


def test_a_cold_start_takes_its_time() -> None:
    flow = Flow()
    _restarted(5)(flow)
    verdicts = watched(processor_rules(), flow, 100, {30: works})
    assert changes(verdicts) == ["healthy"]
    assert "starting" in verdicts[10].reason


def test_invalid_records_and_errors_in_the_log_are_records() -> None:
    verdicts = watched(
        processor_rules(), Flow(trades=40), 400, {FAULT_AT: lambda flow: setattr(flow, "invalid_rows", 10)}
    )
    assert (verdicts[350].cause, verdicts[350].severity) == (Cause.SCHEMA_MISMATCH, Severity.SEV_4)
    errors = ok(Probe.LOGS, LogFacts(errors={"stream_processor": {"mysql": 4, "other": 2}}))
    verdict = told(lambda flow: flow.told.update({Probe.LOGS: errors}))[350]
    assert (verdict.state, verdict.severity) == (State.SUSPECT, Severity.SEV_4)
    assert "mysql 4" in verdict.reason


@pytest.mark.parametrize("act", [_gone(ended()), batch_in("aggregate"), None], ids=["gone", "batch", "well"])
def test_unknown_neither_enters_nor_clears(act: Act | None) -> None:
    def unseen(flow: Flow) -> None:
        for probe in (Probe.PROCESSES, Probe.PROCESSOR, Probe.OFFSETS):
            flow.told[probe] = blind(probe)

    verdicts = watched(processor_rules(), Flow(), 600, {**({FAULT_AT: act} if act else {}), 340: unseen})
    assert verdicts[600].state is verdicts[339].state
    assert verdicts[600].cause is verdicts[339].cause


def test_every_class_of_error_has_a_cause() -> None:
    told = {code: cause_of(code) for code in [*Code, None]}
    assert {cause for cause, _ in told.values()} == {
        Cause.SCHEMA_MISMATCH,
        Cause.WRITE_FAILURE,
        Cause.KAFKA_CONNECTION,
        Cause.QUERY_FAILED,
        Cause.CORRUPTED_LOG,
    }
    assert told[Code.CHECKPOINT] == (Cause.CORRUPTED_LOG, Symptom.NO_PROGRESS)
    assert told[None] == (Cause.QUERY_FAILED, Symptom.NO_PROGRESS)


def test_after_a_gap_in_looking_progress_must_be_missed_anew() -> None:
    rules, flow = processor_rules(), Flow()
    watched(rules, flow, 60)
    halted(flow)
    rules.resumed(START + 150)
    flow.now = 150.0
    assert first(watched(rules, flow, 168), State.UNHEALTHY) is None
    assert first(watched(rules, flow, 180), State.UNHEALTHY) is not None


def test_a_process_that_ends_while_it_tries_again_ends_because_of_that() -> None:
    def ends(flow: Flow) -> None:
        flow.as_usual()
        _gone(ended(1))(flow)

    verdicts = told(_error("restarting_query", Code.TRANSPORT), 340, {304: ends})
    assert verdicts[310].state is State.UNHEALTHY
    assert verdicts[310].symptom is Symptom.KAFKA_TRANSPORT


def test_who_begins_to_look_does_not_know_how_long_records_have_waited() -> None:
    flow = Flow()
    halted(flow)
    flow.now, flow._counted_at = 1.0, -500.0  # the offsets are seen first
    assert 19 <= first(watched(processor_rules(), flow, 60), State.UNHEALTHY) <= 30  # type: ignore[operator]
