"""Markdown as a page of HTML that needs nothing else: no script, no font, no picture from anywhere."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup

_LOCAL_LINK = re.compile(r"[A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.-]+)*")  # from report to report
_TEMPLATES = Path(__file__).parent / "templates"


def page(title: str, markdown: str) -> str:
    """The page. Raw HTML in the Markdown is shown as text."""
    body = Markup(fragment(markdown))  # noqa: S704 - made by the parser, which lets no HTML through
    return _environment().get_template("page.html.j2").render(title=title, body=body)


def fragment(markdown: str) -> str:
    """The Markdown as HTML, without the page around it."""
    return str(_parser().render(markdown))


@cache
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")
    parser.validateLink = lambda url: bool(_LOCAL_LINK.fullmatch(url))  # type: ignore[method-assign]
    return parser


@cache
def _environment() -> Environment:
    return Environment(loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined)
