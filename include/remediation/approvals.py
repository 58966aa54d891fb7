"""Whether a person must agree, whether they did, and what they are shown when they are asked."""

from __future__ import annotations

from include.playbook.ladder import Risk, Rung
from include.remediation.model import Approval, Finding, RunRequest


def must_be_asked(rung: Rung, request: RunRequest) -> bool:
    """Risky: unless the person who triggered it takes that on themselves. Destructive: always."""
    if rung.risk is Risk.RISKY:
        return request.ask or not request.by_person
    return rung.risk is Risk.DESTRUCTIVE


def why_not_approved(rung: Rung, request: RunRequest, approval: Approval | None) -> str | None:
    """In words for the report; ``None`` if it may be done."""
    if not must_be_asked(rung, request):
        return None
    if approval is None:
        return f"A person must agree to this ({rung.risk}), and nobody was asked. It was not done."
    if not approval.by:
        return "Nobody answered in time, and no answer is a no. It was not done."
    comment = f' They said: "{approval.comment}".' if approval.comment else ""
    if not approval.approved:
        return f"{approval.by} did not agree. It was not done.{comment}"
    if rung.risk is Risk.DESTRUCTIVE and approval.by == request.requested_by:
        return (
            f"{approval.by} asked for this and agreed to it alone. Something this drastic needs the yes of a second"
            " person. It was not done."
        )
    return None


def form_body(rung: Rung, request: RunRequest, finding: Finding) -> str:
    """Markdown: what would be done, why, what is kept, how it is undone, and the figures that were seen."""
    second = "\n\n**A second person must agree**: not the one who asked for it." if _second(rung) else ""
    reason = f" Reason given: {request.reason}" if request.reason else ""
    return (
        f"### {rung.action}\n\n"
        f"**What will be done:** {rung.runs}\n\n"
        f"**Why:** {finding.text}\n\n"
        f"**Needed when:** {rung.needed_when}\n\n"
        f"**How it is proved:** {rung.verified_by}\n\n"
        f"**How it is undone:** {rung.rollback or 'It changes nothing that would have to be undone.'}\n\n"
        f"**By hand:** {rung.by_hand}\n\n"
        f"Incident {request.incident_id}, asked for by {request.requested_by}.{reason}{second}"
        f"{_figures(finding)}\n\n"
        "No answer is a no."
    )


def _second(rung: Rung) -> bool:
    return rung.risk is Risk.DESTRUCTIVE


def _figures(finding: Finding) -> str:
    if not finding.facts:
        return ""
    rows = "\n".join(f"| {_cell(key.replace('_', ' '))} | {_cell(value)} |" for key, value in finding.facts.items())
    return f"\n\n| seen now | |\n|---|---|\n{rows}"


def _cell(value: object) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return " ".join(text.split()).replace("|", "\\|")
