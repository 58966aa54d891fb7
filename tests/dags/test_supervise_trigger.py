"""The Airflow side of supervision without an Airflow database: the trigger, its questions to the API, the operator."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred

from include.services.controller import ServiceState
from include.services.dag_switch import DagSwitch
from include.services.fake import FakeServiceController
from include.services.process_supervisor import ProcessSupervisor
from include.services.supervision import RestartBudget
from include.services.supervision_report import Pace
from include.services.supervision_store import SupervisionStore
from playbook_airflow import airflow_api
from playbook_airflow.airflow_api import AirflowApi, ApiDagSwitch, TaskInstanceAnswer
from playbook_airflow.supervise import SuperviseOperator
from playbook_airflow.supervise_trigger import RunEnd, SuperviseTrigger, run_end

WHERE = {"dag_id": "supervise_worker", "run_id": "run 1+2/3", "task_id": "supervise", "try_number": 1}


@dataclass
class ApiServer:
    """A stand-in for Airflow's API server that answers what the test wants."""

    paused: bool = False
    task_instance: tuple[int, dict] = (404, {})
    good_token: str = "token-1"
    delay: float = 0.0
    requests: list[str] = field(default_factory=list)

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict]:
        self.requests.append(f"{method} {path}")
        time.sleep(self.delay)
        if path == "/auth/token":
            good = json.loads(body) == {"username": "supervision", "password": "hush"}
            return (201, {"access_token": self.good_token}) if good else (401, {})
        if headers.get("Authorization") != f"Bearer {self.good_token}":
            return 401, {}
        return (200, {"is_paused": self.paused}) if path == "/api/v2/dags/supervise_worker" else self.task_instance


@pytest.fixture
def server() -> Iterator[tuple[ApiServer, str]]:
    state = ApiServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, answer = state.answer(self.command, self.path, dict(self.headers), body)
            self.send_response(status)
            self.end_headers()
            with contextlib.suppress(BrokenPipeError):
                self.wfile.write(json.dumps(answer).encode())

        do_POST = do_GET  # noqa: N815

        def log_message(self, format: str, *args: object) -> None: ...

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=listening.serve_forever, args=(0.02,), daemon=True).start()
    yield state, f"http://127.0.0.1:{listening.server_address[1]}"
    listening.shutdown()
    listening.server_close()


@pytest.fixture
async def api(server: tuple[ApiServer, str], tmp_path: Path):
    (tmp_path / "password").write_text("hush\n")
    client = AirflowApi(server[1], tmp_path / "password")
    yield client
    await client.close()


async def test_the_switch_is_asked_with_one_login(
    server: tuple[ApiServer, str], api: AirflowApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(airflow_api, "SWITCH_SECONDS", 5.0)  # how fast it is asked is not told here
    state, _ = server
    switch = ApiDagSwitch(api, "supervise_worker")
    assert await switch.ask() is DagSwitch.ON
    state.paused = True
    assert await switch.ask() is DagSwitch.PAUSED
    assert state.requests.count("POST /auth/token") == 1


async def test_a_token_that_ran_out_is_replaced(
    server: tuple[ApiServer, str], api: AirflowApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(airflow_api, "SWITCH_SECONDS", 5.0)
    state, _ = server
    await api.dag_switch("supervise_worker")
    state.good_token = "token-2"
    assert await api.dag_switch("supervise_worker") is DagSwitch.ON


async def test_the_switch_is_wanted_within_half_a_second(server: tuple[ApiServer, str], api: AirflowApi) -> None:
    """A dead process waits for it."""
    server[0].delay = 2
    begin = time.monotonic()
    assert await api.dag_switch("supervise_worker") is DagSwitch.UNKNOWN
    assert time.monotonic() - begin < 1


async def test_whether_a_person_ended_the_run_is_waited_for(
    server: tuple[ApiServer, str], api: AirflowApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It decides between a stopped process and a running one."""
    server[0].delay, server[0].task_instance = 0.7, (200, {"state": "failed", "try_number": 1})
    assert (await api.task_instance("d", "r", "t")).known
    monkeypatch.setattr(airflow_api, "ENDED_SECONDS", 0.2)
    assert await api.task_instance("d", "r", "t") == TaskInstanceAnswer(known=False)


async def test_login_and_question_together_have_half_a_second(server: tuple[ApiServer, str], api: AirflowApi) -> None:
    server[0].delay = 0.4
    assert await api.dag_switch("supervise_worker") is DagSwitch.UNKNOWN


@pytest.mark.parametrize("trouble", ["no server", "no password file", "wrong password", "unknown dag"])
async def test_no_answer_is_no_error(server: tuple[ApiServer, str], tmp_path: Path, trouble: str) -> None:
    file, url = tmp_path / "password", "http://127.0.0.1:9" if trouble == "no server" else server[1]
    if trouble != "no password file":
        file.write_text("wrong" if trouble == "wrong password" else "hush")
    client = AirflowApi(url, file)
    assert await client.dag_switch("other" if trouble == "unknown dag" else "supervise_worker") is DagSwitch.UNKNOWN
    await client.close()


async def test_run_ids_are_quoted(server: tuple[ApiServer, str], api: AirflowApi) -> None:
    server[0].task_instance = (200, {"state": "failed", "try_number": 1})
    assert (await api.task_instance("d", "run 1+2/3", "t")).state == "failed"
    assert server[0].requests[-1].endswith("/dags/d/dagRuns/run%201%2B2%2F3/taskInstances/t")


@pytest.mark.parametrize(
    ("answer", "meaning"),
    [
        (TaskInstanceAnswer(known=True, exists=True, state="failed", try_number=1), RunEnd.ENDED),
        (TaskInstanceAnswer(known=True, exists=True, state="success", try_number=1), RunEnd.ENDED),
        (TaskInstanceAnswer(known=True, exists=True, state="skipped", try_number=1), RunEnd.ENDED),
        (TaskInstanceAnswer(known=True), RunEnd.ENDED),  # the run was deleted
        (TaskInstanceAnswer(known=False), RunEnd.ENDED),  # nobody answered
        (TaskInstanceAnswer(known=True, exists=True, state=None, try_number=1), RunEnd.CLEARED),
        (TaskInstanceAnswer(known=True, exists=True, state="scheduled", try_number=2), RunEnd.CLEARED),
        (TaskInstanceAnswer(known=True, exists=True, state="running", try_number=2), RunEnd.CLEARED),
        (TaskInstanceAnswer(known=True, exists=True, state="deferred", try_number=2), RunEnd.CLEARED),
        (TaskInstanceAnswer(known=True, exists=True, state="deferred", try_number=1), RunEnd.MOVED),
    ],
)
def test_why_a_trigger_is_taken_away(answer: TaskInstanceAnswer, meaning: RunEnd) -> None:
    assert run_end(answer, try_number=1) is meaning


def test_the_trigger_survives_serialisation() -> None:
    path, arguments = SuperviseTrigger(service="worker", **WHERE).serialize()
    assert path == f"{SuperviseTrigger.__module__}.{SuperviseTrigger.__name__}"
    assert json.loads(json.dumps(arguments)) == arguments == {"service": "worker", **WHERE}
    assert SuperviseTrigger(**arguments).serialize() == (path, arguments)


@dataclass
class Stage:
    """A trigger whose process host is the fake one."""

    controller: FakeServiceController
    api: AirflowApi
    folder: Path

    def trigger(self) -> SuperviseTrigger:
        trigger = SuperviseTrigger(service="worker", **WHERE)
        pace = Pace(look=0.02, ask_switch=0.05, retry_host=0.02, stop=2)
        supervisor = ProcessSupervisor(
            "worker",
            self.controller,
            SupervisionStore("worker", self.folder),
            ApiDagSwitch(self.api, "supervise_worker"),
            RestartBudget(2, 60, 60),
            trigger.log,
            pace=pace,
        )
        trigger._build = lambda: (supervisor, self.api)  # type: ignore[method-assign]
        return trigger

    async def running(self) -> None:
        async with asyncio.timeout(5):
            while not self.controller.status("worker").pid:
                await asyncio.sleep(0.01)


def _stage(api: AirflowApi, folder: Path, program: str) -> Iterator[Stage]:
    controller = FakeServiceController({"worker": [sys.executable, "-c", program]}, folder, settle_seconds=0.1)
    yield Stage(controller, api, folder)
    controller.close()


@pytest.fixture
def stage(api: AirflowApi, tmp_path: Path) -> Iterator[Stage]:
    yield from _stage(api, tmp_path, "import time; time.sleep(60)")


async def _run_and_cancel(stage: Stage, trigger: SuperviseTrigger) -> None:
    task = asyncio.create_task(anext(trigger.run()))
    await stage.running()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_cleanup_leaves_the_process_alone(stage: Stage) -> None:
    trigger = stage.trigger()
    await _run_and_cancel(stage, trigger)
    await trigger.cleanup()
    assert stage.controller.status("worker").state is ServiceState.RUNNING


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        ((200, {"state": "failed", "try_number": 1}), ServiceState.STOPPED),
        ((404, {}), ServiceState.STOPPED),
        ((200, {"state": None, "try_number": 1}), ServiceState.RUNNING),
        ((200, {"state": "deferred", "try_number": 1}), ServiceState.RUNNING),
    ],
    ids=["marked failed", "run deleted", "task cleared", "moved to another triggerer"],
)
async def test_on_kill(
    stage: Stage, server: tuple[ApiServer, str], answer: tuple[int, dict], state: ServiceState
) -> None:
    trigger = stage.trigger()
    await _run_and_cancel(stage, trigger)
    server[0].task_instance = answer
    await trigger.on_kill()
    assert stage.controller.status("worker").state is state
    held = SupervisionStore("worker", stage.folder).load().hold is not None
    assert held == (state is ServiceState.STOPPED)


async def test_a_crash_loop_fires_the_one_event_that_fails_the_task(api: AirflowApi, tmp_path: Path) -> None:
    for stage in _stage(api, tmp_path, "raise SystemExit(5)"):
        events = [event async for event in stage.trigger().run()]
        assert len(events) == 1
        message = events[0].payload["message"]
        assert "worker does not stay up" in message
        assert "exit code 5" in message
        with pytest.raises(AirflowFailException, match="worker does not stay up"):
            SuperviseOperator(task_id="supervise", service="worker").gave_up({}, events[0].payload)


async def test_a_fault_of_supervision_itself_is_told(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("playbook_airflow.supervise_trigger._FAULT_PAUSE_SECONDS", 0)
    trigger = stage.trigger()
    trigger._build = lambda: 1 / 0  # type: ignore[assignment, method-assign]
    event = await anext(trigger.run())
    assert "worker is not supervised: ZeroDivisionError" in event.payload["message"]


def test_the_operator_hands_over_at_once() -> None:
    operator = SuperviseOperator(task_id="supervise", service="worker")
    with pytest.raises(TaskDeferred) as caught:
        operator.execute({"ti": SimpleNamespace(**WHERE)})
    assert caught.value.trigger.serialize()[1] == {"service": "worker", **WHERE}
    assert caught.value.method_name == "gave_up"
