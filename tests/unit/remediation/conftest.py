"""Everything in memory, with a process host whose programs sleep."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from include.guardrails.memory import MemoryGuardrails
from include.health.observations import Observation, Probe
from include.incidents.memory_store import MemoryIncidentStore
from include.playbook.ladder import RungId
from include.playbook.playbook import get_playbook
from include.remediation import assessment, waiting
from include.remediation.model import RungWork
from include.remediation.tools import Tools
from include.runtime.clock import ManualClock
from include.runtime.temporary_settings import TemporarySettings
from include.services.controller import ServiceController
from include.services.fake import FakeServiceController
from include.settings import Settings
from tests.support.remediating import Bench


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr(waiting, "POLL_SECONDS", 0.001)  # the clock is moved by what is looked at
    clock = ManualClock(1_794_000_000_000)
    store = MemoryIncidentStore(clock)
    guardrails = MemoryGuardrails(clock, store)
    settings = Settings(_env_file=None, home=tmp_path, kafka_port=1, mysql_port=2)
    settings.run_dir.mkdir()
    controller = FakeServiceController({"kafka": ["sleep", "600"], "mysql": ["sleep", "600"]}, settings.log_dir, 0.02)
    seen: dict[Probe, Observation | list[Observation]] = {}

    def look(probe: Probe) -> Observation:
        clock.advance(0.2)
        answer = seen[probe]
        if isinstance(answer, list):
            return answer.pop(0) if len(answer) > 1 else answer[0]
        return answer

    tools = Tools(
        settings=settings,
        controller=cast(ServiceController, controller),
        store=store,
        guardrails=guardrails,
        temporary=TemporarySettings(settings.run_dir),
        look=look,
        scenario=get_playbook().scenarios.__getitem__,
        clock=clock,
    )

    def use(rung: RungId, *works: RungWork) -> None:
        left, known = list(works), assessment.RUNGS
        monkeypatch.setattr(assessment, "RUNGS", {**known, rung: lambda *_: left.pop(0) if len(left) > 1 else left[0]})

    yield Bench(tools, store, guardrails, clock, seen, use)
    controller.close()
