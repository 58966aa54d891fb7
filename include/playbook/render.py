"""Pages for people, made of the playbook's data: the runbooks, their index, and the pages of Dags.

The first screen of a runbook says what is wrong, what to check and what to do; reasons and numbers come after it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from include.playbook.names import ScenarioId, Severity
from include.playbook.playbook import DATA, Playbook
from include.playbook.remedies import limits, mark, way_back, who_agrees
from include.playbook.scenario import Scenario, value_in_words
from include.playbook.severity import HarmRules, Level
from include.playbook.thresholds import Thresholds
from include.settings import PROJECT_ROOT

RUNBOOKS = PROJECT_ROOT / "docs" / "runbooks"
PLAYBOOK = "bin/playbook"
COMMAND = f"{PLAYBOOK} runbooks"


def runbook_pages(playbook: Playbook) -> Mapping[str, str]:
    """Every page of ``docs/runbooks`` by file name."""
    pages = {f"{scenario.id}.md": _scenario_page("runbook.md.j2", playbook, scenario) for scenario in _all(playbook)}
    pages["README.md"] = _render(
        "index.md.j2",
        scenarios=_all(playbook),
        edges=playbook.graph.edges,
        policy=playbook.severity,
        harm=_harm(playbook.severity.harm),
    )
    return pages


def dag_page(playbook: Playbook, scenario: Scenario) -> str:
    """Markdown for the page of the scenario's health Dag."""
    return _scenario_page("dag_page.md.j2", playbook, scenario)


def remediation_page(playbook: Playbook, scenario: Scenario) -> str:
    """Markdown for the page of the scenario's remediation Dag."""
    return _scenario_page("remediation_page.md.j2", playbook, scenario)


def told(level: Level) -> str:
    """Who is told at this severity, and when, in words."""
    at_once = ", ".join(each.role for each in level.told if each.after_seconds == 0)
    later = [f"{each.role} after {each.after_seconds / 60:g} min" for each in level.told if each.after_seconds]
    if not level.told:
        return "nobody: it is a record"
    return f"{at_once or 'nobody'} at once" + (f"; if not acknowledged {', '.join(later)}" if later else "")


def thresholds_in_words(thresholds: Thresholds) -> list[tuple[str, str]]:
    """Name and value of each number with its unit; the scenario's own numbers first."""
    values = thresholds.model_dump()
    own = [(name, name.removesuffix("_seconds").replace("_", " ")) for name in values if name not in _OF_EVERY_SCENARIO]
    return [
        (words, value_in_words(name, values[name]) + (" s" if name.endswith("_seconds") else ""))
        for name, words in (*own, *_OF_EVERY_SCENARIO.items())
    ]


def _all(playbook: Playbook) -> list[Scenario]:
    return [playbook.scenarios[each] for each in ScenarioId]


def _scenario_page(template: str, playbook: Playbook, scenario: Scenario) -> str:
    severities = {*scenario.severities, *(entry.severity for entry in scenario.causes)}
    return _render(
        template,
        s=scenario,
        levels=[level for level in playbook.severity.levels if level.severity in severities],
        harm=_harm(playbook.severity.harm),
        parents=[_linked(playbook, parent) for parent in scenario.parents],
        thresholds=thresholds_in_words(scenario.thresholds),
        later=[rung.id.value for rung in scenario.ladder if rung.after_recovery],
    )


def _linked(playbook: Playbook, component: str) -> str:
    page = next((scenario.id for scenario in _all(playbook) if scenario.target == component), None)
    return f"{component} (`{page}`)" if page else component


def _render(template: str, **values: Any) -> str:
    text = _environment().get_template(template).render(values)
    return text.rstrip() + "\n"


@cache
def _environment() -> Environment:
    environment = Environment(  # noqa: S701 - Markdown, made of our own data
        loader=FileSystemLoader(DATA / "templates"), undefined=StrictUndefined, keep_trailing_newline=True
    )
    environment.filters["code"] = lambda name: f"`{name}`"
    environment.filters["capitalize_first"] = lambda text: text[:1].upper() + text[1:]
    environment.globals.update(command=f"`{COMMAND}`", program=PLAYBOOK, told=told)
    environment.globals.update(mark=mark, way_back=way_back, who_agrees=who_agrees, limits=limits)
    return environment


_OF_EVERY_SCENARIO = {
    "flaps": "turns for the worse that count as flapping",
    "flap_window_seconds": "… within",
    "flap_calm_seconds": "calm after which flapping is over",
    "dwell_seconds": "least time of being unhealthy",
    "blind_seconds": "blind time of a probe after which nothing is known",
}


def _harm(rules: HarmRules) -> str:
    by_severity: dict[Severity, list[str]] = {}
    for step in rules.stale:
        by_severity.setdefault(step.severity, []).append(f"rows older than {step.above_seconds:g} s")
    for loss in rules.loss:
        by_severity.setdefault(loss.severity, []).append(f"a risk of loss of {loss.from_risk:.0%}")
    return "; ".join(f"{' or '.join(by_severity[s])}: at least {s.label}" for s in sorted(by_severity, reverse=True))


def differing_pages(playbook: Playbook, folder: Path = RUNBOOKS) -> tuple[str, ...]:
    """Names of the pages in ``folder`` that are not what the data says, are missing, or belong to no scenario."""
    pages = runbook_pages(playbook)
    there = {file.name: file.read_text(encoding="utf-8") for file in folder.glob("*.md")}
    return tuple(sorted(name for name in {*pages, *there} if pages.get(name) != there.get(name)))


def write_pages(playbook: Playbook, folder: Path = RUNBOOKS) -> tuple[str, ...]:
    """Write what differs and drop what belongs to no scenario; returns the names."""
    pages, changed = runbook_pages(playbook), differing_pages(playbook, folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name in changed:
        if name in pages:
            (folder / name).write_text(pages[name], encoding="utf-8")
        else:
            (folder / name).unlink()
    return changed
