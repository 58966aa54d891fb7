"""A review as Markdown, for the form in the Airflow UI and for the reports, and as a page of HTML.

The same review always gives the same text. The Markdown has no raw HTML and is bounded: if it grows too long, first the
timeline at its end is cut, then texts and lists; what was cut is said, and where the whole is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from include.review.document import Blank, Document, Line, Statements, Words
from include.review.markdown import code, escaped, quoted
from include.review.model import Review, ReviewState
from include.review.sentences import proof, sentence, value
from include.review.words import clock_time, moment, plain, span

LONGEST_BYTES = 60_000
_APPENDIX_BYTES = 0.6  # of the whole, at least left for the whole timeline


@dataclass(frozen=True, slots=True)
class Bounds:
    """Most items of a list, and most characters of a text."""

    items: int
    characters: int


_BOUNDS = (Bounds(100, 700), Bounds(40, 500), Bounds(20, 300), Bounds(10, 150), Bounds(5, 80))


def render_markdown(review: Review, longest: int = LONGEST_BYTES) -> str:
    """The review as Markdown without raw HTML, of at most ``longest`` bytes (at least 20,000)."""
    for bounds in _BOUNDS:
        body = "\n".join(_body(review, bounds))
        if _size(body) <= longest * (1 - _APPENDIX_BYTES) or bounds is _BOUNDS[-1]:
            break
    document = review.document
    return "\n".join([body, *_appendix(document, longest - _size(body), bounds)]).rstrip() + "\n"


def render_html(review: Review) -> str:
    """The same as one page that needs nothing else, and prints well."""
    from include.review.pages import page

    return page(f"{review.incident_id}: post-incident review", render_markdown(review))


def render_timeline(review: Review) -> str:
    """The whole timeline as it was when the review was drafted, as Markdown."""
    document = review.document
    lines = [f"# {document.incident_id}: timeline", "", f"As of {moment(document.drafted_at)}. Times are UTC.", ""]
    return "\n".join([*lines, *_TIMELINE_HEAD, *(_row(line, Bounds(0, 4000)) for line in document.timeline)]) + "\n"


def _body(review: Review, bounds: Bounds) -> Iterator[str]:
    document = review.document
    yield f"# Post-incident review {document.incident_id}"
    yield ""
    yield from _status(review, bounds)
    yield from _head(document, bounds)
    yield from _section("Summary", document.summary, bounds)
    yield from _impact(document, bounds)
    yield from _key_lines(document, bounds)
    yield from _section("Root Cause", document.root_cause, bounds)
    yield from _section("Resolution", document.resolution, bounds)
    yield from _section("What worked", document.what_worked, bounds)
    yield from _section("What failed", document.what_failed, bounds)
    yield from _section("Lessons", document.lessons, bounds)
    yield from _section("Preventive Actions", document.preventive_actions, bounds)
    yield from _action_items(document, bounds)
    yield from _section("Runbook updates", document.runbook_updates, bounds)
    yield from _section("Logs and Evidence", document.logs_and_evidence, bounds)


def _status(review: Review, bounds: Bounds) -> Iterator[str]:
    """What the reader is looking at, and what is asked of them."""
    document, answer = review.document, review.answer
    if document.sent_back is not None:
        back = document.sent_back
        yield f"**Version {back.version} was sent back by {escaped(back.by)} at {moment(back.at)}:**"
        yield ""
        yield from quoted(back.comment or "without a comment", 2000)
        yield ""
    version = f"Version {review.version}, drafted {moment(document.drafted_at)}."
    if review.state in (ReviewState.APPROVED, ReviewState.PUBLISHED) and answer is not None:
        yield f"{version} Approved by {escaped(answer.by)} at {moment(answer.at)}."
        if answer.comment:
            yield ""
            yield from quoted(answer.comment, bounds.characters)
    elif review.state is ReviewState.DRAFTED:
        yield (
            f"{version} Not approved yet. Facts name their evidence in parentheses; what only a person knows is marked"
            " **To be filled in by a person**."
        )
    else:
        yield f"{version} It is {plain(review.state)}."
    yield ""


def _head(document: Document, bounds: Bounds) -> Iterator[str]:
    yield "| | |"
    yield "|---|---|"
    yield f"| **Incident ID** | {document.incident_id} |"
    for name, statements in (
        ("Severity", document.severity_words),
        ("Date/Time", document.date_time),
        ("Reported By", document.reported_by),
    ):
        yield f"| **{name}** | {' '.join(sentence(each, bounds.characters) for each in _most(statements, bounds))} |"
    yield f"| **Scenario** | {escaped(document.scenario_title)} (docs/runbooks/{document.scenario}.md) |"
    yield ""


def _section(title: str, statements: Statements, bounds: Bounds) -> Iterator[str]:
    yield f"## {title}"
    yield ""
    for each in _most(statements, bounds):
        if isinstance(each, Words):
            yield ""
            yield f"{escaped(each.by)}, {moment(each.at)}:"
            yield ""
            yield from quoted(each.text, max(bounds.characters * 4, 1000))
            yield ""
        else:
            yield f"- {sentence(each, bounds.characters)}"
    if left_out := len(statements) - len(_most(statements, bounds)):
        yield f"- … and {left_out} more, left out here."
    yield ""


def _impact(document: Document, bounds: Bounds) -> Iterator[str]:
    yield from _section("Impact", document.impact, bounds)
    yield "| Figure | Value | Note | Evidence |"
    yield "|---|---:|---|---|"
    for each in document.figures:
        note, proven = escaped(each.note, bounds.characters), proof(each.evidence)
        yield f"| {escaped(each.label)} | {value(each)} | {note} | {proven} |"
    yield ""


_TIMELINE_HEAD = ("| No. | Time (UTC) | What | By | Text |", "|---:|---|---|---|---|")


def _key_lines(document: Document, bounds: Bounds) -> Iterator[str]:
    lines = [line for line in document.timeline if line.key]
    yield "## Timeline"
    yield ""
    yield from _days(lines)
    yield from _TIMELINE_HEAD
    yield from (_row(line, bounds) for line in lines[: bounds.items])
    yield ""
    if len(lines) > bounds.items:
        yield f"… and {len(lines) - bounds.items} more; {_whole(document)}"
        yield ""


def _days(lines: list[Line]) -> Iterator[str]:
    days = sorted({f"{line.at:%Y-%m-%d}" for line in lines})
    if days:
        yield f"{' to '.join(dict.fromkeys((days[0], days[-1])))}, key entries:"
        yield ""


def _appendix(document: Document, room: int, bounds: Bounds) -> Iterator[str]:
    yield "## Appendix: the whole timeline"
    yield ""
    if all(line.key for line in document.timeline) and len(document.timeline) <= bounds.items:
        yield "Every entry is shown above."
        return
    yield from _TIMELINE_HEAD
    note = f"… cut after this many of {len(document.timeline):,}; {_whole(document)}"
    room -= _size(note) + 300
    shown = 0
    for line in document.timeline:
        row = _row(line, bounds)
        room -= _size(row) + 1
        if room < 0:
            break
        yield row
        shown += 1
    if shown < len(document.timeline):
        yield ""
        yield note


def _row(line: Line, bounds: Bounds) -> str:
    late = (line.recorded_at - line.at).total_seconds()
    noted = f" (noted {span(late)} later)" if late >= 2 else ""
    text = escaped(line.text, bounds.characters)
    when = f"{line.at:%m-%d} {clock_time(line.at)}"
    return f"| {line.number} | {when} | {plain(line.kind)} | {escaped(line.actor, 60)} | {text}{noted} |"


def _action_items(document: Document, bounds: Bounds) -> Iterator[str]:
    if document.action_items:
        yield "| No. | What | Owner | Due |"
        yield "|---:|---|---|---|"
        for number, item in enumerate(document.action_items, 1):
            yield f"| {number} | {escaped(item.what, 500)} | {escaped(item.owner, 100)} | {escaped(item.due)} |"
        yield ""


def _most(statements: Statements, bounds: Bounds) -> Statements:
    """The first ones; a blank or a person's words are never cut."""
    kept = statements[: bounds.items]
    return (*kept, *(each for each in statements[bounds.items :] if isinstance(each, Blank | Words)))


def _whole(document: Document) -> str:
    return f"the whole is in the incident store: {code(f'bin/playbook show {document.incident_id}')}"


def _size(text: str) -> int:
    return len(text.encode("utf-8"))
