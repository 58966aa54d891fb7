"""Drafts of reviews, and what they say."""

from __future__ import annotations

from include.review.compose import compose
from include.review.document import Blank, Document, Figure, FigureKey, Statement, Statements
from include.review.gather import gather
from tests.support.reviewing import Desk


def reviewed(desk: Desk) -> Document:
    """The document as it is drafted now."""
    return compose(gather(desk.store, desk.fake.sources(), desk.incident.id, desk.now()), version=1)


def said(statements: Statements, kind: type = object) -> list[str]:
    """Texts of one kind of sentence."""
    return [_text(each) for each in statements if isinstance(each, kind)]


def _text(each: Statement) -> str:
    return each.asks if isinstance(each, Blank) else each.text


def figure(document: Document, key: FigureKey) -> Figure:
    """One number."""
    return next(each for each in document.figures if each.key is key)
