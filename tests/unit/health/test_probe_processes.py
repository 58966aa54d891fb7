"""The process host's word, as facts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from include.health.observations import Code, Outcome, ProcessesFacts, ProcessFacts
from include.health.probes.processes import ProcessesProbe
from include.runtime.clock import ManualClock
from include.services.controller import ServiceState, ServiceStatus
from include.services.errors import HostUnreachableError
from include.services.supervision_store import Hold, HoldReason, SupervisionState, SupervisionStore

NOW_MS = 1_700_000_000_000
STARTED = datetime.fromtimestamp(NOW_MS / 1000, UTC) - timedelta(seconds=90)


class Host:
    """A process host that says what it is told to."""

    def __init__(self, *statuses: ServiceStatus, away: bool = False) -> None:
        self._statuses, self._away = statuses, away

    def statuses(self) -> tuple[ServiceStatus, ...]:
        if self._away:
            raise HostUnreachableError("supervisor.sock", "no such file")
        return self._statuses


def look(tmp_path: Path, host: Host) -> dict[str, ProcessFacts]:
    observation = ProcessesProbe(host, tmp_path, ManualClock(NOW_MS)).look()
    assert observation.outcome is Outcome.OK
    assert isinstance(observation.facts, ProcessesFacts)
    return observation.facts.services


def hold(tmp_path: Path, name: str) -> None:
    wish = Hold(HoldReason.RUN_ENDED_BY_PERSON, NOW_MS)
    SupervisionStore(name, tmp_path).save(SupervisionState(hold=wish))


@pytest.mark.parametrize(
    ("status", "held", "expected"),
    [
        (
            ServiceStatus("kafka", ServiceState.RUNNING, 7, STARTED),
            False,
            ProcessFacts(state="running", pid=7, age_seconds=90.0),
        ),
        (
            ServiceStatus("mysql", ServiceState.EXITED, None, STARTED, -9),
            False,
            ProcessFacts(state="exited", exit_code=-9),
        ),
        (ServiceStatus("kafka", ServiceState.STOPPED), False, ProcessFacts(state="stopped")),  # never started
        (
            ServiceStatus("kafka", ServiceState.STOPPED, None, STARTED, 0),
            False,
            ProcessFacts(state="stopped", exit_code=0, on_request=True),
        ),
        (
            ServiceStatus("kafka", ServiceState.STOPPING, 7, STARTED),
            False,
            ProcessFacts(state="stopping", pid=7, age_seconds=90.0, on_request=True),
        ),
        (
            ServiceStatus("btc_producer", ServiceState.EXITED, None, STARTED, 0),
            True,
            ProcessFacts(state="exited", exit_code=0, on_request=True),
        ),
        (  # the hold was of an earlier process: this one was started on purpose
            ServiceStatus("btc_producer", ServiceState.RUNNING, 8, STARTED),
            True,
            ProcessFacts(state="running", pid=8, age_seconds=90.0),
        ),
    ],
)
def test_each_state_is_told(tmp_path: Path, status: ServiceStatus, held: bool, expected: ProcessFacts) -> None:
    if held:
        hold(tmp_path, status.name)
    assert look(tmp_path, Host(status)) == {status.name: expected}


def test_only_the_pipelines_services_are_told_and_their_pids_kept(tmp_path: Path) -> None:
    host = Host(
        ServiceStatus("airflow-scheduler", ServiceState.RUNNING, 1, STARTED),
        ServiceStatus("kafka", ServiceState.RUNNING, 2, STARTED),
        ServiceStatus("mysql", ServiceState.EXITED, None, STARTED, 1),
    )
    probe = ProcessesProbe(host, tmp_path, ManualClock(NOW_MS))
    observation = probe.look()
    assert isinstance(observation.facts, ProcessesFacts)
    assert set(observation.facts.services) == {"kafka", "mysql"}
    assert probe.pids == (2,)


def test_without_the_host_nothing_is_said_about_the_processes(tmp_path: Path) -> None:
    observation = ProcessesProbe(Host(away=True), tmp_path).look()
    assert (observation.outcome, observation.code) == (Outcome.BLIND, Code.NOT_AVAILABLE)
    assert "supervisor.sock" in (observation.error or "")


def test_a_clock_that_was_set_back_makes_no_negative_age(tmp_path: Path) -> None:
    status = ServiceStatus("kafka", ServiceState.RUNNING, 7, STARTED + timedelta(hours=1))
    assert look(tmp_path, Host(status))["kafka"].age_seconds == 0.0
