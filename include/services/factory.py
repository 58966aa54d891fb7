"""The service controller that the settings ask for."""

from __future__ import annotations

from include.services.controller import ServiceController
from include.services.supervisord import SupervisordController
from include.settings import Settings


def controller_from_settings(settings: Settings) -> ServiceController:
    """The adapter named by ``settings.service_adapter``.

    Adapters for Docker and systemd take their place here; nothing else knows which one is used.
    """
    match settings.service_adapter:
        case "supervisord":
            return SupervisordController(settings.supervisor_socket, settings.log_dir, settings.run_dir)
        case other:
            raise ValueError(f"no process host is called {other!r}")
