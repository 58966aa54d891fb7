"""The real btc_producer on a topic of a test's own: as a child, or owned by a process host that remedies can use."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, cast

import requests

from include.guardrails.memory import MemoryGuardrails
from include.incidents.memory_store import MemoryIncidentStore
from include.playbook.playbook import get_playbook
from include.remediation.looks import Looks
from include.remediation.tools import Tools
from include.runtime.clock import SystemClock
from include.runtime.temporary_settings import TemporarySettings
from include.services.controller import ServiceController
from include.services.fake import FakeServiceController
from include.services.names import PRODUCER
from include.settings import PROJECT_ROOT, Settings
from include.stack.running import environment

LAUNCH = """
import os, sys
from pathlib import Path
from include.runtime.temporary_settings import TemporarySettings
os.environ.update(TemporarySettings(Path(os.environ["PIPELINE_HOME"]) / "run").environment())
from include.producer import __main__ as program
program.BtcProducer = __import__("functools").partial(
    program.BtcProducer, topic=sys.argv[1], dead_letter_topic=sys.argv[1] + "-dlq")
sys.argv[1:] = []
program.leave(program.main())
"""


class ProducerProcess:
    """A child of the test."""

    def __init__(self, settings: Settings, topic: str) -> None:
        self._url = f"http://127.0.0.1:{settings.producer_health_port}/"
        self.process = subprocess.Popen(
            [sys.executable, "-c", LAUNCH, topic],
            env=environment(settings),
            cwd=PROJECT_ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def get(self, path: str) -> bytes:
        return requests.get(self._url + path, timeout=2).content

    def health(self) -> dict[str, Any]:
        try:
            return json.loads(self.get("health"))
        except OSError:
            return {"status": "no answer"}

    def end(self, number: signal.Signals) -> tuple[int, str]:
        self.process.send_signal(number)
        output, _ = self.process.communicate(timeout=15)
        return self.process.returncode, output.decode()


@contextmanager
def hosted_producer(settings: Settings, topic: str) -> Iterator[Tools]:
    """Tools of remedies whose process host owns a producer; it is not started. Incidents are in memory."""
    settings.run_dir.mkdir(parents=True, exist_ok=True)
    pairs = [f"{name}={value}" for name, value in environment(settings).items()]
    program = ["env", "-i", "-C", str(PROJECT_ROOT), *pairs, sys.executable, "-c", LAUNCH, topic]
    controller, clock = FakeServiceController({PRODUCER: program}, settings.log_dir), SystemClock()
    store = MemoryIncidentStore(clock)
    with ExitStack() as stack:
        stack.callback(controller.close)
        looks = Looks(settings, cast(ServiceController, controller))
        stack.callback(looks.close)
        yield Tools(
            settings=settings,
            controller=cast(ServiceController, controller),
            store=store,
            guardrails=MemoryGuardrails(clock, store),
            temporary=TemporarySettings(settings.run_dir),
            look=looks,
            scenario=get_playbook().scenarios.__getitem__,
            clock=clock,
        )


def log_of(settings: Settings) -> str:
    """What the hosted producer said."""
    return Path(settings.log_dir / f"{PRODUCER}.log").read_text(errors="replace")
