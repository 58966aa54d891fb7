"""Rung for rows that went missing without any error: the repair, for the time in which they were found missing."""

from __future__ import annotations

from datetime import timedelta

from include.health.observations import AuditFacts, Probe
from include.playbook.names import Cause
from include.remediation.diagnosis import current_cause
from include.remediation.errors import RungError
from include.remediation.model import Finding, Need, Proof, RunRequest, Work
from include.remediation.rungs_common import OnlyWhenNeeded, blind_finding, facts_of
from include.remediation.tools import Tools
from include.runtime.logging import get_logger

# The watch compares windows each minute and wants three good looks in a row; then symptoms have a minute to clear.
_BELIEVED = timedelta(seconds=250)
_NAMED = 5

_log = get_logger("remediation.repair")


class RepairWindows(OnlyWhenNeeded):
    """Only for a silent loss that was diagnosed. What another fault has kept from being written is repaired when the
    incident is over: while it lasts, the stream itself may still bring it.
    """

    def __init__(self, tools: Tools, request: RunRequest) -> None:
        self.tools, self.request = tools, request

    def need(self) -> Finding:
        """See :class:`include.remediation.model.RungWork`."""
        cause = current_cause(self.tools, self.request)
        if cause is not Cause.SILENT_LOSS:
            words = "not known yet" if cause is Cause.UNKNOWN else cause.value.replace("_", " ")
            text = f"No rows went missing silently: the cause is {words}. The data are repaired after the recovery."
            return Finding(Need.NOT_NEEDED, text, {"cause": cause.value})
        seen = self.tools.look(Probe.MYSQL_AUDIT)
        if not isinstance(seen.facts, AuditFacts):
            return blind_finding(seen, "The tables")
        facts = {**facts_of(seen), "missing": list(seen.facts.missing)}
        if not seen.facts.missing:  # it looks at the newest windows only; the watch also at those it found wrong
            text = "Rows that were counted were not there; the newest windows are right, so older ones are compared."
            return Finding(Need.NEEDED, text, facts)
        return Finding(Need.NEEDED, f"Rows that were counted are not there: {_named(seen.facts.missing)}.", facts)

    def services(self) -> tuple[str, ...]:
        """None: the repair goes on beside the stream."""
        return ()

    def do(self) -> Work:
        """The repair of the whole time that the audit looks at; its proof is the exchange's ledger."""
        from include.health.probes.mysql_audit import SAMPLE_MINUTES
        from include.repair.errors import RepairError
        from include.repair.repair import Repair
        from include.repair.span import span_of
        from include.repair.words import report_text

        settings, incident = self.tools.settings, self.tools.store.incident(self.request.incident_id)
        start = incident.onset_at - 2 * timedelta(minutes=SAMPLE_MINUTES)  # ids are compared for twice as long
        try:
            report = Repair(settings, clock=self.tools.clock).run(
                span_of(start, self.tools.now(), settings.symbols, settings),
                by=self.request.requested_by,
                incident_id=incident.id,
                progress=_log.info,
            )
        except RepairError as error:
            raise RungError(str(error)) from error
        if not report.whole:
            raise RungError(f"The tables do not equal the exchange's ledger. {report_text(report)}")
        facts = {"rows_compared": report.after.windows, "windows_recomputed": report.recomputed_windows}
        facts["trades_published"] = report.published
        return Work(report_text(report), {**facts, "until": (self.tools.now() + _BELIEVED).isoformat()})

    def proof(self) -> Proof:
        """What the watch will see."""
        seen = self.tools.look(Probe.MYSQL_AUDIT)
        if not isinstance(seen.facts, AuditFacts):
            return Proof(False, f"The tables cannot be checked: {seen.error}.", facts_of(seen))
        if seen.facts.missing:
            return Proof(False, f"Rows are still not there: {_named(seen.facts.missing)}.", facts_of(seen))
        return Proof(True, f"{seen.facts.checked} windows agree with what was counted.", facts_of(seen))

    def roll_back(self) -> Work | None:
        """Rows are written as whole, absolute values: there is nothing to undo."""
        return None


def _named(windows: tuple[str, ...]) -> str:
    more = len(windows) - _NAMED
    return "; ".join(windows[:_NAMED]) + (f"; and {more} more" if more > 0 else "")
