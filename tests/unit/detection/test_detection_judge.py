"""Judging a story: what counts as told, missed, late, wrong, too much; and the page that the bench writes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from include.drills.benchmarks.report import Section, put_sections
from include.incidents.model import Incident, IncidentState
from include.playbook.names import Cause, Component, Severity
from tests.detection.baselines import Alert
from tests.detection.judge import judge, judge_alerts
from tests.detection.replay import Opening, Played
from tests.detection.story import K, M, Paging, Story, fault

STORY = Story("a", "A fault.", (), 1_500, (fault(K, Cause.PROCESS_GONE, within=5, target=Component.KAFKA),))
QUIET = Story("b", "Nothing.", (), 1_500)
RIGHT = Opening(302.0, "INC-1", K, Component.KAFKA, Severity.SEV_1, False, 302.0, "down")
EARLY = replace(RIGHT, at=100.0, paged_at=100.0)
SECOND = Opening(400.0, "INC-2", M, Component.MYSQL, Severity.SEV_2, False, 400.0, "no rows")
RECORD = replace(RIGHT, incident_id="INC-3", severity=Severity.SEV_4, paged_at=None)


def played(
    story: Story,
    *openings: Opening,
    cause: Cause = Cause.PROCESS_GONE,
    state: IncidentState = IncidentState.RESOLVED,
) -> Played:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    incidents = {
        o.incident_id: Incident(
            o.incident_id, o.scenario, o.target, cause, o.severity, state, o.text, "watch", now, now, now, 1
        )
        for o in openings
    }
    return Played(story, list(openings), incidents)


CASES = [
    ("as labelled", played(STORY, RIGHT), ""),
    ("nothing opened", played(STORY), "missed"),
    ("too late", played(STORY, replace(RIGHT, at=320.0, paged_at=320.0)), "late"),
    ("another cause", played(STORY, RIGHT, cause=Cause.DISK_FULL), "wrong cause"),
    ("another target", played(STORY, replace(RIGHT, target=Component.HOST)), "missed"),
    ("a second incident", played(STORY, RIGHT, SECOND), "second incident"),
    ("it came back", played(STORY, RIGHT, replace(RIGHT, at=700.0, paged_at=700.0, reopened=True)), "came back"),
    ("only a record", played(STORY, RECORD), "nobody is told"),
    ("a record that became a page", played(STORY, replace(RECORD, paged_at=304.0)), ""),
    ("before the fault", played(STORY, EARLY), "missed"),
    ("never over", played(STORY, RIGHT, state=IncidentState.MITIGATING), "left open"),
    ("nothing in a quiet time", played(QUIET), ""),
    ("a page in a quiet time", played(QUIET, SECOND), "false alarm"),
    ("a record in a quiet time", played(QUIET, RECORD), ""),
    ("a record where none is allowed", played(replace(QUIET, records=False), RECORD), "a record of nothing"),
    ("again and again", played(QUIET, *[RECORD] * 5), "flickers"),
]


@pytest.mark.parametrize(("what", "story", "problem"), CASES, ids=[case[0] for case in CASES])
def test_what_was_opened_is_held_against_the_label(what: str, story: Played, problem: str) -> None:
    problems = judge(story).problems
    assert bool(problems) is bool(problem), problems
    assert not problem or any(each.startswith(problem) or problem in each for each in problems), problems


def test_a_record_is_asked_to_open_as_one() -> None:
    story = replace(STORY, faults=(fault(K, Cause.PROCESS_GONE, within=5, paging=Paging.RECORD),))
    assert judge(played(story, RECORD)).problems == []
    paged = judge(played(story, RIGHT))
    assert "not as a record" in paged.problems[0]
    assert paged.false_alarms == 1


def test_alerts_of_others_count_by_their_time() -> None:
    story = Played(STORY, [], {})
    story.alerts["x"] = [Alert(at, Component.LAG, "") for at in (100.0, 480.4, 500.0)]
    score = judge_alerts(story, "x")
    assert (score.delays, score.opened, score.false_alarms, score.misses) == ([pytest.approx(180.0)], 2, 1, 0)


def test_sections_take_the_place_of_those_with_their_title(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Head\n\nText.\n\n## One\n\nold\n\n## Two\n\nkept\n")
    sections = [Section(title, "how", ["a"], [["1"]], ["said"], "now") for title in ("One", "Three")]
    put_sections(sections, page)
    once = page.read_text()
    assert [line for line in once.splitlines() if line.startswith("#")] == ["# Head", "## One", "## Two", "## Three"]
    assert "old" not in once
    assert "kept" in once
    put_sections(sections, page)
    assert page.read_text() == once
