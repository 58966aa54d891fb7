"""A real process host with the product's own programs, and one incident to work on, all through the real adapters."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from include.guardrails.factory import guardrails_from_settings
from include.guardrails.model import Action
from include.incidents.factory import store_from_settings
from include.incidents.model import NewIncident
from include.incidents.store import IncidentStore
from include.playbook.ladder import RungId
from include.playbook.names import Cause, Component, ScenarioId, Severity
from include.remediation.factory import remediation_from_settings
from include.remediation.model import Approval, RungReport, RunRequest
from include.remediation.runner import Remediation
from include.services.controller import ServiceController, ServiceStatus
from include.services.factory import controller_from_settings
from include.settings import Settings
from include.stack.host import start_host, stop_host
from include.stack.isolation import isolated_settings
from include.stack.leftovers import end_leftovers


@dataclass
class Case:
    """One incident in a store of its own, so that no guardrail remembers another test."""

    settings: Settings
    controller: ServiceController
    remediation: Remediation
    store: IncidentStore
    request: RunRequest

    def run(self, rung: RungId, approval: Approval | None = None) -> RungReport:
        return self.remediation.run(self.request, rung, approval)

    def status(self, service: str) -> ServiceStatus:
        return self.controller.status(service)

    def pid(self, service: str) -> int:
        pid = self.status(service).pid
        assert pid is not None
        return pid

    def actions(self) -> tuple[Action, ...]:
        """All that were begun."""
        guardrails = guardrails_from_settings(self.settings)
        try:
            return guardrails.actions()
        finally:
            guardrails.close()


@dataclass
class Hosted:
    """The process host of a stack of its own; its programs are started by the test."""

    settings: Settings
    controller: ServiceController

    @classmethod
    @contextmanager
    def running(cls) -> Iterator[Hosted]:
        with isolated_settings() as settings:
            start_host(settings)
            try:
                yield cls(settings, controller_from_settings(settings))
            finally:
                stop_host(settings, 60)
                end_leftovers(settings)

    @contextmanager
    def case(
        self, folder: Path, scenario: ScenarioId, target: Component, cause: Cause, severity: Severity, **changes: Any
    ) -> Iterator[Case]:
        """``changes``: of the settings."""
        url = f"sqlite:///{folder / 'incidents.db'}"
        settings = self.settings.model_copy(update={"incident_store_url": url, **changes})
        store, remediation = store_from_settings(settings), remediation_from_settings(settings)
        new = NewIncident(scenario, target, cause, severity, "It is down.", datetime.now(UTC), "watch", "seen")
        incident, _ = store.open(new)
        request = RunRequest(incident.id, scenario, cause, requested_by="health", run="run-1")
        try:
            yield Case(settings, self.controller, remediation, store, request)
        finally:
            remediation.close()
            store.close()
