"""What the tests of supervision on a whole stack share."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import psutil
import requests

from include.services.names import PROCESSOR, PRODUCER
from include.services.supervision import RestartHistory
from include.services.supervision_store import SupervisionStore
from tests.support.pipeline import Pipeline

COMMANDS = {PRODUCER: "include.producer", PROCESSOR: "stream_processor.py"}


@dataclass
class Supervised:
    """One supervised process of a running stack, with its Dag."""

    stack: Pipeline
    name: str

    @property
    def dag(self) -> str:
        return f"/dags/supervise_{self.name}"

    @property
    def pid(self) -> int | None:
        return self.stack.controller.status(self.name).pid

    def running(self, timeout: float = 30, other_than: int | None = None) -> int:
        """Pid of the running process once it is another than ``other_than``."""
        return self.stack.wait_for(
            lambda: (pid := self.pid) if self.pid not in (None, other_than) else None, timeout, f"{self.name} runs"
        )

    def serving(self, timeout: float = 60) -> int:
        """Pid of the running process once its health endpoint answers: it has started in full."""
        settings = self.stack.settings
        ports = {PRODUCER: settings.producer_health_port, PROCESSOR: settings.processor_health_port}
        url = f"http://127.0.0.1:{ports[self.name]}/health"
        return self.stack.wait_for(
            lambda: (pid := self.pid) if requests.get(url, timeout=2).json()["pid"] == self.pid else None,
            timeout,
            f"{self.name} serves",
        )

    def kill(self) -> int:
        """SIGKILL; returns the pid that was killed."""
        pid = self.running()
        os.kill(pid, signal.SIGKILL)
        return pid

    def kill_and_time(self, timeout: float = 30) -> float:
        """Seconds from SIGKILL until another process runs."""
        begin = time.monotonic()
        old = self.kill()
        self.running(timeout, other_than=old)
        return time.monotonic() - begin

    def forget_history(self) -> None:
        """A test that kills must not use up the restart budget of the next one."""
        store = SupervisionStore(self.name, self.stack.settings.run_dir)
        store.save(replace(store.load(), history=RestartHistory()))

    def newest_run(self) -> dict[str, Any]:
        """The newest supervision run."""
        runs = self.stack.airflow.get(f"{self.dag}/dagRuns", order_by="-run_after", limit=1)["dag_runs"]
        return runs[0] if runs else {}

    def run_state(self, run_id: str) -> str:
        return self.stack.airflow.get(f"{self.dag}/dagRuns/{run_id}")["state"]

    def supervising_run(self, timeout: float = 60, other_than: str = "") -> str:
        """Id of the newest run once its trigger is in charge."""

        def ready() -> str | None:
            run_id = self.newest_run()["dag_run_id"]
            state = self.stack.airflow.get(f"{self.dag}/dagRuns/{run_id}/taskInstances/supervise")["state"]
            return run_id if state == "deferred" and run_id != other_than else None

        return self.stack.wait_for(ready, timeout, f"a run supervises {self.name}")

    def try_number(self, run_id: str) -> int:
        return self.stack.airflow.get(f"{self.dag}/dagRuns/{run_id}/taskInstances/supervise")["try_number"]

    def task_log(self, run_id: str) -> str:
        """The log of the supervising task's present try as one text."""
        path = f"{self.dag}/dagRuns/{run_id}/taskInstances/supervise/logs/{self.try_number(run_id)}"
        return "\n".join(str(line) for line in self.stack.airflow.get(path)["content"])

    def wait_for_log(self, run_id: str, text: str, timeout: float = 30, times: int = 1) -> None:
        """Wait until the log has the text so many times."""
        self.stack.wait_for(lambda: self.task_log(run_id).count(text) >= times, timeout, f"{text!r} in the task's log")

    def pause(self, paused: bool) -> None:
        self.stack.airflow.patch(self.dag, {"is_paused": paused})

    def mark_failed(self, run_id: str) -> None:
        self.stack.airflow.patch(f"{self.dag}/dagRuns/{run_id}", {"state": "failed"})

    def clear(self, run_id: str) -> None:
        body = {"dry_run": False, "dag_run_id": run_id, "task_ids": ["supervise"], "only_failed": False}
        self.stack.airflow.post(f"{self.dag}/clearTaskInstances", body)


@dataclass
class Copies:
    """The most copies of a process that were ever seen at the same time, and how often was looked."""

    most: int = 0
    looks: int = 0
    _ended: threading.Event = field(default_factory=threading.Event)

    def _look(self, command: str, home: str) -> None:
        while not self._ended.wait(0.05):
            copies = {p.pid: p for p in psutil.process_iter() if _is_copy(p, command, home)}
            found = [p for p in copies.values() if not _is_child(p, copies)]
            self.most, self.looks = max(self.most, len(found)), self.looks + 1


def _is_copy(process: psutil.Process, command: str, home: str) -> bool:
    try:
        line = process.cmdline()
        is_command = len(line) > 1 and "python" in line[0] and any(part.endswith(command) for part in line[1:4])
        return is_command and process.environ().get("STACK_HOME") == home
    except psutil.Error:
        return False


def _is_child(process: psutil.Process, copies: dict[int, psutil.Process]) -> bool:
    """Of one of them: it looks like its parent until it becomes another program (Spark's JVM, say)."""
    try:
        return process.ppid() in copies
    except psutil.Error:
        return True  # gone


@contextmanager
def counting_copies(supervised: Supervised) -> Iterator[Copies]:
    """Look for copies of the process twenty times a second."""
    copies = Copies()
    arguments = (COMMANDS[supervised.name], str(supervised.stack.settings.home))
    thread = threading.Thread(target=copies._look, args=arguments, daemon=True)
    thread.start()
    try:
        yield copies
    finally:
        copies._ended.set()
        thread.join()
