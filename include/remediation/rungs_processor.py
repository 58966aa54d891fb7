"""Rungs of the stream processor: restart it, validate what it works with (its data and checkpoint have their own)."""

from __future__ import annotations

from collections.abc import Callable

from include.health.observations import ClusterFacts, Code, Observation, Outcome, Probe, ProcessorFacts, SchemaFacts
from include.playbook.ladder import RungId
from include.playbook.names import ScenarioId
from include.playbook.thresholds import StreamProcessorThresholds
from include.remediation.circumstances import full_disk, port_conflict
from include.remediation.model import Finding, Need, Proof, RungWork, RunRequest
from include.remediation.processor_view import ProcessorView, facts_of_failure, kafka_refuses, mysql_refuses
from include.remediation.rungs_common import RestartService, Validation, blind_finding, facts_of
from include.remediation.rungs_kafka_clients import PROCESSOR as GOES_ON
from include.remediation.rungs_kafka_clients import after_kafka
from include.remediation.rungs_processor_data import DeadLetterPoison, RebuildFromKafka
from include.remediation.tools import Tools
from include.remediation.waiting import until
from include.runtime.processor_notes import LastFailure
from include.services.names import PROCESSOR

PORTS = ("processor_health_port",)

_ANSWER_SECONDS = 8.0  # from the start of the process to its first answer, on a busy machine
_CONFIRM_SECONDS = 0.5  # a second look at one that did not answer the first
_START_SECONDS = 60.0  # from the start to the first batch
_RETRY_SECONDS = 5.0  # between two tries of the job itself: it gets one, after what it waits for is back
_SLOWER = 0.5  # share of its own past rows per second
_FEWEST_BATCHES, _FEWEST_ROWS = 20, 200  # before its past says anything
_MYSQL_SHARE = 0.5
_RUNNING, _STARTING, _RETRYING = "running", "starting", ("retrying_mysql", "restarting_query")


class RestartProcessor(RestartService):
    """Gone, silent, a batch that hangs, nothing counted although records wait; or, when records wait for it, slower
    than its own past. What Kafka or MySQL refuse, and what fails at its data or its checkpoint, no restart mends.
    """

    service = PROCESSOR
    stop_seconds = 3.0  # nothing of a batch that is cut short is lost, and it is counted again
    start_seconds = 15.0

    def __init__(self, tools: Tools, request: RunRequest) -> None:
        super().__init__(tools, request)
        self._view = ProcessorView(tools)
        scenario = tools.scenario(ScenarioId.STREAM_PROCESSOR_FAILURE)
        self._thresholds = scenario.thresholds_as(StreamProcessorThresholds)

    def answers(self) -> Finding:
        """See :class:`RestartService`."""
        if self.is_suspended():
            return Finding(Need.NEEDED, "The job's process is suspended and does not answer.")
        patience = max(_CONFIRM_SECONDS, self.seconds_left_to_start(_ANSWER_SECONDS))
        seen = until(self.tools.clock, patience, self._look, lambda each: each.outcome is not Outcome.FAILED)
        if seen.outcome is Outcome.FAILED:
            return Finding(Need.NEEDED, f"The job lives and does not answer: {seen.error}.", facts_of(seen))
        if not isinstance(seen.facts, ProcessorFacts):
            return blind_finding(seen, "The stream processor")
        return self._judge(seen.facts)

    def obstacle(self) -> Finding | None:
        """What a restart would run into again."""
        if self.pid() is None:
            if conflict := port_conflict(self.tools.settings, PROCESSOR, PORTS):
                return conflict
            if full := full_disk(PROCESSOR, self.tools.settings.checkpoint_dir):
                return full
        failure = self._view.notes.failure()
        if failure is not None and (found := in_vain(failure)):
            return found
        return mysql_refuses(self.tools) or kafka_refuses(self.tools)

    def proof(self) -> Proof:
        """A batch ended after the start."""
        return self._view.has_ended_a_batch()

    # --- parts ---------------------------------------------------------------------------------------------------
    def _look(self) -> Observation:
        return self.tools.look(Probe.PROCESSOR)

    def _interval(self) -> float:
        return self._view.in_force("micro_batch_seconds") or self.tools.settings.micro_batch_seconds

    def _judge(self, facts: ProcessorFacts) -> Finding:
        if facts.status in _RETRYING:
            facts = self._let_it_try(facts)
            if facts.status in _RETRYING:
                return Finding(Need.NEEDED, f"The job is {facts.status}, and gets no further: {facts.last_error}")
        if facts.status == _STARTING and facts.age_seconds < _START_SECONDS:
            return Finding(Need.NOT_NEEDED, f"The job is starting, for {facts.age_seconds:.0f} s so far.")
        if facts.status not in (_RUNNING, _STARTING):
            return Finding(Need.NEEDED, f"The job is {facts.status}: {facts.last_error or 'no error told'}")
        return self._hangs(facts) or self._stands_still(facts) or self._slower(facts) or _well(facts)

    def _let_it_try(self, facts: ProcessorFacts) -> ProcessorFacts:
        """If what it waits for is back, it goes on by itself within seconds."""
        if mysql_refuses(self.tools) or kafka_refuses(self.tools):
            return facts
        seen = until(
            self.tools.clock,
            _RETRY_SECONDS,
            self._view.facts,
            lambda each: each is None or each.status not in _RETRYING,
        )
        return facts if seen is None else seen

    def _hangs(self, facts: ProcessorFacts) -> Finding | None:
        limit = max(self._thresholds.hung_batch_seconds, 3 * self._interval())
        if not facts.batch_running or facts.batch_age_seconds <= limit:
            return None
        phase = facts.batch_phase or "planning"
        text = f"The running batch is {facts.batch_age_seconds:.0f} s old (phase {phase}); it may take {limit:.0f} s."
        return Finding(Need.NEEDED, text, {"batch_age_seconds": facts.batch_age_seconds, "phase": phase})

    def _stands_still(self, facts: ProcessorFacts) -> Finding | None:
        limit = max(self._thresholds.no_progress_seconds, 4 * self._interval())
        last = facts.last_batch
        still = facts.age_seconds if last is None else last.committed_age_seconds
        if facts.batch_running or still < (limit if last is not None else _START_SECONDS):
            return None
        unread = self._view.unread(facts)
        if not unread:
            return None
        text = f"{unread} records wait, and no batch has ended for {still:.0f} s."
        return Finding(Need.NEEDED, text, {"unread": unread, "still_seconds": round(still, 1)})

    def _slower(self, facts: ProcessorFacts) -> Finding | None:
        """Only when records wait: a job without a backlog has small batches, whose rate says nothing."""
        if self.request.scenario is not ScenarioId.KAFKA_LAG:
            return None
        pace = self._view.document().get("pace")
        if not pace or not self._view.unread(facts):
            return None
        recent, before = pace["recent"], pace["before"]
        enough = before["batches"] >= _FEWEST_BATCHES and before["rows"] >= _FEWEST_ROWS and recent["batches"]
        now, usual = _rows_per_second(recent), _rows_per_second(before)
        if not enough or now >= _SLOWER * usual:
            return None
        seconds = recent["seconds"]
        figures = {"rows_per_second": round(now, 1), "usual_rows_per_second": round(usual, 1), "seconds": seconds}
        text = f"Batches count {now:.0f} records a second of their time, {usual:.0f} before"
        if seconds.get("mysql", 0.0) > _MYSQL_SHARE * seconds.get("total", 0.0):
            return Finding(Need.NOT_NEEDED, f"{text}; most of the time is MySQL's, which no restart helps.", figures)
        return Finding(Need.NEEDED, f"{text}: it is slower than its own past.", figures)


class ValidateKafka(Validation):
    """A record is written and read back, and the topics are compared with what they must be."""

    def need(self) -> Finding:
        """See :class:`Validation`."""
        for probe, what in ((Probe.KAFKA_CANARY, "The broker"), (Probe.KAFKA_METADATA, "The topics")):
            seen = self.tools.look(probe)
            if seen.outcome is Outcome.BLIND:
                return blind_finding(seen, what)
            if seen.outcome is Outcome.FAILED:
                text = (
                    f"Kafka fails ({seen.error}): the page for it is kafka_down. On the job there is nothing to mend."
                )
                return Finding(Need.FORBIDDEN, text, facts_of(seen))
            if isinstance(seen.facts, ClusterFacts) and (problems := seen.facts.topic_problems):
                words = "; ".join(f"{name} {problem}" for name, problem in sorted(problems.items()))
                text = f"{words}: the page for it is kafka_down, with the rung validate_topics."
                return Finding(Need.FORBIDDEN, text, {**facts_of(seen), "problems": dict(problems)})
        return Finding(Need.NOT_NEEDED, "Kafka is well: a record was written and read back, and the topics are right.")


class ValidateMysql(Validation):
    """A row is written with the pipeline's own account, and the tables are compared with the migrations."""

    def need(self) -> Finding:
        """See :class:`Validation`."""
        for probe, what in ((Probe.MYSQL_CANARY, "The database"), (Probe.MYSQL_SCHEMA, "The tables")):
            seen = self.tools.look(probe)
            if seen.outcome is Outcome.BLIND and seen.code is not Code.NOT_AVAILABLE:
                return blind_finding(seen, what)
            if seen.outcome is not Outcome.OK:
                number = f"error {seen.number}: " if seen.number is not None else ""
                text = f"MySQL refuses ({number}{seen.error}): the page for it is mysql_not_writing."
                return Finding(Need.FORBIDDEN, f"{text} On the job there is nothing to mend.", facts_of(seen))
            if isinstance(seen.facts, SchemaFacts) and (problems := seen.facts.problems):
                text = f"{'; '.join(problems)}: the page for it is mysql_not_writing, with the rung validate_schema."
                return Finding(Need.FORBIDDEN, text, {**facts_of(seen), "problems": list(problems)})
        text = "MySQL is well: the account writes a row, and the tables are what the migrations made."
        return Finding(Need.NOT_NEEDED, text)


def in_vain(failure: LastFailure) -> Finding | None:
    """``FORBIDDEN`` if the job gave up for a reason that it meets again after every start."""
    facts = facts_of_failure(failure)
    if failure.kind == Code.CHECKPOINT:
        text = f"The job cannot go on from its checkpoint, and a restart changes nothing: {failure.message}"
        return Finding(Need.FORBIDDEN, f"{text} The rung rebuild_from_kafka is made for this.", facts)
    if failure.kind == Code.DATA and (failure.culprits or failure.more_culprits or failure.times > 1):
        text = f"The job fails at its data whenever it is started: {failure.message}"
        return Finding(Need.FORBIDDEN, f"{text} The rung dead_letter_poison_rows is made for this.", facts)
    return None


def _well(facts: ProcessorFacts) -> Finding:
    if facts.last_batch is None:
        return Finding(Need.NOT_NEEDED, "The query runs; no record has come since the start.")
    age = facts.last_batch.committed_age_seconds
    text = f"The query runs; batch {facts.last_batch.id} was committed {age:.0f} s ago."
    return Finding(Need.NOT_NEEDED, text, {"batch": facts.last_batch.id, "committed_age_seconds": round(age, 1)})


def _rows_per_second(pace: dict[str, float | dict[str, float]]) -> float:
    seconds, rows = pace["seconds"], pace["rows"]
    total = seconds.get("total", 0.0) if isinstance(seconds, dict) else 0.0
    return float(rows) / total if total > 0 and not isinstance(rows, dict) else 0.0


PROCESSOR_RUNGS: dict[RungId, Callable[[Tools, RunRequest], RungWork]] = {
    RungId.RESTART_PROCESSOR: after_kafka(RestartProcessor, GOES_ON),
    RungId.VALIDATE_KAFKA: ValidateKafka,
    RungId.VALIDATE_MYSQL: ValidateMysql,
    RungId.DEAD_LETTER_POISON: DeadLetterPoison,
    RungId.REBUILD_FROM_KAFKA: RebuildFromKafka,
}
