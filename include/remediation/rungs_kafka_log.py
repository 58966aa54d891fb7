"""A log folder that the broker does not start with is moved aside: kept whole, and put back if that does not help."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from include.health.observations import ClusterFacts, Observation, Outcome, Probe
from include.health.probes.base import one_line
from include.remediation.aside import ASIDE, move_aside
from include.remediation.circumstances import folder_of_server, folder_size, full_disk, in_words, port_conflict
from include.remediation.errors import RungError
from include.remediation.model import Finding, Need, Proof, RunRequest, Work
from include.remediation.rungs_common import HUNG_STOP_SECONDS, OnlyWhenNeeded, blind_finding, facts_of, proof_of
from include.remediation.service_log import LastRun, last_run, settled_status
from include.remediation.tools import Tools
from include.remediation.waiting import until
from include.services.controller import ServiceStatus
from include.services.errors import HostUnreachableError, ServicesError
from include.services.names import KAFKA
from include.stack.kafka import broker_data

READY = "Kafka Server started"
PORTS = ("kafka_port", "kafka_controller_port")
START_SECONDS = 30.0  # formatting the new folder takes a second or two

_COMING_SECONDS = 8.0  # a broker that has a process may just be starting


class MoveKafkaLogAside(OnlyWhenNeeded):
    """Only where the log says that the broker did not come up because of that folder.

    The folder is renamed on its own disk, so nothing is copied and nothing is deleted. The broker formats a new one,
    with a new cluster id; topics are made anew by the rung behind this one, and the trades come back by repair.
    """

    def __init__(self, tools: Tools, request: RunRequest) -> None:
        self.tools, self.request = tools, request
        self._folder = broker_data(tools.settings)
        self._aside: Path | None = None  # what this very rung moved

    def need(self) -> Finding:
        """See :class:`include.remediation.model.RungWork`."""
        try:
            status = settled_status(self.tools.controller, KAFKA)
            run = last_run(self.tools.controller, KAFKA, READY)
        except HostUnreachableError as error:
            return Finding(Need.UNKNOWN, f"The process host does not tell about {KAFKA}: {one_line(error)}")
        if (finding := self._without_damage(status, run)) is not None:
            return finding
        seen = folder_of_server(self.tools.settings, self._folder)
        line = run.damage(None if seen is None else str(seen))
        if line is None:
            return Finding(Need.NOT_NEEDED, "The broker's log does not name damage in its log folder.")
        if seen is None:
            return damaged_elsewhere(line)
        size = in_words(folder_size(self._folder))
        facts = {"line": line, "folder": str(self._folder), "size": size}
        return Finding(Need.NEEDED, f"The broker did not come up because of its log folder ({size}): {line}", facts)

    def services(self) -> tuple[str, ...]:
        """The broker."""
        return (KAFKA,)

    def do(self) -> Work:
        """Stop, rename, start."""
        try:
            self.tools.controller.stop(KAFKA, HUNG_STOP_SECONDS)
            self._aside = move_aside(self._folder, self.tools.now()) or self._aside
            self.tools.controller.start(KAFKA, START_SECONDS)
        except (ServicesError, OSError) as error:
            raise RungError(one_line(error)) from error
        kept = self._aside or next(iter(self._moved_before()), None)
        where = f" The old folder is kept whole as {kept.name} beside it." if kept else ""
        text = f"The damaged log was moved aside and the broker started with an empty one.{where}"
        return Work(text, {"kept": kept.name if kept else None, "folder": str(self._folder)})

    def proof(self) -> Proof:
        """The broker answers, and what was moved is there."""
        tcp = self.tools.look(Probe.KAFKA_TCP)
        seen = self._look() if tcp.outcome is not Outcome.FAILED else tcp
        if self._aside is not None and not self._aside.exists():
            return Proof(False, f"{self._aside.name} is not there any more.")
        return proof_of(seen, "The broker answers.", "The broker does not answer")

    def roll_back(self) -> Work | None:
        """The old folder gets its name back; the new one is kept, too."""
        aside = self._aside
        if aside is None or not aside.exists():
            return None
        try:
            self.tools.controller.stop(KAFKA, HUNG_STOP_SECONDS)
            move_aside(self._folder, self.tools.now(), "failed")
            aside.rename(self._folder)
            self.tools.controller.start(KAFKA, START_SECONDS)
        except ServicesError as error:  # with the old folder it did not come up before either
            return Work(f"The old log folder has its name back; the broker does not run: {one_line(error)}")
        except OSError as error:
            raise RungError(f"{aside} is kept, but did not get its name back: {one_line(error)}") from error
        return Work("The old log folder has its name back.")

    def _without_damage(self, status: ServiceStatus, run: LastRun) -> Finding | None:
        """It has come up, or something else keeps it from that."""
        if status.pid is not None and (finding := self._of_living(status.started_at)) is not None:
            return finding
        if status.pid is None and (conflict := port_conflict(self.tools.settings, KAFKA, PORTS)) is not None:
            return conflict
        return full_disk(KAFKA, folder_of_server(self.tools.settings, self._folder), run.no_space)

    def _of_living(self, started_at: datetime | None) -> Finding | None:
        """What is to be said of a broker that has a process; ``None``: it does not come up."""
        seen = until(self.tools.clock, _COMING_SECONDS, self._look, lambda each: each.outcome is not Outcome.FAILED)
        if seen.outcome is Outcome.BLIND:
            return blind_finding(seen, "The broker")
        if isinstance(seen.facts, ClusterFacts):
            return Finding(Need.NOT_NEEDED, "The broker has come up with its log folder.", facts_of(seen))
        age = 0.0 if started_at is None else (self.tools.now() - started_at).total_seconds()
        if age < START_SECONDS:  # it names what it finds damaged, and mends it
            text = f"The broker started {max(0.0, age):.0f} s ago and may still be mending its log."
            return Finding(Need.NOT_NEEDED, text, facts_of(seen))
        return None

    def _look(self) -> Observation:
        return self.tools.look(Probe.KAFKA_METADATA)

    def _moved_before(self) -> list[Path]:
        """Newest first."""
        return sorted(self._folder.parent.glob(f"{self._folder.name}.{ASIDE}-*"), reverse=True)


def damaged_elsewhere(line: str) -> Finding:
    """``BY_PEOPLE``: the folder cannot be seen from here, so nobody here can move it."""
    text = (
        f"The broker did not come up because of its log folder: {line} The folder is in a volume of its own or on"
        " another disk, which cannot be seen from here. Keep a copy of it, empty it, and start the broker: topics and"
        " trades come back by the rungs behind this one."
    )
    return Finding(Need.BY_PEOPLE, text, {"line": line})
