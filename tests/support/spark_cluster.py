"""A Spark cluster of real processes on loopback, and what its event log says about who did the work."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import requests

from include.settings import Settings
from tests.support.servers import Server
from tests.support.waiting import wait_for


class SparkMaster(Server):
    """The master."""

    name = "spark-master"

    def answers(self) -> bool:
        """See :class:`Server`."""
        return bool(self.state()["status"] == "ALIVE")

    def state(self) -> dict[str, object]:
        """What its page says, as JSON."""
        url = f"http://127.0.0.1:{self.settings.spark_master_ui_port}/json/"
        found: dict[str, object] = requests.get(url, timeout=2).json()
        return found

    @property
    def workers(self) -> object:
        """How many workers it has."""
        return self.state()["aliveworkers"]


class SparkWorker(Server):
    """A worker. It counts as up when it runs; the master tells when it has joined."""

    name = "spark-worker"

    def answers(self) -> bool:
        """See :class:`Server`."""
        return psutil.pid_exists(self.pid)

    def executor(self) -> tuple[str, psutil.Process] | None:
        """Spark's id of its executor, and the process."""
        for process in psutil.Process(self.pid).children(recursive=True):
            command = process.cmdline()
            if "--executor-id" in command:
                return command[command.index("--executor-id") + 1], process
        return None

    def kill_with_executor(self) -> str:
        """SIGKILL to both, as when the machine dies; Spark's id of the executor."""
        found = self.executor()
        assert found is not None, "the worker has an executor"
        found[1].kill()
        self.kill()
        return found[0]


@contextmanager
def running_cluster(settings: Settings) -> Iterator[tuple[SparkMaster, SparkWorker, SparkWorker]]:
    """A master and two workers that have joined it."""
    master, workers = SparkMaster(settings), (SparkWorker(settings), SparkWorker(settings))
    try:
        for server in (master, *workers):
            server.start()
        wait_for(lambda: master.workers == 2, 60, f"both workers have joined; see {master.log}")
        yield master, *workers
    finally:
        for server in (*workers, master):
            server.stop()


class EventLog:
    """Spark's own record of what ran where."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def configuration(self) -> str:
        """Lines for ``spark-defaults.conf`` that make Spark write it."""
        options = {"enabled": "true", "dir": self._folder.as_uri(), "compress": "false", "rolling.enabled": "false"}
        return "".join(f"spark.eventLog.{name} {value}\n" for name, value in options.items())

    def tasks(self) -> Counter[str]:
        """Tasks that succeeded, by executor."""
        done: Counter[str] = Counter()
        for file in self._folder.iterdir():
            for line in file.read_text().splitlines():
                if line.startswith('{"Event":"SparkListenerTaskEnd"') and line.endswith("}"):  # the last may be half
                    event = json.loads(line)
                    done[event["Task Info"]["Executor ID"]] += event["Task End Reason"]["Reason"] == "Success"
        return done
