"""The reviews' rows within one transaction of the incident store."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, insert, or_, select, update

from include.incidents import sql_rows
from include.incidents.book import Book
from include.incidents.entry_data import canonical, moment_text
from include.incidents.errors import CorruptStoreError
from include.incidents.model import Incident, IncidentState
from include.incidents.sql_book import SqlBook
from include.incidents.tables import INCIDENTS
from include.playbook.names import Severity
from include.review.document import ActionItem, Document
from include.review.model import OPEN_STATES, ActionState, Answer, OpenAction, Review, ReviewState, review_id
from include.review.tables import ACTION_ITEMS, REVIEWS

_OPEN = REVIEWS.c.state.in_([state.value for state in sorted(OPEN_STATES)])
_IN_REVIEW = INCIDENTS.c.state == IncidentState.IN_REVIEW.value


class ReviewBook:
    """Reviews and action items; ``incidents`` is the incidents' own book, in the same transaction."""

    def __init__(self, incidents: Book) -> None:
        if not isinstance(incidents, SqlBook):
            raise TypeError(f"reviews are kept in a database, not in a {type(incidents).__name__}")
        self.incidents = incidents
        self._connection: Connection = incidents.connection

    def review(self, incident_id: str, version: int) -> Review | None:
        """One version."""
        columns = REVIEWS.c
        return self._one(select(REVIEWS).where(columns.incident_id == incident_id, columns.version == version))

    def latest(self, incident_id: str) -> Review | None:
        """The newest version."""
        wanted = select(REVIEWS).where(REVIEWS.c.incident_id == incident_id)
        return self._one(wanted.order_by(REVIEWS.c.version.desc()).limit(1))

    def open_review(self, incident_id: str) -> Review | None:
        """The one that waits for a person, or to be published."""
        return self._one(select(REVIEWS).where(REVIEWS.c.incident_id == incident_id, _OPEN))

    def versions(self, incident_id: str) -> tuple[Review, ...]:
        """All of an incident, newest first."""
        wanted = select(REVIEWS).where(REVIEWS.c.incident_id == incident_id).order_by(REVIEWS.c.version.desc())
        return self._all(wanted)

    def in_state(self, state: ReviewState, limit: int | None = None) -> tuple[Review, ...]:
        """All of a state, the newest incidents first."""
        wanted = select(REVIEWS).join(INCIDENTS, INCIDENTS.c.id == REVIEWS.c.incident_id)
        wanted = wanted.where(REVIEWS.c.state == state.value)
        return self._all(wanted.order_by(INCIDENTS.c.opened_at.desc(), REVIEWS.c.version.desc()).limit(limit))

    def newest(self, limit: int) -> tuple[Review, ...]:
        """Of any state, the newest first."""
        return self._all(select(REVIEWS).order_by(REVIEWS.c.drafted_at.desc(), REVIEWS.c.version.desc()).limit(limit))

    def waiting(self, mildest: Severity) -> tuple[Incident, ...]:
        """See :meth:`include.review.reviews.Reviews.waiting`."""
        resolved = INCIDENTS.c.state == IncidentState.RESOLVED.value  # what is open then is of before it came back
        return self._incidents(mildest, or_(resolved, _IN_REVIEW & ~_has(_OPEN)))

    def unanswered(self, mildest: Severity) -> tuple[Incident, ...]:
        """See :meth:`include.review.reviews.Reviews.unanswered`."""
        return self._incidents(mildest, _IN_REVIEW & _has(REVIEWS.c.state == ReviewState.DRAFTED.value))

    def add(self, review: Review) -> None:
        """A new version."""
        self._connection.execute(insert(REVIEWS).values(_columns(review)))

    def put(self, review: Review) -> None:
        """A version as it stands now."""
        values = _columns(review)
        columns = REVIEWS.c
        where = (columns.incident_id == values.pop("incident_id"), columns.version == values.pop("version"))
        self._connection.execute(update(REVIEWS).where(*where).values(values))

    def add_actions(self, review: Review, items: tuple[ActionItem, ...]) -> None:
        """What was agreed on, all of it open."""
        rows = [
            {
                "incident_id": review.incident_id,
                "version": review.version,
                "number": number,
                **item.model_dump(),
                "state": ActionState.OPEN.value,
            }
            for number, item in enumerate(items, 1)
        ]
        if rows:
            self._connection.execute(insert(ACTION_ITEMS), rows)

    def actions(self, state: str) -> tuple[OpenAction, ...]:
        """Action items of a state, those due first first."""
        columns = ACTION_ITEMS.c
        order = (columns.due, columns.incident_id, columns.version, columns.number)
        rows = self._connection.execute(select(ACTION_ITEMS).where(columns.state == state).order_by(*order)).mappings()
        return tuple(
            OpenAction(
                review_id(row["incident_id"], row["version"]),
                row["incident_id"],
                row["number"],
                ActionItem(what=row["what"], owner=row["owner"], due=row["due"]),
                ActionState(row["state"]),
            )
            for row in rows
        )

    def _incidents(self, mildest: Severity, where: ColumnElement[bool]) -> tuple[Incident, ...]:
        """Oldest first."""
        columns = INCIDENTS.c
        wanted = select(INCIDENTS).where(columns.severity <= mildest.value, where)
        rows = self._connection.execute(wanted.order_by(columns.opened_at, columns.id)).mappings()
        return tuple(sql_rows.incident_row(row).incident for row in rows)

    def _one(self, wanted: Select[Any]) -> Review | None:
        row = self._connection.execute(wanted).mappings().first()
        return _review(row) if row else None

    def _all(self, wanted: Select[Any]) -> tuple[Review, ...]:
        return tuple(_review(row) for row in self._connection.execute(wanted).mappings())


def _has(where: ColumnElement[bool]) -> ColumnElement[bool]:
    """Of an incident: one of its reviews is so."""
    return select(REVIEWS.c.incident_id).where(REVIEWS.c.incident_id == INCIDENTS.c.id, where).exists()


def _columns(review: Review) -> dict[str, Any]:
    return {
        "incident_id": review.incident_id,
        "version": review.version,
        "state": review.state.value,
        "facts": review.facts,
        "document": review.document.model_dump_json(),
        "drafted_at": review.drafted_at,
        "answer": _answer_text(review.answer) if review.answer else None,
        "published_at": review.published_at,
        "markdown": review.markdown,
        "html": review.html,
    }


def _review(row: RowMapping) -> Review:
    try:
        return Review(
            incident_id=row["incident_id"],
            version=row["version"],
            state=ReviewState(row["state"]),
            facts=row["facts"],
            document=Document.model_validate_json(row["document"]),
            drafted_at=row["drafted_at"],
            answer=_answer(row["answer"]) if row["answer"] else None,
            published_at=row["published_at"],
            markdown=row["markdown"],
            html=row["html"],
        )
    except (ValueError, LookupError, TypeError) as error:
        name = review_id(row["incident_id"], row["version"])
        raise CorruptStoreError(f"The row of {name} holds what was never written by us: {error}") from error


def _answer_text(answer: Answer) -> str:
    return canonical({**asdict(answer), "at": moment_text(answer.at)})


def _answer(text: str) -> Answer:
    values = json.loads(text)
    return Answer(**{**values, "at": datetime.fromisoformat(values["at"])})
