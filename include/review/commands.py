"""What the commands on reviews do, within one transaction; see :class:`include.review.reviews.Reviews`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from include.incidents import commands
from include.incidents.book import IncidentRow
from include.incidents.model import EntryKind, IncidentState, NewEntry
from include.incidents.recording import locked, record
from include.review.book import ReviewBook
from include.review.completion import complete
from include.review.document import Document, SentBack
from include.review.errors import ReviewError
from include.review.form import parse_form
from include.review.model import OPEN_STATES, Answer, Review, ReviewState, parse_review_id

ACTOR = "review"
NOBODY = "nobody in time"
_REVIEWABLE = frozenset({IncidentState.RESOLVED, IncidentState.IN_REVIEW, IncidentState.CLOSED})
_ANSWERED = frozenset({ReviewState.APPROVED, ReviewState.PUBLISHED})


class FactsChangedError(Exception):
    """The timeline went on since the draft was composed. Inside the room only: it is composed again."""


def check_reviewable(row: IncidentRow) -> None:
    """Raises :class:`ReviewError` unless the incident is over and its own."""
    incident = row.incident
    if incident.state is IncidentState.MERGED:
        raise ReviewError(f"{incident.id} was merged into {incident.merged_into}, whose review tells of it.")
    if incident.state is IncidentState.FALSE_POSITIVE:
        raise ReviewError(f"{incident.id} was a false alarm; there is nothing to review.")
    if incident.state not in _REVIEWABLE:
        raise ReviewError(f"{incident.id} is {incident.state}; it can be reviewed when it is resolved.")


def carried(book: ReviewBook, incident_id: str) -> SentBack | None:
    """What the next draft brings back: the comment and the words of the newest version that a person answered."""
    for review in book.versions(incident_id):
        if review.answer is not None:
            answer = review.answer
            if answer.approved:
                return None
            return SentBack(
                version=review.version, by=answer.by, at=answer.at, comment=answer.comment, form=answer.form
            )
    return None


def kept_review(book: ReviewBook, row: IncidentRow) -> Review | None:
    """The review that no new draft may replace: approved, or published and its incident closed."""
    latest = book.latest(row.incident.id)
    if latest is None or row.incident.state is IncidentState.RESOLVED:
        return None  # what was written before it came back is out of date
    return latest if latest.state in _ANSWERED else None


def put_draft(book: ReviewBook, document: Document, facts: str, entries: int, now: datetime) -> Review:
    """Add the draft, unless there is one of the same facts. ``entries``: length of the timeline it was made from.

    Raises :class:`FactsChangedError`.
    """
    row = locked(book.incidents, document.incident_id)
    check_reviewable(row)
    if row.entries != entries:
        raise FactsChangedError
    open_review = book.open_review(document.incident_id)
    resolved = row.incident.state is IncidentState.RESOLVED
    if open_review is not None:
        if not resolved and open_review.facts == facts:
            return open_review
        book.put(replace(open_review, state=ReviewState.SUPERSEDED))
    latest = book.latest(document.incident_id)
    version = latest.version + 1 if latest else 1
    review = Review(
        incident_id=document.incident_id,
        version=version,
        state=ReviewState.DRAFTED,
        facts=facts,
        document=document.model_copy(update={"version": version}),
        drafted_at=now,
    )
    book.add(review)
    words = f"Review {review.id} is drafted and waits for a person."
    if open_review is not None:
        words += f" It replaces {open_review.id}: the facts have changed."
    _tell(book, review, words, step="drafted", actor=ACTOR, now=now, facts=facts)
    if resolved:
        _move(book, review.incident_id, IncidentState.IN_REVIEW, f"Its review {review.id} is drafted.", now)
    return review


def put_answer(book: ReviewBook, name: str, answer: Answer) -> Review:
    """Keep a person's answer. Raises :class:`ReviewError`."""
    incident_id, _ = _parsed(name)
    row = locked(book.incidents, incident_id)
    review = find(book, name)
    if _same(review, answer):
        return review
    _check_answerable(book, review, answer, row)
    return _approve(book, review, answer) if answer.approved else _send_back(book, review, answer)


def check_publishable(book: ReviewBook, name: str) -> Review:
    """The approved review. Raises :class:`ReviewError`."""
    review = find(book, name)
    if review.state not in _ANSWERED:
        raise ReviewError(f"{name} is {_words(review)}; a review is published when a person has approved it.")
    if state := came_back(book, review):
        raise ReviewError(
            f"{review.incident_id} is {state}: it came back after {name} was drafted. Its review is drafted anew when"
            " it is resolved."
        )
    return review


def came_back(book: ReviewBook, review: Review) -> IncidentState | None:
    """The state of an incident that was reopened after its review was drafted."""
    row = book.incidents.row(review.incident_id)
    state = row.incident.state if row else None
    return None if state in (IncidentState.IN_REVIEW, IncidentState.CLOSED) else state


def put_published(
    book: ReviewBook, name: str, files: Mapping[str, str], hashes: Mapping[str, str], now: datetime
) -> Review:
    """The files are there: close the incident. ``files`` and their ``hashes``: by ``markdown`` and ``html``."""
    incident_id, _ = _parsed(name)
    locked(book.incidents, incident_id)
    review = check_publishable(book, name)
    if review.state is ReviewState.PUBLISHED:
        return review
    review = replace(
        review, state=ReviewState.PUBLISHED, published_at=now, markdown=files["markdown"], html=files["html"]
    )
    book.put(review)
    words = f"Review {name} is published."
    _tell(book, review, words, step="published", actor=ACTOR, now=now, files=dict(files), sha256=dict(hashes))
    row = book.incidents.row(incident_id)
    if row is not None and row.incident.state is IncidentState.IN_REVIEW:
        by = review.answer.by if review.answer else ACTOR
        _move(book, incident_id, IncidentState.CLOSED, f"Its review {name}, approved by {by}, is published.", now)
    return review


def find(book: ReviewBook, name: str) -> Review:
    """A version by its name. Raises :class:`ReviewError`."""
    review = book.review(*_parsed(name))
    if review is None:
        raise ReviewError(f"There is no review {name}.")
    return review


def _parsed(name: str) -> tuple[str, int]:
    parsed = parse_review_id(name)
    if parsed is None:
        raise ReviewError(f"{name!r} names no review. A review is named like INC-2026-0001-R1.")
    return parsed


def _same(review: Review, answer: Answer) -> bool:
    """Whether this very answer was given before (a task that is run again)."""
    known = review.answer
    return known is not None and replace(known, at=answer.at) == answer


def _check_answerable(book: ReviewBook, review: Review, answer: Answer, row: IncidentRow) -> None:
    if review.state is ReviewState.SUPERSEDED and review.answer is None:
        if answer.approved:
            latest = book.latest(review.incident_id)
            newest = latest.id if latest else "none"
            raise ReviewError(f"{review.id} is out of date: the facts have changed. The newest version is {newest}.")
        return
    if review.state is not ReviewState.DRAFTED:
        by = f" by {review.answer.by}" if review.answer else ""
        raise ReviewError(f"{review.id} was answered already: it is {_words(review)}{by}.")
    if answer.approved and row.incident.state not in _REVIEWABLE:
        raise ReviewError(
            f"{review.incident_id} came back and is {row.incident.state}. Its review is drafted anew when it is"
            " resolved."
        )


def _approve(book: ReviewBook, review: Review, answer: Answer) -> Review:
    if not answer.by or answer.by == NOBODY:
        raise ReviewError("A review is approved by a person, who is named.")
    form = parse_form(answer.form, review.document.severity, answer.at.date())
    document = complete(review.document, form, answer.by, answer.at)
    review = replace(review, state=ReviewState.APPROVED, document=document, answer=answer)
    book.put(review)
    book.add_actions(review, form.preventive_actions)
    words = f"Review {review.id} is approved. Root cause: {form.root_cause or 'nothing was said'}"
    actions = [item.model_dump() for item in form.preventive_actions]
    told = {"actions": actions, "comment": answer.comment}
    _tell(book, review, words, step=commands.APPROVED, actor=answer.by, now=answer.at, **told)
    return review


def _send_back(book: ReviewBook, review: Review, answer: Answer) -> Review:
    state = ReviewState.SENT_BACK if review.state in OPEN_STATES else review.state
    review = replace(review, state=state, answer=answer)
    book.put(review)
    words = f"Review {review.id} is sent back: {answer.comment or 'without a comment'}"
    _tell(book, review, words, step=commands.SENT_BACK, actor=answer.by, now=answer.at, comment=answer.comment)
    return review


def _tell(book: ReviewBook, review: Review, words: str, *, step: str, actor: str, now: datetime, **data: Any) -> None:
    told = {"review": review.id, "version": review.version, "step": step, **data}
    row = locked(book.incidents, review.incident_id)
    record(book.incidents, row, NewEntry(EntryKind.REVIEWED, actor, words, now, told), now)


def _move(book: ReviewBook, incident_id: str, to: IncidentState, words: str, now: datetime) -> None:
    row = locked(book.incidents, incident_id)
    entry = NewEntry(EntryKind.STATE_CHANGED, ACTOR, words, now)
    commands.move(book.incidents, incident_id, to, version=row.incident.version, entry=entry, now=now)


def _words(review: Review) -> str:
    return review.state.replace("_", " ")
