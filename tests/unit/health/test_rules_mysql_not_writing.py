"""``mysql_not_writing`` in stories: what is seen from which second on, and what must be concluded when."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

from include.health.config import DetectorConfig
from include.health.observations import AuditFacts, Code, LocksFacts, Observation, Probe, SchemaFacts, Seen
from include.health.rules.mysql_not_writing import MysqlNotWritingRules
from include.health.verdicts import State, Verdict
from include.playbook.names import Cause, Severity, Symptom
from include.playbook.thresholds import MysqlThresholds
from tests.support.observing import (
    START,
    Phase,
    batch,
    blind,
    ended,
    failed,
    host,
    log,
    ok,
    processes,
    processor,
    round_trip,
    rows,
    runs,
    seconds,
    stopped,
    told,
)

H, S, B, R, U = State.HEALTHY, State.SUSPECT, State.UNHEALTHY, State.RECOVERING, State.UNKNOWN
CANARY = Probe.MYSQL_CANARY
ALIVE, GONE, HELD = (processes(mysql=facts) for facts in (runs(), ended(), stopped()))
WRITES = round_trip(CANARY)
WELL = (ALIVE, WRITES)


def failing(code: Code, number: int | None = None) -> tuple[Observation, ...]:
    return ALIVE, failed(CANARY, code, number=number)


def audit(*missing: str) -> Observation:
    return ok(Probe.MYSQL_AUDIT, AuditFacts(checked=40, missing=missing))


def schema(*problems: str) -> Observation:
    return ok(Probe.MYSQL_SCHEMA, SchemaFacts(problems=problems))


def locks(waiting: int) -> Observation:
    blockers = ("connection 9 (report@host, asleep for 60 s)",) if waiting else ()
    return ok(Probe.MYSQL_LOCKS, LocksFacts(waiting=waiting, longest_wait_seconds=12.0, blockers=blockers))


def in_mysql(phase_age: float, **more: Any) -> Observation:
    """A batch that has been writing for so long."""
    return processor(batch_running=True, batch_phase="mysql", phase_age_seconds=phase_age, last_batch=None, **more)


def meets(code: Code, age: float = 0.5, **more: Any) -> Observation:
    """An error that no batch has followed."""
    error = {"last_error": f"1142: {code.value}", "last_error_age_seconds": age, "last_error_code": code}
    return processor(**{"status": "retrying_mysql", "last_batch": None, **error, **more})


class Then(NamedTuple):
    """At a second: the state and, if it matters, the cause."""

    at: float
    state: State
    cause: Cause | None = None


def rules() -> MysqlNotWritingRules:
    values: dict[str, Any] = {
        "gone_samples": 1,
        "canary_failures": 3,
        "canary_successes": 3,
        "ledger_stalled_seconds": 20,
        "phase_seconds": 10,
        "ledger_advances": 2,
        "locked_per_minute": 5,
        "locked_canaries": 4,
        "audit_failures": 2,
        "disk_free_share": 0.03,
        "flaps": 3,
        "flap_window_seconds": 600,
        "flap_calm_seconds": 300,
        "dwell_seconds": 10,
        "blind_seconds": 15,
    }
    return MysqlNotWritingRules(MysqlThresholds(**values), DetectorConfig())


def verdicts(phases: list[Phase], until: float) -> dict[float, Verdict]:
    return told(rules(), seconds(phases, until))


STORIES: dict[str, tuple[list[Phase], list[Then]]] = {
    "a quiet day": ([(0, WELL)], [Then(0, H, Cause.NONE), Then(600, H)]),
    "nothing seen yet": ([(0, ())], [Then(0, U, Cause.UNKNOWN), Then(10, U)]),
    "killed: at once": (
        [(0, WELL), (10, (GONE, failed(CANARY, Code.REFUSED)))],
        [Then(9, H), Then(10, B, Cause.PROCESS_GONE), Then(60, B, Cause.PROCESS_GONE)],
    ),
    "killed, and started again by somebody": (
        [
            (0, WELL),
            (10, (GONE, failed(CANARY, Code.REFUSED))),
            (20, (processes(mysql=runs(200, 0.5)), failed(CANARY, Code.REFUSED))),
            (25, (processes(mysql=runs(200, 5)), WRITES)),
        ],
        [
            Then(24, B, Cause.PROCESS_GONE),
            Then(25, R, Cause.PROCESS_GONE),
            Then(30, R),  # nothing has been waiting, but not for long enough
            Then(45, H, Cause.NONE),
        ],
    ),
    "hangs": (
        [(0, WELL), (10, failing(Code.TIMEOUT))],
        [Then(10, S), Then(11, S), Then(12, B, Cause.PROCESS_HUNG)],
    ),
    "its process lives, and listens somewhere else": (
        [(0, WELL), (10, failing(Code.REFUSED, 2003))],
        [Then(12, B, Cause.WRONG_SETTINGS)],
    ),
    "another server than ours is not there": (
        [(0, (WRITES,)), (10, (failed(CANARY, Code.REFUSED),))],
        [Then(12, B, Cause.PROCESS_GONE)],
    ),
    "its host cannot be reached": ([(0, WELL), (10, failing(Code.UNREACHABLE, 2005))], [Then(12, B, Cause.NETWORK)]),
    "rights, confirmed by the next look": (
        [(0, WELL), (10, failing(Code.CREDENTIALS, 1142))],
        [Then(10, S), Then(11, B, Cause.CREDENTIALS)],
    ),
    "a column is dropped": ([(0, WELL), (10, failing(Code.SCHEMA, 1054))], [Then(11, B, Cause.SCHEMA_MISMATCH)]),
    "read-only": ([(0, WELL), (10, failing(Code.READ_ONLY, 1290))], [Then(11, B, Cause.READ_ONLY)]),
    "the disk is full": ([(0, WELL), (10, failing(Code.DISK_FULL, 1021))], [Then(11, B, Cause.DISK_FULL)]),
    "no more connections": (
        [(0, WELL), (10, failing(Code.CAPACITY, 1040))],
        [Then(11, S), Then(12, B, Cause.CONNECTIONS)],
    ),
    "a table is locked": ([(0, WELL), (10, failing(Code.LOCKED, 1205))], [Then(12, S), Then(13, B, Cause.LOCKS)]),
    "a table is altered": ([(0, WELL), (10, failing(Code.LOCKED, 1205)), (13, WELL)], [Then(12, S), Then(16, H)]),
    "one lock error is none": ([(0, WELL), (10, failing(Code.LOCKED, 1205)), (11, WELL)], [Then(10, S), Then(14, H)]),
    "one error of rights is none": (
        [(0, WELL), (10, failing(Code.CREDENTIALS, 1142)), (11, WELL)],
        [Then(10, S), Then(14, H)],
    ),
    "rights, then the server is gone": (
        [(0, WELL), (10, failing(Code.CREDENTIALS)), (20, (GONE, failed(CANARY, Code.REFUSED)))],
        [Then(19, B, Cause.CREDENTIALS), Then(20, B, Cause.PROCESS_GONE)],
    ),
    "restarted on request": (
        [
            (0, WELL),
            (10, (HELD, failed(CANARY, Code.REFUSED))),
            (14, (processes(mysql=runs(200, 0.5)), failed(CANARY, Code.REFUSED))),
            (20, (processes(mysql=runs(200, 7)), WRITES)),
        ],
        [Then(10, S, Cause.STOPPED_ON_REQUEST), Then(19, S, Cause.PROCESS_RESTARTED), Then(40, H)],
    ),
    "stopped by a remedy while down": (
        [
            (0, WELL),
            (10, failing(Code.TIMEOUT)),
            (20, (HELD, failed(CANARY, Code.REFUSED))),
            (22, (processes(mysql=runs(200, 0.5)), failed(CANARY, Code.REFUSED))),
        ],
        [Then(20, B, Cause.PROCESS_HUNG), Then(30, B, Cause.PROCESS_HUNG), Then(45, B, Cause.WRONG_SETTINGS)],
    ),
    "hangs soon after it was started: it had answered": (
        [
            (0, (processes(mysql=runs(200, 0.5)), failed(CANARY, Code.REFUSED))),
            (3, (processes(mysql=runs(200, 4)), WRITES)),
            (5, (processes(mysql=runs(200, 6)), failed(CANARY, Code.TIMEOUT))),
        ],
        [Then(2, S, Cause.PROCESS_RESTARTED), Then(6, S), Then(7, B, Cause.PROCESS_HUNG)],
    ),
    "fails in no known way": (
        [(0, WELL[1:]), (10, (failed(CANARY, Code.CONNECTIVITY),))],
        [Then(12, B, Cause.UNKNOWN)],
    ),
    "another server than ours does not answer": (
        [(0, WELL[1:]), (10, (failed(CANARY, Code.TIMEOUT),))],
        [Then(12, B, Cause.PROCESS_HUNG)],
    ),
    "held for hours": (
        [(0, WELL), (10, (HELD, failed(CANARY, Code.REFUSED)))],
        [Then(3000, S, Cause.STOPPED_ON_REQUEST)],
    ),
    "the port is taken": (
        [(0, WELL), (10, (GONE, log("mysql", "[ERROR] Can't start server: Address already in use")))],
        [Then(10, B), Then(11, B, Cause.PORT_CONFLICT)],
    ),
    "the job is refused, the canary is not": (
        [(0, WELL), (10, (*WELL, meets(Code.CREDENTIALS)))],
        [Then(10, S), Then(11, B, Cause.CREDENTIALS)],
    ),
    "the job ends over it, again and again": (
        [
            (0, WELL),
            (10, (*WELL, meets(Code.SCHEMA, status="failed"))),
            (11, WELL),
            (20, (*WELL, meets(Code.SCHEMA, status="failed"))),
            (21, (*WELL, failed(Probe.PROCESSOR, Code.REFUSED))),
        ],
        [Then(11, S), Then(20, B, Cause.SCHEMA_MISMATCH), Then(200, B, Cause.SCHEMA_MISMATCH)],
    ),
    "an error that a batch has followed is over": (
        [(0, WELL), (10, (*WELL, meets(Code.CREDENTIALS, age=3.0, status="running", last_batch=batch(age=1.0))))],
        [Then(60, H)],
    ),
    "an old error is over": ([(0, WELL), (10, (*WELL, meets(Code.SCHEMA, 900.0, status="running")))], [Then(60, H)]),
    "Kafka's refusal is not MySQL's": ([(0, WELL), (10, (*WELL, meets(Code.REFUSES, status="failed")))], [Then(60, H)]),
    "no connection for the job, though the canary has one": (
        [(0, WELL), (10, (*WELL, meets(Code.CAPACITY)))],
        [Then(20, H), Then(22, B, Cause.CONNECTIONS)],
    ),
    "a batch waits for a lock": (
        [(0, (*WELL, locks(0))), (10, (*WELL, locks(1), in_mysql(12.0)))],
        [Then(10, S), Then(11, B, Cause.LOCKS)],
    ),
    "a batch writes for long, and nobody knows why": (
        [(0, WELL), (10, (*WELL, in_mysql(12.0)))],
        [Then(10, H), Then(11, S, Cause.UNKNOWN), Then(300, S)],
    ),
    "a batch writes for some seconds": ([(0, WELL), (10, (*WELL, in_mysql(8.0)))], [Then(60, H)]),
    "the lock is gone, and nothing was written yet": (
        [
            (0, (*WELL, locks(0))),
            (10, (*WELL, locks(1), in_mysql(12.0))),
            (30, (*WELL, locks(0), processor(last_batch=None, age_seconds=5.0))),
        ],
        [Then(29, B, Cause.LOCKS), Then(35, B, Cause.LOCKS)],
    ),
    "the lock is gone, and a batch was written": (
        [(0, (*WELL, locks(0))), (10, (*WELL, locks(1), in_mysql(12.0))), (30, (*WELL, locks(0), processor()))],
        [Then(29, B, Cause.LOCKS), Then(30, R), Then(31, R), Then(60, H)],
    ),
    "an old look at locks explains nothing": (
        [(0, (*WELL, locks(1))), (1, WELL), (60, (*WELL, in_mysql(12.0)))],
        [Then(62, S, Cause.UNKNOWN)],
    ),
    "a batch that wrote for long has ended": (
        [(0, WELL), (10, (*WELL, in_mysql(12.0))), (20, (*WELL, processor()))],
        [Then(19, S), Then(22, H)],
    ),
    "the tables differ": (
        [(0, (*WELL, schema())), (10, (*WELL, schema("moving_averages: column sma is missing")))],
        [Then(10, S), Then(11, B, Cause.SCHEMA_MISMATCH)],
    ),
    "rows vanish": (
        [(0, (*WELL, audit())), (10, (*WELL, audit("BTCUSDT 5 min: no row"))), (11, WELL), (70, (*WELL, audit("one")))],
        [Then(10, S), Then(69, S), Then(70, B, Cause.SILENT_LOSS)],
    ),
    "the disk fills": ([(0, WELL), (10, (*WELL, host(mysql=0.02)))], [Then(10, S, Cause.DISK_FULL)]),
    "the probe's own trouble is nobody's": (
        [(0, WELL), (10, (ALIVE, blind(CANARY, Code.OWN_CREDENTIALS)))],
        [Then(10, H), Then(300, H)],
    ),
    "blind while down": ([(0, WELL), (10, failing(Code.TIMEOUT)), (20, (blind(CANARY),))], [Then(300, B)]),
    "nothing is traded": ([(0, (*WELL, rows(), processor()))], [Then(600, H)]),
    "the job is down": ([(0, WELL), (10, (*WELL, rows(), failed(Probe.PROCESSOR, Code.REFUSED)))], [Then(600, H)]),
    "what is written goes elsewhere": (
        [(0, (*WELL, rows(offset=5), processor())), (10, (*WELL, rows(offset=5), processor(offsets={0: 9})))],
        [Then(30, H), Then(32, S), Then(33, B, Cause.WRONG_SETTINGS)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", STORIES)
def test_story(name: str) -> None:
    phases, thens = STORIES[name]
    seen = verdicts(phases, max(then.at for then in thens))
    found = [Then(t.at, seen[t.at].state, seen[t.at].cause if t.cause else None) for t in thens]
    assert found == thens


def stream(until: int, looks: Callable[[int], tuple[Observation, ...]]) -> Iterator[Seen]:
    for second in range(until):
        yield Seen(START + second, looks(second))


def test_healthy_again_only_when_rows_are_written() -> None:
    """The canary is well from second 20 on, the ledger moves from second 60 on."""

    def looks(second: int) -> tuple[Observation, ...]:
        canary = failing(Code.TIMEOUT) if 10 <= second < 20 else WELL
        job = meets(Code.CONNECTIVITY, 0.5) if 10 <= second < 60 else processor()
        return *canary, job, rows(batches=max(0, second - 60))

    seen = told(rules(), stream(80, looks))
    assert [seen[at].state for at in (15, 23, 59, 61, 70)] == [B, B, B, R, H]
    assert {seen[at].cause for at in (15, 23, 59, 61)} == {Cause.PROCESS_HUNG}


def test_ordinary_flow_is_never_elsewhere() -> None:
    """Ledger and job are looked at in turns; the one is always a little behind the other."""

    def looks(second: int) -> tuple[Observation, ...]:
        return *WELL, processor(offsets={0: 100 * second}), rows(second, offset=100 * (second - 2))

    assert {verdict.state for verdict in told(rules(), stream(300, looks)).values()} == {H}


def test_lock_errors_count_by_the_minute() -> None:
    """An error every five seconds: the sixth within a minute is one too many."""

    def looks(second: int) -> tuple[Observation, ...]:
        age = float(second % 5)
        return *WELL, meets(Code.LOCKED, age, status="running", last_batch=batch(age=1000.0))

    seen = told(rules(), stream(60, looks))
    entered = next(second for second, verdict in seen.items() if verdict.state is B)
    assert (seen[entered].cause, seen[entered].symptom) == (Cause.LOCKS, Symptom.MYSQL_LOCKED)
    assert entered == 25


@pytest.mark.parametrize(
    ("looks", "symptom", "direct", "severity"),
    [
        (failing(Code.CREDENTIALS), Symptom.MYSQL_CREDENTIALS, True, None),
        (failing(Code.SCHEMA), Symptom.MYSQL_SCHEMA, True, None),
        (failing(Code.READ_ONLY), Symptom.MYSQL_READ_ONLY, True, None),
        (failing(Code.DISK_FULL), Symptom.MYSQL_DISK_FULL, True, None),
        (failing(Code.CAPACITY), Symptom.MYSQL_CONNECTIONS, True, None),
        (failing(Code.LOCKED), Symptom.MYSQL_LOCKED, True, None),
        (failing(Code.TIMEOUT), Symptom.MYSQL_CONNECTIVITY, True, None),
        ((GONE, failed(CANARY, Code.REFUSED)), Symptom.PROCESS_GONE, True, None),
        ((*WELL, meets(Code.CREDENTIALS)), Symptom.MYSQL_CREDENTIALS, False, None),
        ((HELD,), Symptom.PROCESS_GONE, True, Severity.SEV_4),
        ((*WELL, host(mysql=0.01)), Symptom.MYSQL_DISK_FULL, True, Severity.SEV_4),
    ],
)
def test_classes_for_correlation(
    looks: tuple[Observation, ...], symptom: Symptom, direct: bool, severity: Severity | None
) -> None:
    verdict = verdicts([(0, WELL), (10, looks)], 30)[30]
    assert (verdict.symptom, verdict.direct, verdict.severity) == (symptom, direct, severity)


def test_what_a_person_reads() -> None:
    verdict = verdicts([(0, WELL), (10, failing(Code.CREDENTIALS, 1142))], 14)[14]
    assert verdict.reason == "MySQL refuses the pipeline's account or lacks its rights (error 1142)."
    assert verdict.onset == START + 10
    gone = verdicts([(0, WELL), (10, (GONE, failed(CANARY, Code.REFUSED)))], 14)[14]
    assert gone.reason == "MySQL does not run; its process ended with exit code -9."


def test_figures() -> None:
    figures = verdicts([(0, (*WELL, rows(7), locks(2)))], 20)[20].figures
    assert figures == {"canary_seconds": 0.005, "batches": 7, "newest_row_age_seconds": 1.0, "lock_waits": 2}


def test_a_clear_no_of_a_young_server_is_an_answer() -> None:
    """It need not listen yet, but what refuses the account has started."""
    young, refusal = processes(mysql=runs(7, 1.0)), failed(CANARY, Code.CREDENTIALS, number=1045)
    seen = told(rules(), seconds([(0, (young, refusal))], 4))
    verdict = seen[max(seen)]
    assert (verdict.state, verdict.cause) == (B, Cause.CREDENTIALS)
