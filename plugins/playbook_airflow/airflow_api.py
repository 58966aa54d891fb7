"""Airflow's REST API as the triggerer needs it: is a Dag paused, and what became of a task instance?

The triggerer has no supported way to ask either of these directly (3.3: no access to the metadata database, and the
triggerer's own message set knows task states but not the Dag's switch), hence the public API with a read-only account.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from include.services.dag_switch import DagSwitch

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from include.remediation.reconcile import RunState
    from include.settings import Settings

USER = "supervision"
SWITCH_SECONDS = 0.5  # a dead process waits for this answer
ENDED_SECONDS = 6.0  # whether a person ended the run must be known: it decides between a hold and nothing


@dataclass(frozen=True, slots=True)
class TaskInstanceAnswer:
    """``known``: somebody answered. ``exists``: there is such a task instance; ``state`` None: it has none yet."""

    known: bool
    exists: bool = False
    state: str | None = None
    try_number: int = 0


class AirflowApi:
    """A client for one event loop. Its questions never raise and end within the seconds named above."""

    def __init__(self, base_url: str, password_file: Path) -> None:
        self._base_url, self._password_file = base_url, password_file
        self._token: str | None = None
        self._client: httpx.AsyncClient | None = None

    @classmethod
    def from_settings(cls, settings: Settings) -> AirflowApi:
        """The API server of this stack, as the supervision account."""
        from include.stack.airflow import url

        return cls(url(settings), settings.secrets_dir / "airflow_supervision_password")

    async def dag_switch(self, dag_id: str) -> DagSwitch:
        """The Dag's switch now."""
        status, body = await self._ask(f"/api/v2/dags/{quote(dag_id, safe='')}", SWITCH_SECONDS)
        if status != HTTPStatus.OK:
            return DagSwitch.UNKNOWN
        return DagSwitch.PAUSED if body["is_paused"] else DagSwitch.ON

    async def task_instance(self, dag_id: str, run_id: str, task_id: str) -> TaskInstanceAnswer:
        """What became of a task instance."""
        parts = (quote(part, safe="") for part in (dag_id, run_id, task_id))
        status, body = await self._ask("/api/v2/dags/{}/dagRuns/{}/taskInstances/{}".format(*parts), ENDED_SECONDS)
        if status == HTTPStatus.NOT_FOUND:
            return TaskInstanceAnswer(known=True)
        if status != HTTPStatus.OK:
            return TaskInstanceAnswer(known=False)
        return TaskInstanceAnswer(known=True, exists=True, state=body["state"], try_number=body["try_number"])

    async def run_state(self, dag_id: str, run_id: str) -> RunState:
        """What became of a Dag run."""
        from include.remediation.reconcile import RunState

        parts = (quote(part, safe="") for part in (dag_id, run_id))
        status, body = await self._ask("/api/v2/dags/{}/dagRuns/{}".format(*parts), ENDED_SECONDS)
        if status == HTTPStatus.NOT_FOUND:
            return RunState.MISSING
        if status != HTTPStatus.OK:
            return RunState.UNKNOWN
        return {"success": RunState.SUCCESS, "failed": RunState.FAILED}.get(body["state"], RunState.ALIVE)

    async def close(self) -> None:
        """Let go of the connection."""
        if self._client is not None:
            await self._client.aclose()

    async def _ask(self, path: str, seconds: float) -> tuple[int, dict[str, Any]]:
        """Status and body; status 0 when nobody answered in time."""
        import httpx

        try:
            async with asyncio.timeout(seconds):
                for _ in range(2):  # a token may have run out, or belong to another installation
                    response = await self._get(path, await self._valid_token())
                    if response.status_code != HTTPStatus.UNAUTHORIZED:
                        return response.status_code, response.json()
                    self._token = None
        except (TimeoutError, httpx.HTTPError, OSError, ValueError, KeyError):
            pass
        return 0, {}

    async def _get(self, path: str, token: str) -> httpx.Response:
        return await self._http().get(path, headers={"Authorization": f"Bearer {token}"})

    async def _valid_token(self) -> str:
        if self._token is None:
            password = (await asyncio.to_thread(self._password_file.read_text)).strip()
            response = await self._http().post("/auth/token", json={"username": USER, "password": password})
            self._token = str(response.json()["access_token"])
        return self._token

    def _http(self) -> httpx.AsyncClient:
        if self._client is None:
            import httpx

            self._client = httpx.AsyncClient(base_url=self._base_url, trust_env=False, timeout=ENDED_SECONDS)
        return self._client


@dataclass(frozen=True, slots=True)
class ApiDagSwitch:
    """The switch of one Dag, for the supervision loop."""

    api: AirflowApi
    dag_id: str

    async def ask(self) -> DagSwitch:
        """See ``include.services.dag_switch.AsksDagSwitch``."""
        return await self.api.dag_switch(self.dag_id)
