"""What the reconciler's tasks do."""

from __future__ import annotations

import logging
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

log = logging.getLogger(__name__)

ACTOR = "reconciler"


def settle_and_escalate(work: list[dict[str, Any]]) -> list[str]:
    """Settle dead actions, and hand to people what no run could finish; what was done, in sentences."""
    from include.guardrails.factory import guardrails_from_settings
    from include.incidents.factory import store_from_settings
    from include.incidents.model import EntryKind, NewEntry
    from include.remediation.escalation import escalate_incident
    from include.remediation.settle import settle_dead_actions
    from include.services.factory import controller_from_settings
    from include.settings import get_settings

    settings = get_settings()
    said: list[str] = []
    with closing(store_from_settings(settings)) as store, closing(guardrails_from_settings(settings)) as guardrails:
        said += settle_dead_actions(guardrails, controller_from_settings(settings), store)
        for each in work:
            if each["kind"] == "escalate":
                said.append(escalate_incident(store, each["incident_id"], each["run_id"], [], each["because"]))
            if each["kind"] == "remind":
                told = NewEntry(
                    EntryKind.DECIDED, ACTOR, each["because"], datetime.now(UTC), {"because": each["because"]}
                )
                said.append(store.append(each["incident_id"], told).text)
    return _logged(said)


def publish_reviews(work: list[dict[str, Any]]) -> list[str]:
    """Publish what was approved and whose own run died before it came to that; what was done, in sentences."""
    from include.incidents.factory import store_from_settings
    from include.review.reviews import Reviews
    from include.review.unfinished import publish_approved
    from include.settings import get_settings

    names = [each["review"] for each in work if each["kind"] == "publish"]
    if not names:
        return []
    settings = get_settings()
    with closing(store_from_settings(settings)) as store, closing(Reviews(settings)) as reviews:
        return _logged(publish_approved(reviews, store, names, datetime.now(UTC)))


def _logged(said: list[str]) -> list[str]:
    for sentence in said:
        log.warning("%s", sentence)
    return said
