"""What the reconciler's tasks do."""

from __future__ import annotations

import logging
from contextlib import closing
from typing import Any

log = logging.getLogger(__name__)


def settle_and_escalate(work: list[dict[str, Any]]) -> list[str]:
    """Settle dead actions, and hand to people what no run could mend; what was done, in sentences."""
    from include.guardrails.factory import guardrails_from_settings
    from include.incidents.factory import store_from_settings
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
    for sentence in said:
        log.warning("%s", sentence)
    return said
