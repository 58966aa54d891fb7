"""An approved review: the draft with a person's words where its blanks were."""

from __future__ import annotations

from datetime import datetime

from include.review.document import Blank, Document, Fact, Figure, FigureKey, Statements, Words
from include.review.milestones import seconds_between
from include.review.model import Form
from include.review.story import NOT_CONFIRMED

NOTHING_SAID = "Nothing was said about it by {by}."


def complete(document: Document, form: Form, by: str, at: datetime) -> Document:
    """The document as it is published. What a person left empty is told as such."""
    return document.model_copy(
        update={
            "sent_back": None,  # the words it came back with have been answered
            "root_cause": _filled(document.root_cause, form.root_cause, by, at),
            "lessons": _filled(document.lessons, form.lessons, by, at),
            "runbook_updates": _filled(document.runbook_updates, form.runbook_updates, by, at),
            "preventive_actions": _actions(document.preventive_actions, form, by, at),
            "action_items": form.preventive_actions,
            "figures": tuple(_reviewed(figure, document.resolved_at, at) for figure in document.figures),
        }
    )


def _filled(statements: Statements, said: str, by: str, at: datetime) -> Statements:
    kept = tuple(each for each in statements if not isinstance(each, Blank) and not (said and each == NOT_CONFIRMED))
    return (*kept, Words(text=said, by=by, at=at) if said else Fact(text=NOTHING_SAID.format(by=by)))


def _actions(statements: Statements, form: Form, by: str, at: datetime) -> Statements:
    """The items stand in a table of their own."""
    kept = tuple(each for each in statements if not isinstance(each, Blank))
    return kept if form.preventive_actions else _filled(statements, "", by, at)


def _reviewed(figure: Figure, resolved_at: datetime | None, at: datetime) -> Figure:
    if figure.key is not FigureKey.TIME_TO_REVIEW:
        return figure
    value = seconds_between(resolved_at, at)
    return figure.model_copy(update={"value": value, "note": "it was not resolved" if value is None else ""})
