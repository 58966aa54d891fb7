"""The service controller that the settings ask for, and whether it can do its work at all."""

from __future__ import annotations

from include.services.controller import ServiceController
from include.services.docker import DockerController
from include.services.docker_api import DockerApi
from include.services.errors import HostNotReadyError
from include.services.names import EXCHANGE, SERVICES
from include.services.supervisord import SupervisordController
from include.services.systemd import SystemdController
from include.settings import PREFIX, Feed, ServiceAdapter, Settings


def controller_from_settings(settings: Settings) -> ServiceController:
    """The adapter named by ``settings.service_adapter``; nothing else knows which one is used. Connects to nothing."""
    match settings.service_adapter:
        case ServiceAdapter.SUPERVISORD:
            return SupervisordController(settings.supervisor_socket, settings.log_dir, settings.run_dir)
        case ServiceAdapter.DOCKER:
            return DockerController(settings.docker_api_url, settings.docker_project, settings.run_dir, SERVICES)
        case ServiceAdapter.SYSTEMD:
            return _systemd(settings)


def check_rights(settings: Settings) -> None:
    """Can the services be controlled? Asked at start, so that what is missing is told then and not in an incident.

    Raises :class:`~include.services.errors.ServicesError` with what is missing and what to do; changes nothing.
    Docker: its API answers, containers can be listed and inspected, and the project has all that the settings need.
    systemd: it runs, knows the units, and lets us start and stop them. supervisord is part of the stack: nothing can be
    missing.
    """
    services = tuple(name for name in SERVICES if name != EXCHANGE or settings.feed is not Feed.LIVE)
    match settings.service_adapter:
        case ServiceAdapter.DOCKER:
            _check_docker(settings, services)
        case ServiceAdapter.SYSTEMD:
            _systemd(settings).check(services)
        case ServiceAdapter.SUPERVISORD:
            return


def _check_docker(settings: Settings, services: tuple[str, ...]) -> None:
    api = DockerApi(settings.docker_api_url)
    found = api.containers(settings.docker_project)
    if missing := [name for name in services if name not in found]:
        raise HostNotReadyError(
            f"the compose project {settings.docker_project!r} at {api.url} has no container of"
            f" {', '.join(missing)}; it has: {', '.join(sorted(found)) or '(none)'}. Check {PREFIX}DOCKER_PROJECT, and"
            " create the containers (docker compose create)"
        )
    for name in services:  # rights of their own at the proxy
        api.inspect(found[name])
        api.logs(found[name], 1)


def _systemd(settings: Settings) -> SystemdController:
    """Its units are called as the services, unless the settings say otherwise."""
    units = {name: f"{name}.service" for name in SERVICES} | settings.systemd_units
    return SystemdController(units, settings.run_dir)
