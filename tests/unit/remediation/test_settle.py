"""An action whose process died leaves no service stopped."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from include.guardrails.guardrails import Guardrails
from include.guardrails.memory import MemoryGuardrails
from include.guardrails.model import Action, ActionRequest, ActionState, Limits
from include.incidents.memory_store import MemoryIncidentStore
from include.incidents.model import EntryKind, NewIncident
from include.playbook.ladder import RungId
from include.playbook.names import Cause, Component, ScenarioId, Severity
from include.remediation.settle import settle_dead_actions
from include.runtime.clock import ManualClock
from include.services.fake import FakeServiceController


@pytest.fixture
def store() -> MemoryIncidentStore:
    return MemoryIncidentStore()


@pytest.fixture
def controller(tmp_path: Path) -> Iterator[FakeServiceController]:
    fake = FakeServiceController({"mysql": [sys.executable, "-c", "import time; time.sleep(60)"]}, tmp_path)
    yield fake
    fake.stop("mysql", 1)


def begun(guardrails: Guardrails, store: MemoryIncidentStore) -> Action:
    new = NewIncident(
        scenario=ScenarioId.MYSQL_NOT_WRITING,
        target=Component.MYSQL,
        cause=Cause.PROCESS_HUNG,
        severity=Severity.SEV_2,
        summary="MySQL does not answer.",
        onset_at=datetime(2026, 1, 1, tzinfo=UTC),
        reported_by="watch",
        reason="direct evidence",
    )
    request = ActionRequest(
        incident_id=store.open(new)[0].id,
        scenario=ScenarioId.MYSQL_NOT_WRITING,
        rung=RungId.RESTART_MYSQL,
        target=Component.MYSQL,
        requested_by="health",
        run="remediate_mysql_not_writing/r",
        holder="whoever",
        limits=Limits(0, 10),
        lease_seconds=600,
        services=("mysql",),
    )
    action = guardrails.begin(request)
    assert isinstance(action, Action)
    return action


@pytest.mark.parametrize("running", [False, True])
def test_a_service_that_was_left_stopped_is_started(
    store: MemoryIncidentStore, controller: FakeServiceController, running: bool
) -> None:
    guardrails = MemoryGuardrails(ManualClock(), store, alive=lambda _: False)
    action = begun(guardrails, store)
    if running:
        controller.start("mysql", 1)
    said = settle_dead_actions(guardrails, controller, store)
    assert controller.status("mysql").pid is not None
    assert guardrails.actions()[0].state is ActionState.ABANDONED
    told = [e for e in store.timeline(action.incident_id) if e.kind is EntryKind.DECIDED and "left stopped" in e.text]
    assert len(told) == (0 if running else 1)
    assert len(said) == (1 if running else 2)
    assert guardrails.leases() == ()
    assert settle_dead_actions(guardrails, controller, store) == []
