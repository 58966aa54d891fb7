"""Rungs of Kafka: restart the broker, and validate the topics (for its damaged log see ``rungs_kafka_log``)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from include.health.observations import ClusterFacts, Code, Observation, Outcome, Probe
from include.playbook.ladder import RungId
from include.remediation.circumstances import folder_of_server, full_disk, port_conflict
from include.remediation.deadline import Call
from include.remediation.errors import RungError
from include.remediation.model import Finding, Need, Proof, RungWork, RunRequest, Work
from include.remediation.rungs_common import (
    OnlyWhenNeeded,
    RestartService,
    blind_finding,
    facts_of,
    proof_of,
)
from include.remediation.rungs_kafka_log import PORTS, READY, MoveKafkaLogAside, damaged_elsewhere
from include.remediation.service_log import LastRun, last_run
from include.remediation.tools import Tools
from include.remediation.waiting import until
from include.services.names import KAFKA
from include.stack.kafka import broker_data

_SILENT = frozenset({Code.TIMEOUT, Code.REFUSED, Code.TRANSPORT, Code.CONNECTIVITY, Code.SERVER_ERROR})
_STARTING_SECONDS = 12.0  # ready in 2.5 s, after SIGKILL in 4 to 7 s
_TOPICS_SECONDS = 8.0  # leaders are elected within this time after a start
_LOOK_SECONDS = 5.0
_CONTRADICTION_SECONDS = 5.0  # metadata are told and test messages do not go round: that may pass


class RestartKafka(RestartService):
    """Gone, or it answers neither a test message nor a metadata request."""

    service = KAFKA
    start_seconds = 15.0

    def answers(self) -> Finding:
        """See :class:`RestartService`."""
        canary, metadata = self._look_twice()
        if canary.outcome is Outcome.BLIND:
            return blind_finding(canary, "The broker")
        if canary.outcome is Outcome.OK:
            return Finding(Need.NOT_NEEDED, "A test message goes through the broker and back.", facts_of(canary))
        if canary.code is Code.STORAGE:
            return self._storage(canary)
        if canary.code not in _SILENT:
            text = f"The broker answers, and refuses a test message: {canary.error}. A restart changes nothing."
            return Finding(Need.NOT_NEEDED, text, facts_of(canary))
        if metadata.outcome is Outcome.OK:
            text = (
                f"The broker tells its metadata, but test messages do not go round ({canary.error}): a part of it is"
                " out of order. A restart would take down what still works."
            )
            return Finding(Need.BY_PEOPLE, text, facts_of(canary))
        text = f"The broker lives and does not answer: {canary.error}; metadata: {metadata.error}."
        return Finding(Need.NEEDED, text, facts_of(canary))

    def obstacle(self) -> Finding | None:
        """A port that somebody else has, a full disk, or a log that it does not start with."""
        if self.pid() is not None:
            return None
        if conflict := port_conflict(self.tools.settings, KAFKA, PORTS):
            return conflict
        folder, run = self._folder(), last_run(self.tools.controller, KAFKA, READY)
        return full_disk(KAFKA, folder, run.no_space) or _does_not_start(run, folder)

    def proof(self) -> Proof:
        """A test message goes round; a topic that is missing is the next rung's work."""
        if (ended := self.ended_again(READY)) is not None:
            return ended
        tcp = self.tools.look(Probe.KAFKA_TCP)  # costs next to nothing, so the moment it listens is not missed
        if tcp.outcome is Outcome.FAILED:
            return proof_of(tcp, "", "Nobody listens on the broker's port yet")
        canary = self.tools.look(Probe.KAFKA_CANARY)
        if canary.outcome is Outcome.FAILED and canary.code is Code.TOPIC_MISSING:
            return Proof(True, "The broker answers; the topic of test messages is missing.", facts_of(canary))
        return proof_of(canary, "A test message goes through it and back.", "Test messages do not go round")

    def _look_twice(self) -> tuple[Observation, Observation]:
        """Two independent ways, side by side; a process that is just starting gets its time."""
        if self.is_suspended():
            frozen = Observation(probe=Probe.KAFKA_CANARY, outcome=Outcome.FAILED, code=Code.TIMEOUT, error="suspended")
            return frozen, frozen

        def both() -> tuple[Observation, Observation]:
            metadata = Call(lambda: self.tools.look(Probe.KAFKA_METADATA), "look-metadata")
            canary = self.tools.look(Probe.KAFKA_CANARY)
            return (canary, canary) if _speaks(canary) else (canary, metadata.result(_LOOK_SECONDS))

        def enough(looks: tuple[Observation, Observation]) -> bool:
            canary, metadata = looks
            contradict = metadata.outcome is Outcome.OK
            return _speaks(canary) or not (contradict or self.seconds_left_to_start(_STARTING_SECONDS))

        patience = max(_CONTRADICTION_SECONDS, self.seconds_left_to_start(_STARTING_SECONDS))
        return until(self.tools.clock, patience, both, enough)

    def _folder(self) -> Path | None:
        return folder_of_server(self.tools.settings, broker_data(self.tools.settings))

    def _storage(self, canary: Observation) -> Finding:
        """Its own word is that it cannot write its log."""
        folder = self._folder()
        run = last_run(self.tools.controller, KAFKA, READY)
        if full := full_disk(KAFKA, folder, run.no_space):
            return full
        text = f"The broker cannot write its log although the disk has room ({canary.error}): a start checks the log."
        return Finding(Need.NEEDED, text, facts_of(canary))


class ValidateTopics(OnlyWhenNeeded):
    """All topics are there, with their partitions and leaders. What is missing is made; the rest is for people."""

    def __init__(self, tools: Tools, request: RunRequest) -> None:
        self.tools, self.request = tools, request

    def need(self) -> Finding:
        """See :class:`include.remediation.model.RungWork`."""
        seen = until(self.tools.clock, _TOPICS_SECONDS, self._look, _decided)
        if seen.outcome is Outcome.BLIND:
            return blind_finding(seen, "The topics")
        if not isinstance(seen.facts, ClusterFacts):
            text = f"The broker does not tell its topics: {seen.error}. They can be validated when it answers."
            return Finding(Need.UNKNOWN, text, facts_of(seen))
        problems = seen.facts.topic_problems
        facts = {"problems": dict(problems), "brokers": seen.facts.brokers}
        if not problems:
            return Finding(Need.NOT_NEEDED, "All topics are there, with their partitions and leaders.", facts)
        words = "; ".join(f"{name} {problem}" for name, problem in sorted(problems.items()))
        missing = sorted(name for name, problem in problems.items() if problem == "is missing")
        if not missing:
            return Finding(Need.BY_PEOPLE, f"{words}. What is there is not changed: it holds records.", facts)
        return Finding(Need.NEEDED, f"{words}. What is missing is made anew, and empty.", facts)

    def services(self) -> tuple[str, ...]:
        """None."""
        return ()

    def do(self) -> Work:
        """Make what is missing."""
        from confluent_kafka import KafkaException

        from include.broker.topics import TRADES, ensure_topics, expected_topics

        settings = self.tools.settings
        try:
            made = ensure_topics(settings.bootstrap_servers, expected_topics(settings))
        except KafkaException as error:
            raise RungError(f"The broker refuses to make the topics: {error.args[0].str()}") from error
        if not made:
            return Work("No topic was missing any more.")
        lost = f" Records that {TRADES} held are not in it; repair brings them back." if TRADES in made else ""
        return Work(f"Made: {', '.join(made)}.{lost}", {"made": made})

    def proof(self) -> Proof:
        """Nothing differs from what is expected."""
        seen = self._look()
        if isinstance(seen.facts, ClusterFacts) and seen.facts.topic_problems:
            words = "; ".join(f"{name} {problem}" for name, problem in sorted(seen.facts.topic_problems.items()))
            return Proof(False, words, {"problems": dict(seen.facts.topic_problems)})
        return proof_of(seen, "All topics are there, with their partitions and leaders.", "The topics cannot be seen")

    def roll_back(self) -> Work | None:
        """An empty topic does no harm."""
        return None

    def _look(self) -> Observation:
        return self.tools.look(Probe.KAFKA_METADATA)


def _speaks(canary: Observation) -> bool:
    """The broker takes the test message, or refuses it with a reason; or the probe itself is blind."""
    return canary.outcome is not Outcome.FAILED or canary.code not in _SILENT


def _decided(seen: Observation) -> bool:
    """Nothing is wrong, or what is wrong does not pass: shortly after a start partitions have no leader yet."""
    if not isinstance(seen.facts, ClusterFacts):
        return False
    problems = seen.facts.topic_problems.values()
    return all(problem == "is missing" or "partitions, expected" in problem for problem in problems)


def _does_not_start(run: LastRun, folder: Path | None) -> Finding | None:
    line = run.damage(None if folder is None else str(folder))
    if line is None:
        return None
    if folder is None:
        return damaged_elsewhere(line)
    text = (
        f"The broker did not come up with the data in its log folder: {line} Starting it again would end the same"
        " way. The rung that moves the folder aside is made for this."
    )
    return Finding(Need.FORBIDDEN, text, {"line": line, "folder": str(folder)})


KAFKA_RUNGS: dict[RungId, Callable[[Tools, RunRequest], RungWork]] = {
    RungId.RESTART_KAFKA: RestartKafka,
    RungId.MOVE_KAFKA_LOG_ASIDE: MoveKafkaLogAside,
    RungId.VALIDATE_TOPICS: ValidateTopics,
}
