"""What people do in the real Airflow UI: trigger a remedy by hand, agree or not, read and approve a review."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from include.guardrails.factory import guardrails_from_settings
from include.guardrails.model import ActionState
from include.incidents.factory import store_from_settings
from include.incidents.model import EntryKind, Incident, IncidentState
from include.incidents.store import IncidentStore
from include.playbook.ladder import RungId
from include.review.model import ReviewState
from include.review.reviews import Reviews
from include.services.names import PRODUCER
from include.stack import airflow
from tests.support.browser import keep_picture, logged_in
from tests.support.live_calm import calm
from tests.support.pipeline import AirflowClient, Pipeline

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

DAG = "remediate_producer_silent"
# A person reads first. Airflow 3.3 asks once more if the answer comes before its scheduler has seen the question.
READING_SECONDS = 4.0
REASON = "The feed looks odd since the last release."


@pytest.fixture(scope="module")
def store(pipeline: Pipeline) -> Iterator[IncidentStore]:
    with closing(store_from_settings(pipeline.settings)) as opened:
        yield opened


@pytest.fixture(scope="module")
def reported(pipeline: Pipeline, store: IncidentStore) -> Incident:
    """An incident that a person has reported by triggering a remedy in the UI, when it is over."""
    pipeline.wait_for(lambda: not store.open_incidents(), 180, "no incident is open")
    before = {incident.id for incident in store.recent()}
    with logged_in(pipeline) as page:
        page.goto(f"{airflow.url(pipeline.settings)}/dags/{DAG}")
        page.get_by_role("button", name="Trigger").first.click()
        page.locator("[name=element_reason]").fill(REASON)
        choose(page, "element_rungs", RungId.RESTART_PRODUCER)
        keep_picture(page, "remediation-form.png")
        page.get_by_role("dialog").get_by_role("button", name="Trigger").click()
        new = pipeline.wait_for(
            lambda: next((i for i in store.recent() if i.id not in before), None), 60, "an incident is reported"
        )
        run = pipeline.airflow.get(f"/dags/{DAG}/dagRuns", order_by="-run_after", limit=1)["dag_runs"][0]["dag_run_id"]
        path = f"/dags/{DAG}/dagRuns/{quote(run, safe='')}"
        pipeline.wait_for(lambda: pipeline.airflow.get(path)["state"] != "running", 240, "the run ends")
        page.goto(f"{airflow.url(pipeline.settings)}/dags/{DAG}/runs/{quote(run, safe='')}")
        page.get_by_text("mitigate").first.wait_for()
        keep_picture(page, "remediation-run.png")
        assert pipeline.airflow.get(path)["state"] == "success"
    return store.incident(new.id)


def choose(page: Page, field: str, value: str) -> None:
    """One value of a field that takes several."""
    page.locator(f"#{field} [role=combobox]").fill(value)
    page.keyboard.press("Enter")


def test_a_person_triggers_a_remedy_with_the_form(pipeline: Pipeline, store: IncidentStore, reported: Incident) -> None:
    admin = pipeline.settings.airflow_admin_user
    assert reported.reported_by == admin
    assert reported.summary == f"Reported by {admin}: {REASON}"
    with closing(guardrails_from_settings(pipeline.settings)) as guardrails:
        (action,) = guardrails.actions(incident_id=reported.id)
    assert (action.rung, action.state, action.requested_by) == (RungId.RESTART_PRODUCER, ActionState.SUCCEEDED, admin)
    assert pipeline.pid(PRODUCER) is not None
    kinds = [entry.kind for entry in store.timeline(reported.id)]
    assert kinds.index(EntryKind.EVIDENCE_COLLECTED) < kinds.index(EntryKind.ACTION_STARTED)
    assert store.verify(reported.id) == ()


def answer(pipeline: Pipeline, incident_id: str, fields: dict[str, str], button: str, picture: str = "") -> None:
    """As the person on call: open the review that waits, fill the form in, and press the button."""
    runs = pipeline.wait_for(lambda: waiting(pipeline, incident_id), 90, f"the review of {incident_id} waits")
    with logged_in(pipeline, pipeline.settings.airflow_oncall_user) as page:
        where = f"runs/{quote(runs, safe='')}/tasks/read_and_approve/required_actions"
        page.goto(f"{airflow.url(pipeline.settings)}/dags/post_incident_review/{where}")
        page.get_by_text(re.compile(f"Post-incident review {incident_id}")).first.wait_for()
        for name, text in fields.items():
            page.locator(f"[name=element_{name}]").fill(text)
        if picture:
            page.set_viewport_size({"width": 1400, "height": 2200})
            keep_picture(page, picture)
        page.get_by_role("button", name=button, exact=True).click()
        pipeline.wait_for(lambda: waiting(pipeline, incident_id) != runs, 30, "the answer has arrived")


def waiting(pipeline: Pipeline, incident_id: str) -> str | None:
    """The run whose review of this incident waits for a person."""
    for run in pipeline.airflow.get("/dags/post_incident_review/dagRuns", order_by="-run_after", limit=50)["dag_runs"]:
        if run["conf"].get("incident_id") == incident_id and run["state"] == "running":
            path = (
                f"/dags/post_incident_review/dagRuns/{quote(run['dag_run_id'], safe='')}/taskInstances/read_and_approve"
            )
            if pipeline.airflow.get(path)["state"] == "awaiting_input":
                return str(run["dag_run_id"])
    return None


def test_a_review_is_sent_back_comes_again_and_is_approved(
    pipeline: Pipeline, store: IncidentStore, reported: Incident
) -> None:
    """Nothing that was written is lost, and the incident closes only with the approval."""
    lesson = "The form asks for a reason; that helped."
    answer(pipeline, reported.id, {"lessons": lesson, "comment": "The impact is not plain to me."}, "Send back")
    with closing(Reviews(pipeline.settings)) as reviews:
        second = pipeline.wait_for(
            lambda: next((r for r in [reviews.latest(reported.id)] if r and r.version > 1), None), 90, "a second draft"
        )
        assert second.document.sent_back is not None
        assert second.document.sent_back.comment == "The impact is not plain to me."
        assert second.form_values()["lessons"] == lesson
        assert store.incident(reported.id).state is IncidentState.IN_REVIEW
        due = (datetime.now(UTC) + timedelta(days=14)).date().isoformat()
        fields = {
            "root_cause": "The release changed the order of the endpoints.",
            "preventive_actions": f"Compare the endpoints in the release check | data-platform | {due}",
        }
        answer(pipeline, reported.id, fields, "Approve", picture="review-form.png")
        published = pipeline.wait_for(lambda: reviews.published(reported.id), 60, "it is published")
        final = reviews.latest(reported.id)
    assert final is not None
    assert final.state is ReviewState.PUBLISHED
    assert final.answer is not None
    assert final.answer.by == pipeline.settings.airflow_oncall_user
    text = published.markdown.read_text()
    for words in (reported.id, fields["root_cause"], "Compare the endpoints", lesson, REASON):
        assert words in text
    assert published.html.is_file()
    assert store.incident(reported.id).state is IncidentState.CLOSED
    assert store.verify(reported.id) == ()


def test_what_is_destructive_needs_the_yes_of_a_second_person(pipeline: Pipeline, store: IncidentStore) -> None:
    """The one who asks cannot agree; another one can, the checkpoint is kept, and nothing is counted twice."""
    settings = pipeline.settings
    oncall = AirflowClient(settings, settings.airflow_oncall_user, "airflow_oncall_password")
    calm(pipeline, store)
    dag, rung = "remediate_stream_processor_failure", RungId.REBUILD_FROM_KAFKA
    conf = {"reason": "A trial of the rebuild.", "rungs": [rung.value]}
    run = pipeline.airflow.post(f"/dags/{dag}/dagRuns", {"logical_date": None, "conf": conf})["dag_run_id"]
    path = f"/dags/{dag}/dagRuns/{quote(run, safe='')}"
    ask = f"{path}/taskInstances/mitigate.ask_before_{rung}"
    pipeline.wait_for(lambda: pipeline.airflow.get(ask)["state"] == "awaiting_input", 120, "a person is asked")
    time.sleep(READING_SECONDS)
    yes = {"chosen_options": ["Approve"], "params_input": {"comment": "Go on."}}
    with pytest.raises(AssertionError, match="403"):
        pipeline.airflow.patch(f"{ask}/-1/hitlDetails", yes)
    oncall.patch(f"{ask}/-1/hitlDetails", yes)
    pipeline.wait_for(lambda: pipeline.airflow.get(path)["state"] in ("success", "failed"), 300, "the run ends")
    states = {
        t["task_id"]: t["state"] for t in pipeline.airflow.get(f"{path}/taskInstances", limit=100)["task_instances"]
    }
    assert pipeline.airflow.get(path)["state"] == "success", states
    incident = next(each for each in store.recent() if conf["reason"] in each.summary)
    entries = store.timeline(incident.id)
    story = "\n".join(f"{entry.recorded_at:%H:%M:%S} {entry.kind} {entry.text}" for entry in entries)
    with closing(guardrails_from_settings(settings)) as guardrails:
        actions = guardrails.actions(incident_id=incident.id)
    assert [(action.rung, action.state) for action in actions] == [(rung, ActionState.SUCCEEDED)], story
    assert any(settings.airflow_oncall_user in e.text and "agreed" in e.text for e in entries)
    repairs = [entry.data["equal"] for entry in entries if entry.kind is EntryKind.REPAIRED]
    assert repairs == [True] * max(len(repairs), 1), story
    assert list(settings.checkpoint_dir.parent.glob(f"{settings.checkpoint_dir.name}.aside-*"))
