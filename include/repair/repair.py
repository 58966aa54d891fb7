"""Repair of the tables for a time: find what is missing, fetch it, publish it, recompute what is wrong, prove it.

Safe to repeat, and to be killed at any line: what was published is counted once by its id, what is recomputed is
written as a whole, and the next run finds what is still missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from include.incidents.errors import IncidentStoreError
from include.incidents.factory import store_from_settings
from include.incidents.model import EntryKind, NewEntry
from include.incidents.store import IncidentStore
from include.repair import notices
from include.repair.errors import RepairError
from include.repair.exchange import Progress
from include.repair.model import Comparison, IdGap, RepairReport, Span
from include.repair.opened import Opened, opened, told
from include.repair.publish import RepairPublisher
from include.repair.survey import Findings
from include.repair.windows_job import run_windows_job
from include.repair.words import gap_text, report_data, report_text
from include.runtime.clock import Clock, SystemClock
from include.settings import Settings


class Recomputation(StrEnum):
    """Whether the windows were recomputed, and why."""

    NOT_NEEDED = "not_needed"  # the stream's own sums are right
    DIFFERENT = "different"
    FORCED = "forced"


@dataclass
class _Course:
    """What a run has come to so far."""

    before: Findings
    after: Findings
    published: int = 0
    recomputation: Recomputation = Recomputation.NOT_NEEDED
    job: dict[str, Any] = field(default_factory=dict)


class Repair:
    """``windows_job`` recomputes a span and returns the job's figures; a test may have another one."""

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock | None = None,
        windows_job: Callable[[Settings, Span], dict[str, Any]] = run_windows_job,
    ) -> None:
        self._settings, self._clock, self._windows_job = settings, clock or SystemClock(), windows_job

    def find(self, span: Span, progress: Progress = lambda text: None) -> tuple[tuple[IdGap, ...], Comparison]:
        """What the tables lack, and how they compare with the exchange's ledger; changes nothing.

        Raises :class:`RepairError` when exchange, Kafka or MySQL cannot be asked, or the span is too long.
        """
        with opened(self._settings, span, self._clock, progress) as parts:
            found = parts.survey.look()
        return found.gaps, found.comparison

    def run(
        self,
        span: Span,
        *,
        by: str,
        incident_id: str | None = None,
        progress: Progress = lambda text: None,
        recompute: bool = False,
    ) -> RepairReport:
        """Repair, and prove it. ``by``: who wants it, for the records and the timeline. ``recompute``: recompute the
        windows even if none differs. Notices of the span are marked as repaired when it is proved; with an incident,
        the figures go into its timeline.

        Raises :class:`RepairError` when it cannot be done now. What was achieved until then stays.
        """
        started = self._clock.monotonic()
        self._check_incident(incident_id)
        with opened(self._settings, span, self._clock, progress) as parts:
            parts.await_stream()
            course = self._publish(parts, incident_id or by)
            self._recompute(parts, span, course, recompute)
        report = _report(span, course, round(self._clock.monotonic() - started, 2))
        self._record(report, by, incident_id)
        return report

    def _publish(self, parts: Opened, label: str) -> _Course:
        """Look, publish what is missing while it is read, and wait until it is counted."""
        parts.progress("comparing the tables with the exchange's ledger")
        with closing(RepairPublisher(self._settings, label)) as publisher:
            found = parts.survey.look(publisher.publish)
            publisher.flush()
        if found.gaps:
            parts.progress(f"{sum(gap.trades for gap in found.gaps):,} trades are missing: {gap_text(found.gaps)}")
        if not publisher.ids:
            return _Course(found, found)
        parts.progress(f"{publisher.published:,} trades fetched and published")
        parts.await_counted(publisher.ids)
        return _Course(found, parts.survey.look(), publisher.published)

    def _recompute(self, parts: Opened, span: Span, course: _Course, forced: bool) -> None:
        """Recompute the windows when that is needed: the start of Spark costs some ten seconds."""
        if not forced and not course.after.differs:
            return
        course.recomputation = Recomputation.FORCED if forced else Recomputation.DIFFERENT
        parts.progress("recomputing the windows in a Spark batch job")
        course.job = self._windows_job(self._settings, span)
        course.after = parts.survey.look()

    def _record(self, report: RepairReport, by: str, incident_id: str | None) -> None:
        now = datetime.fromtimestamp(self._clock.time_ms() / 1000, UTC)
        if report.whole:
            try:
                with told():
                    report.facts["notices_repaired"] = notices.mark_repaired(self._settings, report.span, now)
            except RepairError as error:  # the data are right all the same
                report.facts["notices_not_marked"] = str(error)
        if incident_id is not None:
            entry = NewEntry(EntryKind.REPAIRED, by, report_text(report), now, report_data(report))
            with self._store() as store:
                store.append(incident_id, entry)

    def _check_incident(self, incident_id: str | None) -> None:
        if incident_id is not None:
            with self._store() as store:
                store.incident(incident_id)

    @contextmanager
    def _store(self) -> Iterator[IncidentStore]:
        """The incidents; what is wrong with them comes out as :class:`RepairError`."""
        with closing(store_from_settings(self._settings, self._clock)) as store:
            try:
                yield store
            except IncidentStoreError as error:
                raise RepairError(str(error)) from error


def _report(span: Span, course: _Course, seconds: float) -> RepairReport:
    before, after = course.before, course.after
    trades = course.published
    from_exchange = int(course.job.get("from_exchange", 0))
    facts: dict[str, Any] = {"recomputation": course.recomputation.value, "unproved_rows": after.unproved}
    if course.job:
        facts["recomputed"] = course.job
    if after.lost:
        facts["lost"] = gap_text(after.lost)
    if after.still_missing:
        facts["still_missing"] = after.still_missing
    return RepairReport(
        span=span,
        gaps=before.gaps,
        fetched=trades + from_exchange,
        published=trades,
        recomputed_windows=int(course.job.get("windows", 0)),
        unrecoverable=sum(gap.trades for gap in after.lost),
        before=before.comparison,
        after=after.comparison,
        seconds=seconds,
        facts=facts,
    )
