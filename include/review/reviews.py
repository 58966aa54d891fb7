"""Post-incident reviews: drafted from the store, answered by a person, published (design §1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TypeVar

from include.incidents.entry_data import clean_text
from include.incidents.errors import UnknownIncidentError
from include.incidents.factory import store_url
from include.incidents.model import Incident
from include.incidents.sql_store import SqlIncidentStore
from include.playbook.names import Severity
from include.review import commands
from include.review.book import ReviewBook
from include.review.compose import compose, fingerprint
from include.review.document import SentBack
from include.review.errors import ReviewError
from include.review.form import form_texts
from include.review.gather import Sources, gather, sources_from_settings
from include.review.model import ActionState, Answer, OpenAction, PublishedReview, Review, ReviewState
from include.review.publishing import Reports
from include.runtime.clock import Clock, SystemClock
from include.settings import Settings

T = TypeVar("T")
_TRIES = 5  # each time the timeline went on while the draft was composed


class Reviews:
    """The reviews of the incidents in the store that the settings name. Calls block, may come from many processes at
    once, and each is one transaction together with its line in the incident's timeline; ``close()`` it at the end.

    Any may raise :class:`~include.incidents.errors.StoreUnavailableError`, and
    :class:`~include.incidents.errors.UnknownIncidentError` where an incident is named.
    """

    def __init__(self, settings: Settings, clock: Clock | None = None, sources: Sources | None = None) -> None:
        self._clock = clock or SystemClock()
        self._store = SqlIncidentStore(store_url(settings).render_as_string(hide_password=False), self._clock)
        self._sources = sources or sources_from_settings(settings)
        self._reports = Reports(settings.home / "reports")

    def draft(self, incident_id: str) -> Review:
        """The review that waits for a person: made now, unless there is one of the same facts. Other facts make a new
        version, which replaces the one that waits. An approved or published one is returned as it is. The incident goes
        from RESOLVED to IN_REVIEW.

        Raises :class:`ReviewError` if the incident is still open, merged, or a false alarm.
        """
        for _ in range(_TRIES):
            try:
                return self._draft(incident_id)
            except commands.FactsChangedError:
                continue
        raise ReviewError(f"{incident_id} changes all the time; its review cannot be drafted now.")

    def answer(
        self, review_id: str, *, approved: bool, by: str, form: Mapping[str, str] | None = None, comment: str = ""
    ) -> Review:
        """A person's answer: approved with what was filled in (see :mod:`include.review.form`), or sent back with a
        comment. The same answer again changes nothing. A draft that was replaced meanwhile can only be sent back.

        Raises :class:`ReviewError`, which says what is missing or why it is too late; nothing is changed then.
        """
        answer = Answer(
            approved=approved,
            by=clean_text(by.strip()) or commands.NOBODY,
            at=self._now(),
            comment=clean_text(comment.strip()),
            form=form_texts(form or {}),
        )
        return self._do(lambda book: commands.put_answer(book, review_id, answer))

    def publish(self, review_id: str) -> PublishedReview:
        """Write an approved review as Markdown and HTML under ``<home>/reports``, with an index of all, and close its
        incident. Doing it again changes nothing, and brings back files that were lost. Raises :class:`ReviewError`, and
        :class:`OSError` when the files cannot be written.

        A death at any line leaves the review approved, with its incident in review, or published with all its files.
        """
        review = self._read(lambda book: commands.check_publishable(book, review_id))
        written = self._reports.write(review)
        with self._reports.writing_index() as write_index:

            def put(book: ReviewBook) -> None:
                commands.put_published(book, review_id, written.files, written.hashes, self._now())
                write_index(book.in_state(ReviewState.PUBLISHED))  # before the commit: what is published is in it

            self._do(put)
        return self._reports.published(review)

    def review(self, review_id: str) -> Review:
        """A version by its name. Raises :class:`ReviewError`."""
        return self._read(lambda book: commands.find(book, review_id))

    def latest(self, incident_id: str) -> Review | None:
        """The newest version, whatever its state."""
        return self._read(lambda book: book.latest(incident_id))

    def newest(self, limit: int = 50) -> tuple[Review, ...]:
        """Versions of any incident, newest first."""
        return self._read(lambda book: book.newest(limit))

    def waiting(self, mildest: Severity = Severity.SEV_3) -> tuple[Incident, ...]:
        """Incidents that are resolved and have no draft (or whose draft was sent back), oldest first. Records (SEV-4)
        need no review.
        """
        return self._read(lambda book: book.waiting(mildest))

    def unanswered(self, mildest: Severity = Severity.SEV_3) -> tuple[Incident, ...]:
        """Incidents whose draft waits for a person's answer, oldest first."""
        return self._read(lambda book: book.unanswered(mildest))

    def approved(self) -> tuple[Review, ...]:
        """Reviews that wait to be published, newest first: their incidents have not come back since."""

        def look(book: ReviewBook) -> tuple[Review, ...]:
            approved = book.in_state(ReviewState.APPROVED)
            return tuple(review for review in approved if not commands.came_back(book, review))

        return self._read(look)

    def open_actions(self) -> tuple[OpenAction, ...]:
        """Preventive actions that were agreed on and are open, those due first first."""
        return self._read(lambda book: book.actions(ActionState.OPEN))

    def published(self, incident_id: str) -> PublishedReview | None:
        """Where the published review of an incident lies; ``None`` if there is none."""
        latest = self.latest(incident_id)
        return self._reports.published(latest) if latest and latest.state is ReviewState.PUBLISHED else None

    def close(self) -> None:
        """Give back all connections."""
        self._store.close()

    def _draft(self, incident_id: str) -> Review:
        def before(book: ReviewBook) -> tuple[int, Review | None, SentBack | None]:
            row = book.incidents.row(incident_id)
            if row is None:
                raise UnknownIncidentError(incident_id)
            commands.check_reviewable(row)
            return row.entries, commands.kept_review(book, row), commands.carried(book, incident_id)

        entries, kept, sent_back = self._read(before)
        if kept is not None:
            return kept
        now = self._now()
        document = compose(gather(self._store, self._sources, incident_id, now), version=0, sent_back=sent_back)
        facts = fingerprint(document)
        return self._do(lambda book: commands.put_draft(book, document, facts, entries, now))

    def _do(self, work: Callable[[ReviewBook], T]) -> T:
        return self._store.within(lambda book: work(ReviewBook(book)), write=True)

    def _read(self, work: Callable[[ReviewBook], T]) -> T:
        return self._store.within(lambda book: work(ReviewBook(book)), write=False)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock.time_ms() / 1000, UTC)
