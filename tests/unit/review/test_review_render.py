"""A review as Markdown and HTML: bounded, always the same, and nothing in it breaks out."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from include.incidents.memory_store import MemoryIncidentStore
from include.incidents.model import EntryKind, IncidentState
from include.playbook.names import Severity
from include.review.completion import complete
from include.review.compose import compose
from include.review.document import ActionItem, Blank, Fact, SentBack
from include.review.errors import ReviewError
from include.review.export import export, without_machine
from include.review.form import parse_form
from include.review.gather import gather
from include.review.model import Answer, PublishedReview, Review, ReviewState
from include.review.publishing import Reports
from include.review.render import render_html, render_markdown, render_timeline
from include.settings import PROJECT_ROOT
from tests.support.reviewing import FORM, Desk, healed, manual_clock, outage, review_settings

EVIL = "</td><script>alert(1)</script> | # x [a](javascript:b) ![p](http://evil.example/p.png)\n\n## Injected\n- x"


@pytest.fixture
def desk() -> Desk:
    """A store in memory."""
    clock = manual_clock()
    return Desk(MemoryIncidentStore(clock), clock)


def drafted(desk: Desk, sent_back: SentBack | None = None) -> Review:
    """The review as it is now."""
    document = compose(gather(desk.store, desk.fake.sources(), desk.incident.id, desk.now()), 1, sent_back)
    return Review(desk.incident.id, 1, ReviewState.DRAFTED, "f" * 64, document, desk.now())


def approved(desk: Desk, **form: str) -> Review:
    """And approved by a person."""
    draft, answer = drafted(desk), Answer(True, "ada", desk.now(), "fine", FORM | form)
    document = complete(draft.document, parse_form(answer.form, Severity.SEV_1, answer.at.date()), "ada", answer.at)
    return replace(draft, state=ReviewState.APPROVED, answer=answer, document=document)


def headings(markdown: str) -> list[str]:
    """All of them, in order."""
    return re.findall(r"^#+ .*$", markdown, re.MULTILINE)


def test_all_fields_of_the_template_are_there_in_order(desk: Desk) -> None:
    outage(desk)
    text = render_markdown(drafted(desk))
    assert headings(text) == [
        "# Post-incident review INC-2026-0001",
        "## Summary",
        "## Impact",
        "## Timeline",
        "## Root Cause",
        "## Resolution",
        "## What worked",
        "## What failed",
        "## Lessons",
        "## Preventive Actions",
        "## Runbook updates",
        "## Logs and Evidence",
        "## Appendix: the whole timeline",
    ]
    for field in ("Incident ID", "Severity", "Date/Time", "Reported By"):
        assert f"| **{field}** | " in text
    assert text.count("**To be filled in by a person:**") == 4
    assert "| Trades lost for good | 0 trades |  | entry 15 |" in text
    assert "| 4 | 11-06 21:20:01.0 | state changed | watch | detected → acknowledged: it is so |" in text


def test_what_was_filled_in_stands_in_the_place_of_the_blanks(desk: Desk) -> None:
    outage(desk)
    text = render_markdown(approved(desk))
    assert "To be filled in by a person" not in text
    assert "Approved by ada at 2026-11-06 21:20:25.0 UTC." in text
    assert "> The host ran out of memory, and the kernel ended the broker." in text
    assert "| 1 | Give the broker a limit of its own | ada | 2026-12-01 |" in text


def test_a_draft_that_came_back_begins_with_the_comment(desk: Desk) -> None:
    outage(desk)
    back = SentBack(version=1, by="grace", at=desk.now(), comment="Which host?\nAnd when?")
    text = render_markdown(drafted(desk, back))
    assert text.index("was sent back by grace") < text.index("## Summary")
    assert "> Which host?\\\n> And when?" in text


def test_the_same_review_gives_the_same_text(desk: Desk) -> None:
    outage(desk)
    first, second = approved(desk), approved(desk)
    assert render_markdown(first) == render_markdown(second)
    assert render_html(first) == render_html(second)


def test_hostile_text_changes_nothing_but_itself(desk: Desk) -> None:
    desk.open(summary=EVIL, reported_by=EVIL, reason=EVIL)
    desk.tell(EntryKind.NOTE, EVIL)
    desk.tell(EntryKind.ESCALATED, EVIL)
    desk.collect(EVIL, missing=EVIL)
    desk.walk(IncidentState.RESOLVED, why=EVIL)
    quiet = approved(desk, root_cause="x", lessons="x")
    review = approved(desk, root_cause=EVIL, lessons=EVIL, runbook_updates=EVIL)
    review = replace(review, document=review.document.model_copy(update={"scenario_title": EVIL}))
    text, page = render_markdown(review), render_html(review)
    assert headings(text) == headings(render_markdown(quiet))
    assert not re.search(r"<(?:script|img|h1|td)", text.replace("\\<", ""))
    assert "<script" not in page
    assert not re.findall(r"<(?:a|img|link|iframe)\b", page)
    assert page.count("<h2>") == len(headings(text)) - 1


@pytest.mark.parametrize(("lines", "length"), [(60, 100), (900, 280), (200, 2000)])
def test_the_markdown_is_bounded_and_says_what_was_cut(desk: Desk, lines: int, length: int) -> None:
    signs = tuple({"probe": "processes", "code": "exited", "text": f"{number} " + "é|" * length} for number in range(8))
    desk.open(evidence=signs)
    for number in range(lines):
        desk.tell(EntryKind.NOTE, f"{number} " + "_<é|" * (length // 4), 0.1)
    desk.walk(IncidentState.RESOLVED)
    review = drafted(desk)
    text = render_markdown(review)
    assert len(text.encode()) <= 60_000
    assert len(headings(text)) == 13
    assert text.count("**To be filled in by a person:**") == 4
    cut = "the whole is in the incident store: `bin/playbook show INC-2026-0001`"
    assert (cut in text) is (lines > 60)
    assert ("… cut after this many of" in text) is (lines > 60)
    assert render_timeline(review).count("\n| ") == 1 + len(review.document.timeline)


def test_a_blank_is_never_cut(desk: Desk) -> None:
    healed(desk)
    review = drafted(desk)
    many = (*(Fact(text=f"fact {number}") for number in range(300)), Blank(asks="why?"))
    text = render_markdown(replace(review, document=review.document.model_copy(update={"root_cause": many})))
    assert "- fact 99\n- **To be filled in by a person:** why?\n- … and 200 more, left out here.\n" in text


def test_a_short_timeline_is_not_shown_twice(desk: Desk) -> None:
    healed(desk)
    text = render_markdown(drafted(desk))
    assert "Every entry is shown above." in text
    assert text.count("Supervision started btc_producer again.") == 3  # timeline, resolution, what worked


def test_the_page_is_whole_in_itself(desk: Desk) -> None:
    outage(desk)
    page = render_html(approved(desk))
    assert page.startswith("<!doctype html>")
    assert "default-src 'none'" in page
    assert not re.findall(r"(?:src=|href=|@import|url\()", page)


# --- files


def test_reports_have_an_index_that_leads_to_them(desk: Desk, tmp_path: Path) -> None:
    outage(desk)
    reports, review = Reports(tmp_path / "reports"), approved(desk)
    written = reports.write(review)
    with reports.writing_index() as write_index:
        write_index([review])
    published = reports.published(review)
    assert published.markdown.read_text() == render_markdown(review)
    assert published.html.read_text() == render_html(review)
    assert set(written.hashes) == {"markdown", "html"}
    assert "[INC-2026-0001](INC-2026-0001/INC-2026-0001-review.md)" in (reports.folder / "index.md").read_text()
    assert 'href="INC-2026-0001/INC-2026-0001-review.html"' in (reports.folder / "index.html").read_text()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("see /srv/pipeline/data/kafka/0.log: full", "see …/0.log: full"),
        ("`/home/ada/x y`", "`…/x y`"),
        ("docs/runbooks/kafka_down.md and 1/2 and a/b/c", "docs/runbooks/kafka_down.md and 1/2 and a/b/c"),
        ("`http://127.0.0.1:9092/api/v3/ping`", "`http://127.0.0.1:9092/api/v3/ping`"),
        (f"{PROJECT_ROOT}/include/x.py", "./include/x.py"),
    ],
)
def test_an_exported_review_has_no_paths_of_the_machine(tmp_path: Path, text: str, shown: str) -> None:
    assert without_machine(text, review_settings(tmp_path)) == shown


def test_an_export_is_a_copy_without_the_machine(desk: Desk, tmp_path: Path) -> None:
    settings = review_settings(tmp_path)
    desk.open(summary=f"No space left on {settings.home}/data/kafka.")
    desk.walk(IncidentState.RESOLVED)
    reports, review = Reports(tmp_path / "reports"), approved(desk)
    reports.write(review)
    target = export(reports.published(review), tmp_path / "examples", settings)
    assert target.name == "INC-2026-0001.md"
    assert "No space left on var/data/kafka." in target.read_text()


def test_an_export_of_a_file_that_is_gone_says_so(tmp_path: Path) -> None:
    gone = PublishedReview(tmp_path / "INC-2026-0001-review.md", tmp_path / "x.html")
    with pytest.raises(ReviewError, match=r"The published file is gone: INC-2026-0001-review\.md"):
        export(gone, tmp_path, review_settings(tmp_path))


def test_action_items_are_escaped(desk: Desk) -> None:
    outage(desk)
    review = approved(desk)
    item = ActionItem(what="a | b <i>", owner="x|y", due="2026-12-01")
    review = replace(review, document=review.document.model_copy(update={"action_items": (item,)}))
    assert "| 1 | a \\| b \\<i\\> | x\\|y | 2026-12-01 |" in render_markdown(review)
