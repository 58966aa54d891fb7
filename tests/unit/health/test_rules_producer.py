"""Stories of producer_silent: the process, the exchange, the network, limits, frames or Kafka."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

from include.health.observations import Code, Observation, Probe
from include.health.verdicts import State
from include.playbook.names import Cause, Severity, Symptom
from tests.support.flow import Act, Flow, both, changes, first, watched
from tests.support.observing import START, blind, ended, failed, log, processes, runs, stopped
from tests.support.producer_stories import FAULT_AT, exchange, producer_rules, told


def _producer(**facts: Any) -> Act:
    return lambda flow: flow.producer.update(facts)


def _process(facts: Any, *, gone: bool = True) -> Act:
    def act(flow: Flow) -> None:
        flow.services["btc_producer"] = facts
        if gone:
            flow.stopped.add("received")
            flow.told[Probe.PRODUCER] = failed(Probe.PRODUCER, Code.REFUSED, "connection refused")

    return act


def _hung(flow: Flow) -> None:
    flow.stopped.add("received")
    flow.told[Probe.PRODUCER] = failed(Probe.PRODUCER, Code.TIMEOUT, "read timed out")


def _feed_stops(flow: Flow) -> None:
    flow.stopped.add("received")


def _kafka_takes_nothing(flow: Flow) -> None:
    flow.stopped.add("acked")
    began = flow.now
    look = flow._producer

    def producer() -> Observation:
        flow.producer["oldest_unacknowledged_seconds"] = flow.now - began
        return look()

    flow._producer = producer  # type: ignore[method-assign]


class _Case(NamedTuple):
    """A fault, seconds until it must be confirmed, and what must be said of it."""

    name: str
    act: Act
    within: float
    cause: Cause
    symptom: Symptom
    severity: Severity | None = None
    direct: bool = True


_OUTAGE = both(_feed_stops, exchange(Code.SERVER_ERROR, Code.SERVER_ERROR, Code.TIMEOUT))
_NO_NETWORK = both(_feed_stops, exchange(Code.UNREACHABLE, Code.UNREACHABLE, Code.UNREACHABLE))
_BAN = exchange(Code.BANNED)
_FLOOD = _producer(window_valid=100, window_invalid=20)

_CASES = [
    _Case("gone", _process(ended()), 2, Cause.PROCESS_GONE, Symptom.PROCESS_GONE),
    _Case("given up", _process(ended(1, "fatal")), 1, Cause.CRASH_LOOP, Symptom.PROCESS_GONE),
    _Case("hung", _hung, 3, Cause.PROCESS_HUNG, Symptom.PROCESS_SILENT),
    _Case("silent feed", _feed_stops, 10, Cause.FEED_SILENT, Symptom.FEED_SILENT),
    _Case("exchange outage", _OUTAGE, 17, Cause.EXCHANGE_OUTAGE, Symptom.EXCHANGE_UNREACHABLE),
    _Case("network", _NO_NETWORK, 17, Cause.NETWORK, Symptom.EXCHANGE_UNREACHABLE),
    _Case("banned", _BAN, 6, Cause.BANNED, Symptom.RATE_LIMITED, Severity.SEV_3),
    _Case("banned, silent", both(_feed_stops, _BAN), 10, Cause.BANNED, Symptom.RATE_LIMITED, Severity.SEV_2),
    _Case("flood", _FLOOD, 2, Cause.SERIALIZATION, Symptom.BAD_FRAMES),
    _Case("kafka", _kafka_takes_nothing, 8, Cause.KAFKA_CONNECTION, Symptom.KAFKA_TRANSPORT, direct=False),
]


@pytest.mark.parametrize("case", _CASES, ids=lambda case: case.name)
def test_each_fault_has_its_cause_in_time(case: _Case) -> None:
    verdicts = told(case.act)
    when = first(verdicts, State.UNHEALTHY)
    assert when is not None
    assert 0 <= when - FAULT_AT <= case.within
    verdict = verdicts[110]
    said = (verdict.cause, verdict.symptom, verdict.severity, verdict.direct)
    assert said == (case.cause, case.symptom, case.severity, case.direct)
    assert verdict.evidence
    assert START + FAULT_AT <= verdict.onset <= START + when


def test_a_silent_stream_is_told_although_trades_come_in_by_rest() -> None:
    def polling(flow: Flow) -> None:
        flow.producer.update(status="polling", silence_verdict="feed_at_fault", stream_proven=False)

    verdict = told(polling, 110)[FAULT_AT + 2]
    assert (verdict.state, verdict.cause, verdict.severity) == (State.UNHEALTHY, Cause.FEED_SILENT, Severity.SEV_3)


def test_supervision_that_brings_it_back_leaves_a_record() -> None:
    def restarted(flow: Flow) -> None:
        flow.services["btc_producer"] = runs(9, 0.5)
        flow.producer.update(pid=9, status="starting")

    verdicts = told(restarted, script={FAULT_AT + 4: _producer(status="live")})
    assert verdicts[FAULT_AT + 1].state is State.HEALTHY  # its log has a second to tell why it ended
    record = verdicts[FAULT_AT + 3]
    assert (record.state, record.severity, record.cause) == (
        State.UNHEALTHY,
        Severity.SEV_4,
        Cause.PROCESS_RESTARTED,
    )
    assert changes(verdicts) == ["healthy", "unhealthy", "recovering", "healthy"]
    assert all(v.severity is Severity.SEV_4 for v in verdicts.values() if v.state.bad)


def test_a_restart_that_does_not_work_in_time_is_the_scenario_itself() -> None:
    def restarted(flow: Flow) -> None:
        flow.services["btc_producer"] = runs(9, 0.5)
        flow.producer.update(pid=9, status="starting")

    verdicts = told(restarted)
    assert verdicts[FAULT_AT + 19].severity is Severity.SEV_4
    late = verdicts[FAULT_AT + 22]
    assert (late.state, late.severity, late.symptom) == (State.UNHEALTHY, None, Symptom.NO_NEW_MESSAGES)


def test_three_restarts_in_two_minutes_are_a_loop() -> None:
    def pid(number: int) -> Act:
        def act(flow: Flow) -> None:
            flow.services["btc_producer"] = runs(number, 0.5)
            flow.producer.update(status="starting")

        return act

    verdicts = told(pid(9), script={FAULT_AT + 10: pid(10), FAULT_AT + 20: pid(11)})
    assert verdicts[FAULT_AT + 22].cause is Cause.CRASH_LOOP
    assert verdicts[FAULT_AT + 22].severity is None


def test_a_log_that_names_the_cause_is_believed() -> None:
    def act(flow: Flow) -> None:
        _process(ended(2))(flow)
        flow.told[Probe.LOGS] = log("btc_producer", "OSError: [Errno 98] Address already in use")

    assert told(act)[FAULT_AT + 10].cause is Cause.PORT_CONFLICT


def test_stopped_on_request_is_never_unhealthy_and_neither_is_its_start() -> None:
    def started(flow: Flow) -> None:
        flow.services["btc_producer"] = runs(9, 0.5)

    def answers(flow: Flow) -> None:
        flow.as_usual()
        flow.producer["status"] = "starting"

    script = {400: started, 406: answers, 408: _producer(status="catching_up"), 412: _producer(status="live")}
    verdicts = told(_process(stopped()), 460, script)
    held = verdicts[FAULT_AT + 5]
    assert (held.state, held.cause, held.severity) == (State.SUSPECT, Cause.STOPPED_ON_REQUEST, Severity.SEV_4)
    assert changes(verdicts) == ["healthy", "suspect", "healthy"]


def test_a_remedy_that_stops_and_starts_it_does_not_end_the_trouble() -> None:
    def started(flow: Flow) -> None:
        flow.services["btc_producer"] = runs(9, 0.5)
        flow.producer["status"] = "starting"
        flow.told.pop(Probe.PRODUCER)

    def works(flow: Flow) -> None:
        flow.stopped.clear()
        flow.producer["status"] = "live"

    verdicts = told(_hung, 130, {80: _process(stopped()), 84: started, 90: works})
    assert changes(verdicts) == ["healthy", "suspect", "unhealthy", "recovering", "healthy"]
    assert first({s: v for s, v in verdicts.items() if s > 70}, State.HEALTHY) > 90  # type: ignore[operator]


def test_one_refusal_is_a_warning_and_a_second_an_incident_until_the_exchange_answers_again() -> None:
    def refused(times: int, wait: float) -> Act:
        return _producer(times_limited=times, retry_after_seconds=wait)

    script = {62: refused(1, 8), 70: refused(1, 0), 130: refused(2, 8), 140: refused(2, 0)}
    verdicts = watched(producer_rules(), Flow(), 240, script)
    assert (verdicts[68].state, verdicts[68].severity) == (State.SUSPECT, Severity.SEV_4)
    assert verdicts[125].state is State.HEALTHY
    again = verdicts[133]
    assert (again.state, again.cause, again.severity) == (State.UNHEALTHY, Cause.RATE_LIMITED, Severity.SEV_3)
    assert verdicts[240].state is State.HEALTHY


def test_refusals_far_apart_stay_warnings() -> None:
    script = {62: _producer(times_limited=1), 700: _producer(times_limited=2)}
    verdicts = watched(producer_rules(), Flow(), 800, script)
    assert first(verdicts, State.UNHEALTHY) is None
    assert verdicts[705].state is State.SUSPECT


def test_rest_alone_away_is_a_warning_while_trades_come_by_stream() -> None:
    verdicts = told(exchange(Code.SERVER_ERROR, Code.SERVER_ERROR), 150)
    assert first(verdicts, State.UNHEALTHY) is None
    assert (verdicts[150].severity, verdicts[150].symptom) == (Severity.SEV_4, Symptom.EXCHANGE_UNREACHABLE)


@pytest.mark.parametrize(
    ("facts", "cause"),
    [
        ({"status": "polling", "polling": True}, Cause.EXCHANGE_OUTAGE),
        ({"open_breakers": ("api-gcp",)}, Cause.EXCHANGE_OUTAGE),
        ({"weight_used": 5_000}, Cause.RATE_LIMITED),
        ({"window_valid": 1_000, "window_invalid": 3}, Cause.SERIALIZATION),
    ],
)
def test_warnings_are_records(facts: dict[str, Any], cause: Cause) -> None:
    verdict = told(_producer(**facts))[120]
    assert (verdict.state, verdict.severity, verdict.cause) == (State.SUSPECT, Severity.SEV_4, cause)


@pytest.mark.parametrize("act", [_process(ended()), _feed_stops, None], ids=["gone", "silent", "well"])
def test_unknown_neither_enters_nor_clears(act: Act | None) -> None:
    def unseen(flow: Flow) -> None:
        for probe in (Probe.PROCESSES, Probe.PRODUCER, Probe.EXCHANGE, Probe.OFFSETS):
            flow.told[probe] = blind(probe)

    verdicts = watched(producer_rules(), Flow(), 400, {**({FAULT_AT: act} if act else {}), 100: unseen})
    assert verdicts[400].state is verdicts[99].state
    assert verdicts[400].cause is verdicts[99].cause


def test_nothing_is_known_before_anything_is_seen() -> None:
    assert producer_rules().verdict(START).state is State.UNKNOWN


@pytest.mark.parametrize("case", _CASES, ids=lambda case: case.name)
def test_what_is_over_is_healthy_after_a_while(case: _Case) -> None:
    def over(flow: Flow) -> None:
        flow.as_usual()
        flow.services["btc_producer"] = runs(12, 0.5)

    verdicts = told(case.act, 260, {120: over})
    assert "recovering" in changes(verdicts)
    assert changes(verdicts)[-1] == "healthy"


def test_a_feed_that_is_paused_because_kafka_is_away_is_not_silent() -> None:
    def paused(flow: Flow) -> None:
        _kafka_takes_nothing(flow)
        flow.stopped.add("received")
        flow.producer["publisher_state"] = "paused"

    assert {v.cause for v in told(paused).values() if v.state.bad} == {Cause.KAFKA_CONNECTION}


def test_a_record_does_not_hide_a_fault() -> None:
    def act(flow: Flow) -> None:
        flow.services["btc_producer"] = runs(9, 0.5)
        flow.producer.update(window_valid=100, window_invalid=50)

    verdict = told(act)[FAULT_AT + 3]
    assert (verdict.cause, verdict.severity) == (Cause.SERIALIZATION, None)


@pytest.mark.parametrize(("back_after", "worst"), [(0.8, Severity.SEV_4), (5.0, None)])
def test_supervision_has_a_second_to_bring_it_back(back_after: float, worst: Severity | None) -> None:
    """Two looks a second at the processes, and the endpoint as a second witness."""
    rules, flow = producer_rules(), Flow()
    watched(rules, flow, 60)
    died, severities = START + 60.1, set()
    for step in range(20):
        at = died + step * 0.5
        back = at >= died + back_after
        own = runs(9, at - died - back_after) if back else ended()
        rules.handlers[Probe.PROCESSES](at, processes(btc_producer=own))
        rules.handlers[Probe.PRODUCER](at + 0.1, failed(Probe.PRODUCER, Code.REFUSED))
        verdict = rules.verdict(at + 0.1)
        if verdict.state is State.UNHEALTHY:
            severities.add(verdict.severity)
        if step == 4 and worst is None:
            assert verdict.state is State.UNHEALTHY
    assert worst in severities
    assert (None in severities) is (worst is None)
