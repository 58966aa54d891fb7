"""Rungs for a job that meets the same trouble after every start: rows at fault, or a checkpoint it cannot use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from include.health.observations import AuditFacts, Code, Probe, SchemaFacts
from include.health.probes.base import one_line
from include.remediation.aside import move_aside, move_back
from include.remediation.errors import RungError
from include.remediation.model import Finding, Need, Proof, RunRequest, Work
from include.remediation.processor_view import ProcessorView, facts_of_failure, kafka_refuses, mysql_refuses
from include.remediation.rungs_common import RestartService
from include.remediation.tools import Tools
from include.runtime.processor_notes import IsolationOrder, LastFailure
from include.services.controller import ServiceStatus
from include.services.errors import HostUnreachableError, ServicesError, UnknownServiceError
from include.services.names import PROCESSOR

_ORDER_SECONDS = 900.0  # the job takes some 20 s to get at the batch; what comes so much later is another trouble


class _AfterGivingUp(RestartService):
    """Base: the job gave up with a failure of this ``kind`` and will do so again."""

    service = PROCESSOR
    stop_seconds = hung_stop_seconds = 3.0
    start_seconds = 15.0
    kind: Code

    def __init__(self, tools: Tools, request: RunRequest) -> None:
        super().__init__(tools, request)
        self.view = ProcessorView(tools)
        self.failure: LastFailure | None = None

    def need(self) -> Finding:
        """See :class:`include.remediation.model.RungWork`."""
        try:
            status = self.tools.controller.status(self.service)
        except (HostUnreachableError, UnknownServiceError) as error:
            return Finding(Need.UNKNOWN, f"The process host does not tell about {self.service}: {one_line(error)}")
        self.failure = self.view.notes.failure()
        if self.failure is None or self.failure.kind != self.kind:
            why = (
                f"it last gave up for another reason: {self.failure.message}" if self.failure else "it has not given up"
            )
            return Finding(Need.NOT_NEEDED, f"This is for {self.trouble}; {why}.")
        return self._held(status) or self.judge(self.failure)

    trouble: str

    def judge(self, failure: LastFailure) -> Finding:
        """The need, of a job that gave up for this reason."""
        raise NotImplementedError

    def answers(self) -> Finding:
        """A process that is just on its way to the same failure."""
        return Finding(Need.NEEDED, "The job is on its way to the same failure.")

    def _held(self, status: ServiceStatus) -> Finding | None:
        found = self._of_process(status)
        return found if found.need is not Need.NEEDED else None


class DeadLetterPoison(_AfterGivingUp):
    """The job is told, once, to put the rows at fault into the dead letters and to count the rest."""

    kind = Code.DATA
    trouble = "a batch that fails at its data"

    def judge(self, failure: LastFailure) -> Finding:
        """See :class:`_AfterGivingUp`."""
        facts = facts_of_failure(failure)
        if failure.more_culprits:
            text = (
                f"So many rows are refused that it is no matter of single ones: {failure.message} The tables, or the"
                " form of the records, have changed. Compare the newest migration and who changed the tables."
            )
            return Finding(Need.BY_PEOPLE, text, facts)
        if not failure.culprits:
            text = f"No single row is at fault, so setting rows aside would not help: {failure.message}"
            return Finding(Need.FORBIDDEN, text, facts)
        if (
            trouble := self._changed_tables(facts) or mysql_refuses(self.tools) or kafka_refuses(self.tools)
        ) is not None:
            return trouble
        count, first = len(failure.culprits), failure.culprits[0]
        rows = "row stops" if count == 1 else "rows stop"
        text = f"{count} {rows} batch {failure.batch_id} (failed {failure.times} times): {first.name}, {first.error}"
        return Finding(Need.NEEDED, text, facts)

    def _changed_tables(self, facts: dict[str, Any]) -> Finding | None:
        """Where the tables are not what the migrations made, the rows are sound and the tables are not."""
        seen = self.tools.look(Probe.MYSQL_SCHEMA).facts
        if not isinstance(seen, SchemaFacts) or not seen.problems:
            return None
        text = (
            f"The rows may be sound: {'; '.join(seen.problems)}. The page for it is mysql_not_writing, with the rung"
            " validate_schema. When the tables are right, the job goes on by itself."
        )
        return Finding(Need.FORBIDDEN, text, {**facts, "problems": list(seen.problems)})

    def do(self) -> Work:
        """Leave the order and have the job started, which reads it."""
        until_ms = self.tools.clock.time_ms() + round(_ORDER_SECONDS * 1000)
        order = IsolationOrder(self.request.requested_by, self.request.incident_id, until_ms)
        self.view.notes.give_order(order)
        done = super().do()
        return Work(f"The job was told to set aside the rows at fault of one batch. {done.text}", done.facts)

    def proof(self) -> Proof:
        """The batch is counted without them, and they are in the dead letters."""
        failure = self.view.notes.failure()
        if failure is not None:
            again = self.failure is not None and failure.at != self.failure.at
            text = f"It gave up again: {failure.message}" if again else "The batch is not counted yet."
            return Proof(False, text, final=again)
        ended = self.view.has_ended_a_batch()
        if not ended.good:
            return ended
        rows = self.failure.culprits if self.failure else ()
        aside = [each.name for each in rows if self.view.notes.set_aside().knows([each]) or each.symbol is None]
        text = f"Rows in crypto-trades-dlq: {', '.join(aside) or 'none, as the batch could be counted as a whole'}."
        return Proof(True, f"{ended.text} {text}", {**ended.facts, "set_aside": aside})

    def roll_back(self) -> Work | None:
        """What is in the dead letters stays there; an order that was not carried out is withdrawn."""
        if not self.view.notes.withdraw_order():
            return None
        return Work("The order was withdrawn before it was carried out.")


class RebuildFromKafka(_AfterGivingUp):
    """The checkpoint is moved aside; the job starts a new one from the ledger's offsets, or where these do not fit the
    topic from the oldest record. Trade ids that are counted are not counted again.
    """

    kind = Code.CHECKPOINT
    trouble = "a checkpoint that the job cannot use"

    def __init__(self, tools: Tools, request: RunRequest) -> None:
        super().__init__(tools, request)
        self._aside: Path | None = None

    def judge(self, failure: LastFailure) -> Finding:
        """See :class:`_AfterGivingUp`."""
        if (trouble := mysql_refuses(self.tools) or kafka_refuses(self.tools)) is not None:
            return trouble
        folder = self.tools.settings.checkpoint_dir
        facts = {**facts_of_failure(failure), "folder": str(folder)}
        text = f"The job cannot go on from its checkpoint (failed {failure.times} times): {failure.message}"
        return Finding(Need.NEEDED, text, facts)

    def do(self) -> Work:
        """Stop, rename, start."""
        folder = self.tools.settings.checkpoint_dir
        try:
            self._stop()
            self._aside = move_aside(folder, self.tools.now()) or self._aside
        except (ServicesError, OSError) as error:
            raise RungError(one_line(error)) from error
        done = super().do()
        kept = f"The checkpoint is kept as {self._aside.name}." if self._aside else "There was no checkpoint any more."
        return Work(f"{kept} {done.text}", {**done.facts, "aside": str(self._aside) if self._aside else None})

    def proof(self) -> Proof:
        """A batch of the new checkpoint is counted, and the tables agree with their sums."""
        failure = self.view.notes.failure()
        if failure is not None and self.failure is not None and failure.at != self.failure.at:
            return Proof(False, f"It gave up again: {failure.message}", final=True)
        ended = self.view.has_ended_a_batch()
        if not ended.good:
            return ended
        audit = self.tools.look(Probe.MYSQL_AUDIT)
        if not isinstance(audit.facts, AuditFacts):
            return Proof(False, f"{ended.text} The tables cannot be checked: {audit.error}.")
        if audit.facts.missing:
            return Proof(False, f"Windows that disagree: {', '.join(audit.facts.missing[:5])}.")
        facts = {**ended.facts, "windows_checked": audit.facts.checked}
        return Proof(True, f"{ended.text} {audit.facts.checked} windows agree with what was counted.", facts)

    def roll_back(self) -> Work | None:
        """The old folder gets its name back; what was made meanwhile is kept beside it."""
        if self._aside is None or not self._aside.exists():
            return None
        try:
            self._stop()
            unused = move_back(self._aside, self.tools.settings.checkpoint_dir, self.tools.now())
            self.tools.controller.start(self.service, self.start_seconds)
        except (ServicesError, OSError) as error:
            raise RungError(one_line(error)) from error
        facts = {"unused": str(unused) if unused else None}
        return Work("The old checkpoint has its name back, and the job was started.", facts)
