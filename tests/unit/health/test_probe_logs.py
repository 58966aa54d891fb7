"""Errors in logs: found once, classed, bounded, across rotation."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from include.health.observations import LogFacts, Outcome
from include.health.probes.log_events import LONGEST_LINE, ErrorClass, ErrorFinder, LogError
from include.health.probes.log_tail import MOST_BYTES, LogTail
from include.health.probes.logs import LogsProbe

AT = "2026-01-01T10:00:00.000000Z"
INFO, WARN = f"{AT} [info     ] batch committed [stream_processor] id=1", f"{AT} [warning  ] slow [feed]"


def error(text: str) -> str:
    return f"{AT} [error    ] {text}"


def find(*lines: str) -> list[LogError]:
    return ErrorFinder().feed(lines)


@pytest.mark.parametrize(
    ("lines", "kind"),
    [
        ([error("query ended failure=mysql error='MySQL error 1045 (credentials) after 1 attempt'")], "mysql"),
        ([error("query ended failure=mysql error='MySQL error 1054 (schema) after 1 attempt'")], "schema"),
        ([error("query ended failure=kafka error=timeout")], "kafka"),
        ([error("query ended failure=program error='division by zero'")], "other"),
        ([error("kafka producer broken, replacing it [producer] error=fenced")], "kafka"),
        ([error("reading the stream failed [feed] url=ws://127.0.0.1")], "exchange"),
        ([error("trades skipped: over the backfill limit [repair] symbol=BTCUSDT")], "exchange"),
        ([f"{AT} [critical ] boom"], "other"),
        (["2026-11-24T06:11:49.961Z [ERROR] SocketServer: cannot bind", "java.net.BindException: Address"], "other"),
        (["2026-11-24  6:11:15 0 [ERROR] InnoDB: The log was corrupted", "2026-11-24  6:11:16 0 [Note] bye"], "other"),
        ([error("it failed"), "\tat org.apache.kafka.Thing.run(Thing.java:1)"], "other"),  # a frame is no sign
        ([error("it failed"), "org.apache.kafka.common.errors.TimeoutException: late"], "kafka"),
        ([error("x"), "org.apache.kafka.common.errors.SerializationException: bad magic"], "serialization"),
        ([f"{AT} [ERROR] [spark.X] ended", "java.lang.Error: x", "=== Streaming Query ===", "KafkaV2[mysql]"], "other"),
        (
            [
                INFO,
                "Traceback (most recent call last):",
                '  File "x.py", line 4, in <module>',
                "mysql.connector.errors.OperationalError: 2003: cannot connect",
            ],
            "mysql",
        ),
        (["[Errno 98] Address already in use"], "other"),
        (["java.lang.OutOfMemoryError: Java heap space"], "other"),
    ],
)
def test_each_error_is_found_once_with_its_class(lines: list[str], kind: str) -> None:
    assert [found.kind.value for found in find(*lines)] == [kind]


@pytest.mark.parametrize(
    "lines",
    [
        [INFO, "  a second line", "WARNING: Using incubator modules"],
        [WARN, "java.lang.RuntimeException: what the warning is about", "Traceback (most recent call last):"],
        [f"{AT} [info     ] no errors [x] error=none"],
        [f"{AT} [ERROR] [spark.MicroBatchExecution] ended", "spark_jobs.lib.errors.StopRequestedError: stopping"],
    ],
)
def test_what_is_no_error_is_left_alone(lines: list[str]) -> None:
    assert find(*lines) == []


def test_the_text_has_the_exception_and_stays_short() -> None:
    found = find(
        error("reading failed"), "Traceback (most recent call last):", "  frame", *["E: x"] * 30, "ValueError: 7"
    )
    assert [f.text for f in found] == [f"{error('reading failed')} … ValueError: 7"]
    crash = find(INFO, "Traceback (most recent call last):", "  frame", "ValueError: 7")
    assert [f.text for f in crash] == ["ValueError: 7"]
    assert len(find(error("x" * 5000), "y" * 5000)[0].text) == LONGEST_LINE


def test_an_error_that_comes_in_two_pieces_is_one() -> None:
    finder = ErrorFinder()
    assert len(finder.feed([error("reading failed"), "Traceback (most recent call last):"])) == 1
    assert finder.feed(["  frame", "ValueError: 7", "Traceback (most recent call last):"]) == []
    assert len(finder.feed([INFO, "Traceback (most recent call last):", "ValueError: 8"])) == 1


def append(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def test_only_what_is_added_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    append(path, "old\n")
    tail = LogTail(path)
    assert tail.new_lines() == []
    append(path, "one\ntwo\nthr")
    assert tail.new_lines() == ["one", "two"]
    assert tail.new_lines() == []
    append(path, "ee\n")
    assert tail.new_lines() == ["three"]


def test_a_file_that_comes_later_is_read_from_its_start(tmp_path: Path) -> None:
    tail = LogTail(tmp_path / "a.log")
    assert tail.new_lines() == []
    append(tmp_path / "a.log", "one\n")
    assert tail.new_lines() == ["one"]


def test_nothing_is_lost_in_a_rotation(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    append(path, "old\n")
    tail = LogTail(path)
    tail.new_lines()
    append(path, "before\n")
    path.rename(tmp_path / "a.log.1")
    assert tail.new_lines() == []  # between rename and creation
    append(path, "after\n")
    assert tail.new_lines() == ["before", "after"]
    append(path, "more\n")
    assert tail.new_lines() == ["more"]


def test_a_file_that_was_emptied_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    append(path, "a long old line\n")
    tail = LogTail(path)
    tail.new_lines()
    path.write_text("new\n")
    assert tail.new_lines() == ["new"]


def test_a_flood_costs_no_more_than_the_bound(tmp_path: Path) -> None:
    path = tmp_path / "btc_producer.log"
    path.touch()
    probe = LogsProbe(tmp_path, ["btc_producer"])
    probe.look()
    line = error("x" * 200)
    append(path, f"{line}\n" * 20_000)
    started = time.thread_time()
    facts = probe.look().facts
    assert time.thread_time() - started < 0.5
    assert isinstance(facts, LogFacts)
    assert 0.9 < facts.errors["btc_producer"]["other"] * (len(line) + 1) / MOST_BYTES <= 1
    append(path, f"{line}\n")
    again = probe.look().facts
    assert isinstance(again, LogFacts)
    assert again.errors == {"btc_producer": {"other": 1}}


def test_a_line_without_end_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.touch()
    tail = LogTail(path)
    tail.new_lines()
    for _ in range(3):
        append(path, "x" * MOST_BYTES)
        assert len("".join(tail.new_lines())) <= MOST_BYTES
    append(path, "\nnext\n")
    assert tail.new_lines()[-1] == "next"


def test_each_log_is_told_with_its_newest_line(tmp_path: Path) -> None:
    for name in ("btc_producer", "stream_processor"):
        (tmp_path / f"{name}.log").touch()
    probe = LogsProbe(tmp_path, ["btc_producer", "stream_processor", "kafka"])
    assert probe.look().facts == LogFacts(errors={})
    lines = [error("kafka 1"), INFO, error("kafka 2"), error("of mysql")]
    append(tmp_path / "stream_processor.log", "".join(f"{line}\n" for line in lines))
    observation = probe.look()
    assert observation.outcome is Outcome.OK
    assert observation.facts == LogFacts(
        errors={"stream_processor": {ErrorClass.KAFKA: 2, ErrorClass.MYSQL: 1}},
        newest={"stream_processor": error("of mysql")},
    )
    assert probe.look().facts == LogFacts(errors={})
