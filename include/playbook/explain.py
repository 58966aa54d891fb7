"""``playbook explain``: what is watched, who would be told, and what would run, on a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table

from include.playbook.ladder import Rung
from include.playbook.playbook import Playbook
from include.playbook.remedies import limits, mark, way_back, who_agrees
from include.playbook.render import thresholds_in_words, told
from include.playbook.scenario import Scenario


def explanation(playbook: Playbook, scenario: Scenario) -> Iterator[RenderableType]:
    """The parts of the page, in the order in which a person asks."""
    severities = " or ".join(severity.label for severity in scenario.severities)
    yield f"[bold]{escape(scenario.title)}[/] ({severities}), scenario {scenario.id}, about {scenario.target}"
    yield escape(scenario.wrong)
    yield ""
    yield f"[bold]What is watched[/]  {', '.join(scenario.probes)}"
    yield escape(scenario.decided_text)
    ancestors = ", ".join(sorted(playbook.graph.ancestors(scenario.target)))
    yield f"What is only inferred waits {scenario.hold_seconds:g} s for a root to show itself: {ancestors}."
    yield _numbers(scenario)
    yield "[bold]Causes to tell apart[/]"
    yield _causes(scenario)
    yield "[bold]Who would be told[/]"
    yield _told(playbook, scenario)
    yield "[bold]What would run[/], in this order, each only if it is needed"
    for number, rung in enumerate(scenario.ladder, 1):
        yield from _rung(number, rung)
    yield "[bold]Left to people[/]"
    yield _left_to_people(scenario)
    evidence = ", ".join((*(f"{log}.log" for log in scenario.evidence.logs), *scenario.evidence.probes))
    yield f"Before that the evidence is collected: {evidence}{', offsets' if scenario.evidence.offsets else ''}."
    yield f"Owner: {escape(scenario.owner)}; to be reviewed by {scenario.review_by}."


def _rung(number: int, rung: Rung) -> Iterator[RenderableType]:
    yield f"  {number}. [bold]{escape(rung.action)}[/][yellow]{escape(mark(rung))}[/]: {_plain(rung.runs)}"
    table = _table()
    for name, text in (
        ("needed when", rung.needed_when),
        ("proof", rung.verified_by),
        ("way back", way_back(rung)),
        ("who must agree", who_agrees(rung)),
        ("limits", limits(rung)),
        ("by hand", rung.by_hand),
    ):
        table.add_row(f"     {name}", _plain(text))
    yield table


def _left_to_people(scenario: Scenario) -> Table:
    table = _table("cause", "because", "what they are told")
    for left in scenario.by_people:
        entry = scenario.entry(left.cause)
        table.add_row(_plain(entry.title if entry else left.cause), _plain(left.because), _plain(left.tell))
    return table


def _plain(text: str) -> str:
    """Without the marks of Markdown, and safe to print."""
    return escape(text.replace("`", ""))


def _numbers(scenario: Scenario) -> Table:
    table = _table()
    for name, value in thresholds_in_words(scenario.thresholds):
        table.add_row(name, value)
    return table


def _causes(scenario: Scenario) -> Table:
    table = _table("cause", "told apart by", "do first", "severity")
    for entry in scenario.causes:
        texts = (entry.title, entry.told_apart_by, entry.first)
        table.add_row(*(_plain(text) for text in texts), entry.severity.label)
    return table


def _told(playbook: Playbook, scenario: Scenario) -> Table:
    table = _table()
    for severity in sorted({*scenario.severities, *(entry.severity for entry in scenario.causes)}):
        level = playbook.severity.level(severity)
        table.add_row(severity.label, escape(level.meaning), escape(told(level)))
    return table


def _table(*columns: str) -> Table:
    table = Table(*columns, box=None, show_header=bool(columns), padding=(0, 2), header_style="dim")
    if not columns:
        for _ in range(2):
            table.add_column(overflow="fold")
    return table
