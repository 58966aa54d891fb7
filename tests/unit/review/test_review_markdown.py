"""Text from outside stays text, in Markdown and in the page made of it."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from include.review.markdown import code, escaped, plain_line, quoted
from include.review.pages import fragment, page

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "![x](http://evil.example/x.png)",
    "[click](javascript:alert(1))",
    "[ref]: http://evil.example",
    "# a heading",
    "1. a list\n\n2. more",
    "- a list",
    "| a | cell |",
    "---",
    "```\ncode\n```",
    "**bold** _emphasis_ ~~gone~~",
    "&lt;b&gt; &copy; &#60;",
    "a\\",
    "https://evil.example/?a=b|c and mail@evil.example",
    "</td></tr></table><h1>out</h1>",
    "> quote",
    "a\u202egnp.exe",
    "{{ 7*7 }} {% raw %}",
    "=",
    "`tick` ``two`` ```three",
]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def _read(markdown: str) -> _Reader:
    reader = _Reader()
    reader.feed(fragment(markdown))
    return reader


def _shown(text: str) -> str:
    return plain_line(text)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_is_shown_as_it_is(text: str) -> None:
    for markdown, tags in (
        (escaped(text), {"p", "code"}),
        (f"- {escaped(text)}", {"ul", "li", "code"}),
        (f"| a |\n|---|\n| {escaped(text)} |", {"table", "thead", "tbody", "tr", "th", "td", "code"}),
    ):
        reader = _read(markdown)
        assert set(reader.tags) <= tags, markdown
        assert _shown(text) in _shown("".join(reader.text)), markdown


@settings(max_examples=60)
@given(st.text(max_size=80))
@example("\\")
@example("1) x")
@example("_a_ a_b _")
def test_any_text_is_shown_as_it_is(text: str) -> None:
    reader = _read(f"- x {escaped(text)}")
    assert set(reader.tags) <= {"ul", "li", "code"}
    assert _shown(text) in _shown("".join(reader.text))


@settings(max_examples=60)
@given(st.text(max_size=80))
def test_any_text_can_begin_an_item(text: str) -> None:
    reader = _read(f"- {escaped(text)}")
    assert set(reader.tags) <= {"ul", "li", "code"}


@settings(max_examples=60)
@given(st.text(max_size=60))
def test_any_text_is_a_code_span(text: str) -> None:
    shown = plain_line(text)
    reader = _read(f"x {code(text)}")
    assert set(reader.tags) <= {"p", "code"}
    if shown:
        assert reader.tags.count("code") == 1


@settings(max_examples=60)
@given(st.text(max_size=120))
@example("a\\\nb")
@example("\n\n# x\n- y")
def test_words_of_a_person_stay_within_the_quote(text: str) -> None:
    reader = _read("\n".join(quoted(text)))
    assert set(reader.tags) <= {"blockquote", "p", "br", "code"}
    assert reader.tags.count("blockquote") <= 1


def test_addresses_become_code_so_that_nobody_makes_links_of_them() -> None:
    assert escaped("see https://x.example/a_b now") == "see `https://x.example/a_b` now"
    assert escaped("ask ops@x.example") == "ask `ops@x.example`"


def test_names_stay_readable() -> None:
    assert escaped("restart_kafka on kafka: 5 of 5") == "restart_kafka on kafka: 5 of 5"


def test_characters_that_nobody_sees_are_marked() -> None:
    assert escaped("a\u202eb\x07c\u200bd") == "a\ufffdb\ufffdc\ufffdd"


def test_words_of_a_person_keep_their_lines() -> None:
    assert quoted("one\ntwo\n\nthree") == ["> one\\", "> two", ">", "> three"]


def test_a_long_text_is_cut_with_a_mark() -> None:
    assert escaped("x" * 50, 10) == "x" * 9 + "…"


def test_the_page_needs_nothing_else() -> None:
    text = page("<b>", "# x\n\n<script>alert(1)</script>\n\n![a](x.png) [b](javascript:x) [c](http://evil.example)")
    assert "<title>&lt;b&gt;</title>" in text
    assert "<script" not in text
    assert re.findall(r"(?:src|href)=\S+", text) == ['href="x.png">a</a>']
    assert html.escape("<script>") in text
