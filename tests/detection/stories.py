"""The corpus: every labelled story."""

from __future__ import annotations

from tests.detection.stories_compound import COMPOUND_STORIES
from tests.detection.stories_flow import FEED_STORIES, GROWTH_STORIES
from tests.detection.stories_parts import KAFKA_STORIES, LAG_STORIES, MYSQL_STORIES, PROCESSOR_STORIES
from tests.detection.stories_quiet import OBSERVER_STORIES, QUIET_STORIES
from tests.detection.story import Story

STORIES: tuple[Story, ...] = (
    *KAFKA_STORIES,
    *PROCESSOR_STORIES,
    *MYSQL_STORIES,
    *FEED_STORIES,
    *LAG_STORIES,
    *GROWTH_STORIES,
    *COMPOUND_STORIES,
    *OBSERVER_STORIES,
    *QUIET_STORIES,
)
