"""What the tasks of the review do."""

from __future__ import annotations

import logging
from contextlib import closing
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from include.settings import Settings

log = logging.getLogger(__name__)


def draft(incident_id: str, settings: Settings) -> dict[str, Any]:
    """Have the data right and the review drafted: what the form shows, and what was written in it the last time."""
    from include.review.render import render_markdown
    from include.review.reviews import Reviews

    ensure_repaired(incident_id, settings)
    with closing(Reviews(settings)) as reviews:
        review = reviews.draft(incident_id)
    return {
        "review_id": review.id,
        "subject": f"{review.incident_id}: please read and approve",
        "body": render_markdown(review),
        "form": review.form_values(),
    }


def ensure_repaired(incident_id: str, settings: Settings) -> None:
    """Nobody may have repaired the data of an incident that healed by itself, or by a person's hand. A repair that does
    not succeed is no reason to keep the review back: it says so.
    """
    from include.incidents.factory import store_from_settings
    from include.incidents.model import EntryKind as K
    from playbook_airflow.remediation_steps import repair_incident

    with closing(store_from_settings(settings)) as store:
        incident = store.incident(incident_id)
        done = [entry.kind for entry in store.timeline(incident_id) if entry.kind in (K.REPAIRED, K.REOPENED)]
    if done and done[-1] is K.REPAIRED:
        return
    try:
        repair_incident(incident, settings, "review")
    except Exception as error:  # whatever it is, the facts are to be read
        log.warning("The data of %s could not be repaired: %s: %s", incident_id, type(error).__name__, error)


def answer_review(review_id: str, answer: dict[str, Any], settings: Settings) -> dict[str, Any]:
    """Keep the answer; publish an approved review. ``again``: there is to be another round, and why."""
    from include.review.errors import ReviewError
    from include.review.reviews import Reviews
    from playbook_airflow.review_workflow import APPROVE

    form = {name: str(value or "") for name, value in (answer.get("params_input") or {}).items()}
    by = str((answer.get("responded_by_user") or {}).get("id") or "")
    comment = form.get("comment", "")
    with closing(Reviews(settings)) as reviews:
        if answer["chosen_options"] != [APPROVE]:
            reviews.answer(review_id, approved=False, by=by, form=form, comment=comment)
            return {"again": True, "why": comment or "sent back without a comment"}
        try:
            reviews.answer(review_id, approved=True, by=by, form=form, comment=comment)
        except ReviewError as error:  # not lost: it comes back with what is missing
            log.warning("It cannot be approved yet: %s", error)
            words = f"It was approved by {by}, but it cannot be published yet: {error}"
            reviews.answer(review_id, approved=False, by=by, form=form, comment=words)
            return {"again": True, "why": words}
        published = reviews.publish(review_id)
    log.info("Published: %s", published.markdown)
    return {"again": False, "why": "", "markdown": str(published.markdown), "html": str(published.html)}
