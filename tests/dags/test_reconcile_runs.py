"""The reconciler's Dag from its first task to its last in Airflow's own test run, on a real store."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from include.incidents.model import IncidentState
from include.incidents.store import IncidentStore
from include.review.reviews import Reviews
from include.runtime.clock import ManualClock
from include.settings import Settings
from tests.support.dag_runs import run_of
from tests.support.reviewing import FORM, Desk, outage

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]


def test_a_review_whose_run_died_after_the_approval_is_published(
    dags: Any, settings: Settings, store: IncidentStore
) -> None:
    desk = Desk(store, ManualClock(int((datetime.now(UTC) - timedelta(minutes=5)).timestamp() * 1000)))
    incident = outage(desk)
    with closing(Reviews(settings, desk.clock, desk.fake.sources())) as reviews:
        name = reviews.draft(incident.id).id
        reviews.answer(name, approved=True, by="ada", form=FORM)
        state, tasks = run_of(dags["reconcile_incidents"])
        assert state == "success", tasks
        assert tasks["publish_reviews"] == "success"
        published = reviews.published(incident.id)
    assert published is not None
    assert "Approved by ada" in published.markdown.read_text()
    assert store.incident(incident.id).state is IncidentState.CLOSED
