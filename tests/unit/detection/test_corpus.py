"""Every labelled story, judged: right scenario, cause and root, in time, one incident for one fault, nothing else."""

from __future__ import annotations

import pytest

from tests.detection.judge import judge
from tests.detection.replay import play
from tests.detection.stories import STORIES
from tests.detection.story import Story


@pytest.mark.integration  # it needs no service, but a quarter of a minute and a core
@pytest.mark.parametrize("story", STORIES, ids=str)
def test_the_story_is_told_as_labelled(story: Story) -> None:
    played = play(story)
    score = judge(played)
    openings = "\n".join(
        f"{o.at:8.1f} {o.incident_id} {o.scenario}/{o.target} {o.severity.label} {o.text}" for o in played.openings
    )
    assert score.problems == [], f"{story.sentence}\n{openings}"


def test_stories_have_names_of_their_own() -> None:
    names = [story.name for story in STORIES]
    assert len(set(names)) == len(names)
