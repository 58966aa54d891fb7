"""The form: what is understood, and what a person is told."""

from __future__ import annotations

import re
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.playbook.names import Severity
from include.review.document import ActionItem
from include.review.errors import ReviewError
from include.review.form import actions_text, form_texts, parse_actions, parse_form

TODAY = date(2026, 11, 24)
LATER = "2026-12-01"


@pytest.mark.parametrize(
    ("line", "what", "owner"),
    [
        ("Watch the disk | ada | due 2026-12-01", "Watch the disk", "ada"),
        ("  - Watch the disk|ada|2026-12-01  ", "Watch the disk", "ada"),
        ("* Watch the disk | ada | DUE: 2026-12-01", "Watch the disk", "ada"),
        ("Choose A | or B | ada | due 2026-12-01", "Choose A | or B", "ada"),
        ("Due today counts | ada | due 2026-11-24", "Due today counts", "ada"),
    ],
)
def test_an_action_is_what_owner_and_due_date(line: str, what: str, owner: str) -> None:
    items, wrong = parse_actions(f"\n{line}\n\n", TODAY)
    assert not wrong
    assert [(item.what, item.owner) for item in items] == [(what, owner)]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("Watch the disk", "it is to be what | owner | due YYYY-MM-DD; received 'Watch the disk'."),
        ("Watch the disk | ada", "it is to be what | owner | due"),
        (" | ada | due 2026-12-01", "what is to be done is missing"),
        ("Watch the disk |  | due 2026-12-01", "an owner is missing"),
        ("Watch the disk | TBD | due 2026-12-01", "an owner is missing; received 'TBD'."),
        ("Watch the disk | ada | due soon", "a due date is missing, as YYYY-MM-DD; received 'due soon'."),
        ("Watch the disk | ada | due 2026-02-30", "a due date is missing"),
        ("Watch the disk | ada | overdue 2026-12-01", "a due date is missing"),
        ("Watch the disk | ada | due 2026-11-23", "its due date 2026-11-23 is over already (today is 2026-11-24)."),
    ],
)
def test_what_is_wrong_with_an_action_is_said_with_its_line(line: str, said: str) -> None:
    items, wrong = parse_actions(f"Good one | ada | due {LATER}\n{line}", TODAY)
    assert len(items) == 1
    assert wrong == [f"Preventive actions, line 2: {wrong[0].split(': ', 1)[1]}"]
    assert said in wrong[0]


@pytest.mark.parametrize(
    ("severity", "form", "missing"),
    [
        (Severity.SEV_1, {}, ["Root cause: it is empty", "Preventive actions: at least one for SEV-1"]),
        (Severity.SEV_2, {"root_cause": "  "}, ["Root cause: it is empty", "Preventive actions: at least one"]),
        (Severity.SEV_2, {"root_cause": "x", "preventive_actions": "x"}, ["Preventive actions, line 1"]),
        (Severity.SEV_3, {"preventive_actions": "x"}, ["Preventive actions, line 1"]),
        (Severity.SEV_3, {"lessons": "x" * 4001}, ["Lessons: at most 4000 characters, not 4001."]),
    ],
)
def test_everything_that_is_missing_is_said_at_once(
    severity: Severity, form: dict[str, str], missing: list[str]
) -> None:
    with pytest.raises(ReviewError) as error:
        parse_form(form, severity, TODAY)
    lines = str(error.value).splitlines()
    assert lines[0] == "The review cannot be approved yet."
    assert len(lines) == 1 + len(missing)
    for line, said in zip(lines[1:], missing, strict=True):
        assert line.startswith(said)


def test_minor_incidents_may_leave_it_empty() -> None:
    parsed = parse_form({"comment": "fine", "root_cause": None}, Severity.SEV_3, TODAY)
    assert (parsed.root_cause, parsed.preventive_actions) == ("", ())


def test_too_many_actions_are_refused() -> None:
    with pytest.raises(ReviewError, match="at most 30, not 31"):
        parse_form({"preventive_actions": f"a | b | {LATER}\n" * 31}, Severity.SEV_3, TODAY)


@pytest.mark.parametrize(
    ("form", "said"),
    [({"rootcause": "x"}, "The form has no field rootcause. Its fields: root_cause,"), ({"lessons": 3}, "not int")],
)
def test_another_form_is_refused(form: dict[str, object], said: str) -> None:
    with pytest.raises(ReviewError, match=re.escape(said)):
        form_texts(form)


_WORD = st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters="|"), min_size=1, max_size=20)
_ITEMS = st.builds(
    ActionItem,
    what=st.lists(_WORD, min_size=1, max_size=5).map(" | ".join).filter(lambda w: not f"{w} ".startswith(("- ", "* "))),
    owner=_WORD.filter(lambda w: w.lower() not in {"?", "-", "n/a", "none", "nobody", "tba", "tbd", "unknown"}),
    due=st.dates(TODAY, TODAY + timedelta(days=900)).map(date.isoformat),
)


@given(st.lists(_ITEMS, max_size=10))
def test_what_was_agreed_on_can_be_typed_again(items: list[ActionItem]) -> None:
    assert parse_actions(actions_text(items), TODAY) == (tuple(items), [])


@given(st.text(max_size=300))
def test_no_text_breaks_it_and_none_is_lost(text: str) -> None:
    items, wrong = parse_actions(text, TODAY)
    assert len(items) + len(wrong) == sum(bool(line.strip()) for line in text.split("\n"))
