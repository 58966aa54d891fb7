"""A review as Markdown and as HTML."""

from __future__ import annotations

from include.review.model import Review


def render_markdown(review: Review) -> str:
    """The review as Markdown without raw HTML, at most about 60 kB."""
    raise NotImplementedError


def render_html(review: Review) -> str:
    """The review as one page that needs nothing else."""
    raise NotImplementedError
