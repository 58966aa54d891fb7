"""The one way in which every rung is run: precondition, guardrails, work, proof, and the way back."""

from __future__ import annotations

from include.playbook.ladder import RungId
from include.remediation.model import Approval, Finding, RungReport, RunRequest
from include.remediation.tools import Tools


class Remediation:
    """Runs rungs. Calls block."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    def run(self, request: RunRequest, rung_id: RungId, approval: Approval | None = None) -> RungReport:
        """Run one rung of the ladder, if it is needed and may be run."""
        raise NotImplementedError

    def preview(self, request: RunRequest) -> tuple[RungReport, ...]:
        """What each rung of the ladder would do now, or why it would not; changes nothing."""
        raise NotImplementedError

    def asks(self, request: RunRequest, rung_id: RungId) -> Finding:
        """``NEEDED``: a person's yes is needed now, and the text is the Markdown body of the form that asks for it.
        Anything else says why nobody need be asked.
        """
        raise NotImplementedError
