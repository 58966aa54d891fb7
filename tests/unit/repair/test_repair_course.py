"""What a run does when, with everything around it in memory; the report of the job; waiting for the stream."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from include.repair import repair as module
from include.repair.model import Comparison, IdGap, RepairReport, Span
from include.repair.repair import Repair
from include.repair.survey import Findings
from include.repair.waiting import Waited, wait_while_moving
from include.repair.windows_job import _report
from include.repair.words import report_text
from include.runtime.clock import ManualClock
from include.settings import Settings
from include.warehouse.id_ranges import IdRanges

START = datetime(2026, 11, 24, 10, tzinfo=UTC)
SPAN = Span(START, START + timedelta(minutes=5), ("BTCUSDT",))
GAP = IdGap("BTCUSDT", 5, 9)
EQUAL = Findings((), (), Comparison(10, 0, 0, 0), 0)
GAPS = Findings((GAP,), (), Comparison(10, 2, 1, 0), 0)
WRONG = Findings((), (), Comparison(10, 0, 1, 0), 0)
LOST = Findings((GAP,), (GAP,), Comparison(8, 0, 0, 0), 2)
NOTED = Findings((GAP,), (), Comparison(10, 0, 0, 0), 0)


class Course:
    """``looks``: what each look finds; ``publishes``: trades that are handed to Kafka at the first."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, looks: list[Findings], publishes: int) -> None:
        self.looks, self.publishes, self.did = list(looks), publishes, list[str]()
        monkeypatch.setattr(module, "opened", self._opened)
        monkeypatch.setattr(module, "RepairPublisher", lambda *_: self)
        monkeypatch.setattr(module.notices, "mark_repaired", lambda *_: self.did.append("mark"))
        self.survey = self
        self.ids: dict[str, IdRanges] = {}
        self.progress = lambda text: None

    @contextmanager
    def _opened(self, *_: object) -> Iterator[Course]:
        yield self

    def run(self, **options: Any) -> RepairReport:
        def job(*_: object) -> dict[str, Any]:
            self.did.append("job")
            return {"windows": 3, "from_exchange": 4}

        return Repair(Settings(), clock=ManualClock(), windows_job=job).run(SPAN, by="tester", **options)

    def await_stream(self) -> None:
        self.did.append("settle")

    def await_counted(self, ids: dict[str, IdRanges]) -> None:
        self.did.append(f"await {ids}")

    def look(self, take: object = None) -> Findings:
        self.did.append("look")
        if take is not None and self.publishes:
            self.ids = {"BTCUSDT": IdRanges([(5, 4 + self.publishes)])}
        return self.looks.pop(0)

    @property
    def published(self) -> int:
        return self.publishes

    def publish(self, *_: object) -> None: ...
    def flush(self) -> None: ...
    def close(self) -> None: ...


COUNTED = "await {'BTCUSDT': IdRanges([(5, 9)])}"


@pytest.mark.parametrize(
    ("looks", "publishes", "options", "did"),
    [
        ([EQUAL], 0, {}, ["settle", "look", "mark"]),
        ([EQUAL, EQUAL], 0, {"recompute": True}, ["settle", "look", "job", "look", "mark"]),
        ([GAPS, EQUAL], 5, {}, ["settle", "look", COUNTED, "look", "mark"]),
        ([GAPS, WRONG, EQUAL], 5, {}, ["settle", "look", COUNTED, "look", "job", "look", "mark"]),
        ([WRONG, EQUAL], 0, {}, ["settle", "look", "job", "look", "mark"]),
        ([NOTED, EQUAL], 0, {}, ["settle", "look", "job", "look", "mark"]),
        ([WRONG, WRONG], 0, {}, ["settle", "look", "job", "look"]),
        ([LOST], 0, {}, ["settle", "look"]),
    ],
)
def test_the_course_of_a_run(
    monkeypatch: pytest.MonkeyPatch,
    looks: list[Findings],
    publishes: int,
    options: dict[str, Any],
    did: list[str],
) -> None:
    course = Course(monkeypatch, looks, publishes)
    report = course.run(**options)
    assert course.did == did
    wanted = "forced" if options else "different" if "job" in did else "not_needed"
    assert report.facts["recomputation"] == wanted
    assert (report.before, report.after) == (looks[0].comparison, looks[-1].comparison)
    assert (report.published, report.fetched) == (publishes, publishes + 4 * ("job" in did))


def test_what_is_lost_is_counted_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    report = Course(monkeypatch, [LOST], 0).run()
    assert (report.unrecoverable, report.facts["lost"], report.facts["unproved_rows"]) == (5, "BTCUSDT 5 to 9", 2)
    assert "5 trades were missing, 5 of them are no longer to be had" in report_text(report)


@pytest.mark.parametrize(
    ("output", "report"),
    [
        ("", {}),
        ('log line\n{"windows": 3}\n', {"windows": 3}),
        ('{"windows": 3}\nlast words of the JVM\n', {"windows": 3}),
        ('{"windows": 3\n', {}),
    ],
)
def test_the_report_of_the_job(output: str, report: dict[str, Any]) -> None:
    assert _report(output) == report


@pytest.mark.parametrize(
    ("figures", "ended", "seen"),
    [
        ([0], Waited.DONE, []),
        ([9, 9, 5, 5, 0], Waited.DONE, [9, 5]),
        ([9, 8, *[8] * 50], Waited.STUCK, [9, 8]),
        # slow, and all in all longer than it may stand still
        ([*[9] * 30, *[8] * 30, *[7] * 30, 0], Waited.DONE, [9, 8, 7]),
    ],
)
def test_the_stream_is_waited_for_as_long_as_it_gets_on(figures: list[int], ended: Waited, seen: list[int]) -> None:
    clock, told = ManualClock(), list[int]()
    left = iter(figures)
    waited = wait_while_moving(
        lambda: next(left), stuck_seconds=10, clock=clock, on_move=told.append, wait=clock.advance
    )
    assert (waited, told) == (ended, seen)
