"""The one way in which every rung is run: precondition, guardrails, work, proof, and the way back."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from typing import Any

from include.guardrails.holders import this_process
from include.incidents.errors import InvalidEntryError
from include.incidents.model import EntryKind, NewEntry
from include.incidents.store import IncidentStore
from include.playbook.ladder import Risk, RungId
from include.remediation.approvals import form_body, must_be_asked, why_not_approved
from include.remediation.assessment import Due, Over, assess, rung_of
from include.remediation.execution import Execution, action_request
from include.remediation.incident_moves import ACTOR
from include.remediation.model import Approval, Finding, Need, RungOutcome, RungReport, RunRequest
from include.remediation.tools import Tools

_SILENT = frozenset({RungOutcome.NOT_CHOSEN, RungOutcome.WOULD_DO, RungOutcome.REFUSED})  # or told by the guardrails
_MARKS = {RungOutcome.NOT_APPROVED: EntryKind.ACTION_REFUSED}


class Remediation:
    """Runs rungs. Calls block; each ends within the deadlines of the rung.

    Every method raises :class:`~include.remediation.errors.RungError` for a rung that the scenario does not have, and
    the errors of the incident store, in which case nothing was done. ``close`` it at the end.
    """

    def __init__(self, tools: Tools, owned: ExitStack | None = None) -> None:
        self._tools, self._owned = tools, owned or ExitStack()

    def run(self, request: RunRequest, rung_id: RungId, approval: Approval | None = None) -> RungReport:
        """Run one rung of the ladder, if it is needed and may be run.

        Whatever comes of it is in the incident's timeline, but for a dry run, which changes nothing, and for rungs
        that were not chosen. Repeating it after a crash at any line is safe.
        """
        found = assess(self._tools, request, rung_id)
        if isinstance(found, Over):
            return self._told(request, found.report, request.dry_run)
        if request.dry_run:
            return self._rehearsed(request, found)
        if (why := why_not_approved(found.rung, request, approval)) is not None:
            facts = {**found.finding.facts, **_answer(approval)}
            return self._told(request, RungReport(rung_id, RungOutcome.NOT_APPROVED, why, facts=facts), False)
        if approval is not None and must_be_asked(found.rung, request):
            comment = f': "{approval.comment}"' if approval.comment else "."
            self._note(request, EntryKind.DECIDED, f"{approval.by} agreed to {rung_id}{comment}", _answer(approval))
        return Execution(self._tools, request, found.rung, found.work).run(found.finding.text)

    def preview(self, request: RunRequest) -> tuple[RungReport, ...]:
        """What each rung of the ladder would do now, or why it would not; changes nothing."""
        ladder = self._tools.scenario(request.scenario).ladder
        return tuple(self._previewed(request, rung.id) for rung in ladder)

    def asks(self, request: RunRequest, rung_id: RungId) -> Finding:
        """``NEEDED``: a person's yes is needed now, and the text is the Markdown body of the form that asks for it;
        the fact ``destructive`` says that it must be another person than the one who asked for the run. Anything else
        says why nobody need be asked. Changes nothing.
        """
        rung = rung_of(self._tools, request, rung_id)
        if request.dry_run:
            return Finding(Need.NOT_NEEDED, "A dry run changes nothing, so nobody is asked.")
        if not must_be_asked(rung, request):
            return Finding(Need.NOT_NEEDED, f"{rung.action}: nobody need agree ({rung.risk}).")
        found = assess(self._tools, request, rung_id)
        if isinstance(found, Over):
            return found.finding
        facts = {**found.finding.facts, "destructive": rung.risk is Risk.DESTRUCTIVE}
        return Finding(Need.NEEDED, form_body(rung, request, found.finding), facts)

    def asked(self, request: RunRequest, rung_id: RungId) -> None:
        """Have it in the timeline that a person is being asked."""
        rung = rung_of(self._tools, request, rung_id)
        text = f"A person is asked whether to {rung.action}; until the answer this rung waits."
        self._note(request, EntryKind.DECIDED, text, {"rung": rung_id.value, "risk": rung.risk.value})

    def close(self) -> None:
        """Give back connections."""
        self._owned.close()

    @property
    def store(self) -> IncidentStore:
        """Its incidents, for whoever asks it."""
        return self._tools.store

    # --- parts ---------------------------------------------------------------------------------------------------
    def _previewed(self, request: RunRequest, rung_id: RungId) -> RungReport:
        found = assess(self._tools, request, rung_id)
        return found.report if isinstance(found, Over) else self._rehearsed(request, found)

    def _rehearsed(self, request: RunRequest, found: Due) -> RungReport:
        """What would come of a rung that is to be done."""
        rung = found.rung
        wanted = action_request(rung, found.work, request)
        refused = self._tools.guardrails.check(wanted) if request.incident_id else None
        if refused is not None:
            return RungReport(rung.id, RungOutcome.REFUSED, refused.text, facts={"refusal": refused.refusal.value})
        asking = " A person would be asked first." if must_be_asked(rung, request) else ""
        text = f"{found.finding.text} Would be done: {rung.runs}.{asking}".replace("..", ".")
        return RungReport(rung.id, RungOutcome.WOULD_DO, text, facts=found.finding.facts)

    def _told(self, request: RunRequest, report: RungReport, silent: bool) -> RungReport:
        """The report, which is also a line of the timeline."""
        if not silent and report.outcome not in _SILENT:
            kind = _MARKS.get(report.outcome, EntryKind.DECIDED)
            words = report.outcome.replace("_", " ")
            data = {"rung": report.rung.value, "outcome": report.outcome.value, "facts": report.facts}
            self._note(request, kind, f"{report.rung}: {words}. {report.text}", data)
        return report

    def _note(self, request: RunRequest, kind: EntryKind, text: str, data: dict[str, Any]) -> None:
        common = {"run": request.run, "requested_by": request.requested_by, "holder": this_process()}
        entry = NewEntry(kind, ACTOR, text, self._tools.now(), {**common, **data})
        try:
            self._tools.store.append(request.incident_id, entry)
        except InvalidEntryError:  # a fact that the timeline does not take: the sentence stays
            with suppress(InvalidEntryError):
                bare = NewEntry(kind, ACTOR, text, entry.event_at, common)
                self._tools.store.append(request.incident_id, bare)


def _answer(approval: Approval | None) -> dict[str, Any]:
    if approval is None:
        return {}
    at = approval.at.isoformat() if approval.at is not None else None
    return {"approved": approval.approved, "answered_by": approval.by, "answered_at": at, "comment": approval.comment}
