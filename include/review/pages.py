"""Markdown as a page of HTML that needs nothing else: no script, no font, no picture from anywhere."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup

_TEMPLATES = Path(__file__).parent / "templates"


def page(title: str, markdown: str) -> str:
    """The page. Raw HTML in the Markdown is shown as text."""
    body = Markup(_parser().render(markdown))  # noqa: S704 - made by the parser, which lets no HTML through
    return _environment().get_template("page.html.j2").render(title=title, body=body)


@cache
def _parser() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")


@cache
def _environment() -> Environment:
    return Environment(loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined)
