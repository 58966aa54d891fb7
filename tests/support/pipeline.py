"""The whole running stack, as tests of Airflow and of the way from exchange to table use it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import requests

from include.services.controller import ServiceController
from include.services.factory import controller_from_settings
from include.settings import Settings
from include.stack import airflow
from include.stack.secrets import read_secret
from tests.support.waiting import wait_for

T = TypeVar("T")


class AirflowClient:
    """Airflow's REST API as the administrator, or as another person: ``get("/dags/x")`` and so on, JSON in and out."""

    def __init__(self, settings: Settings, user: str = "", kept_as: str = "airflow_admin_password") -> None:
        self._settings, self._token = settings, ""
        self._user, self._kept_as = user or settings.airflow_admin_user, kept_as

    def get(self, path: str, **query: Any) -> Any:
        """GET ``/api/v2<path>``."""
        return self._call("GET", path, params=query)

    def post(self, path: str, json: Any = None) -> Any:
        """POST ``/api/v2<path>``."""
        return self._call("POST", path, json=json if json is not None else {})

    def patch(self, path: str, json: Any) -> Any:
        """PATCH ``/api/v2<path>``."""
        return self._call("PATCH", path, json=json)

    def _call(self, method: str, path: str, **arguments: Any) -> Any:
        headers = {"Authorization": f"Bearer {self._token or self._log_in()}"}
        answer = requests.request(method, f"{self.url}/api/v2{path}", headers=headers, timeout=10, **arguments)
        assert answer.ok, f"{method} {path}: {answer.status_code} {answer.text[:500]}"
        return answer.json() if answer.content else None

    @property
    def url(self) -> str:
        """Base address."""
        return airflow.url(self._settings)

    def _log_in(self) -> str:
        login = {
            "username": self._user,
            "password": read_secret(self._settings, self._kept_as),
        }
        answer = requests.post(f"{self.url}/auth/token", json=login, timeout=10)
        answer.raise_for_status()
        self._token = answer.json()["access_token"]
        return self._token


class Pipeline:
    """A running stack."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.controller: ServiceController = controller_from_settings(settings)
        self.airflow = AirflowClient(settings)

    @classmethod
    @contextmanager
    def running(cls, settings: Settings) -> Iterator[Pipeline]:
        """Bring the stack up as a person would, and take it down at the end; on failure the logs are shown."""
        from include.stack.arrival import await_rows
        from include.stack.down import bring_down
        from include.stack.up import bring_up

        try:
            bring_up(settings)
            await_rows(settings)
            yield cls(settings)
        except BaseException:
            for log in sorted(settings.log_dir.glob("*.log")):
                sys.stderr.write(f"--- end of {log.name}\n{log.read_text(errors='replace')[-3000:]}\n")
            raise
        finally:
            bring_down(settings)

    def wait_for(self, condition: Callable[[], T | None], timeout: float, what: str = "", interval: float = 0.05) -> T:
        """The first true answer of ``condition``."""
        return wait_for(condition, timeout, what, interval)

    def pid(self, name: str) -> int | None:
        """Pid of a process, ``None`` while it has none."""
        return self.controller.status(name).pid
