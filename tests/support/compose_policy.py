"""What docker-compose.yaml must keep to, beyond what Compose itself checks. A rule returns what breaks it, in words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from include.settings import PREFIX, PROJECT_ROOT, Settings
from include.stack.secret_values import GENERATORS

Document = dict[str, Any]
Rule = Callable[[Document], list[str]]

ONE_SHOT = {"airflow-init"}
OURS = "crypto-pipeline/"
# the playbook owns the first two, Airflow's supervision the others; airflow-init runs once
NEVER_RESTARTED = {"kafka", "mysql", "btc_producer", "stream_processor", "airflow-init"}
PUBLISHED = {"airflow-api-server"}
SOCKET_HOLDER = "docker-socket-proxy"
# secrets that only servers have: the administrators' own
SERVER_SECRETS = {"postgres_password"}
URL_SECRETS = {"incident_store_password", "airflow_database_password"}

_ROOT_USERS = {"root", "0"}
_LOOPBACK = ("127.0.0.1:", "[::1]:")
_SOCKET = "docker.sock"
_SECRET_NAME = re.compile(r"(PASSWORD|PASSWD|SECRET|TOKEN|KEY)$", re.IGNORECASE)
_SECRET_VALUE = re.compile(r"^[A-Za-z0-9+/_-]{24,}={0,2}$")
_CREDENTIALS_IN_URL = re.compile(r"://[^/@\s]*:[^/@\s]+@")


def services(document: Document) -> dict[str, Any]:
    """By name."""
    return dict(document["services"])


def lasting(document: Document) -> dict[str, Any]:
    """The services that are to go on running."""
    return {name: each for name, each in services(document).items() if name not in ONE_SHOT}


def pinned_images(document: Document) -> list[str]:
    """A tag that names a version; ours the one of the project."""
    version = re.search(r'^version = "([^"]+)"', (PROJECT_ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version
    problems = []
    for name, each in services(document).items():
        image = each.get("image", "")
        _, _, tag = image.rpartition("/")[2].partition(":")
        if not re.match(r"\d+\.\d+", tag) or (image.startswith(OURS) and tag != version[1]):
            problems.append(f"{name}: {image or 'no image'}")
    return problems


def base_images(document: Document) -> list[str]:
    """Of what is built here, too: one base, pinned."""
    bases = {
        file: {
            line.split()[1]
            for line in (PROJECT_ROOT / file).read_text().splitlines()
            if line.startswith("FROM ") and ":" in line
        }
        for file in {each["build"]["dockerfile"] for each in services(document).values() if "build" in each}
    }
    every = set().union(*bases.values())
    pinned = len(every) == 1 and re.fullmatch(r"python:3\.\d+\.\d+-slim-[a-z]+", min(every))
    return [] if pinned and all(bases.values()) else [f"{file}: {sorted(base)}" for file, base in bases.items()]


def each_image_is_built_once(document: Document) -> list[str]:
    """One service builds each image of ours, and no profile is needed for it."""
    problems = []
    for image in {each["image"] for each in services(document).values() if each["image"].startswith(OURS)}:
        builders = [n for n, each in services(document).items() if each["image"] == image and "build" in each]
        if len(builders) != 1 or services(document)[builders[0]].get("profiles"):
            problems.append(f"{image} is built by {builders}")
    return problems


def only_the_ui_is_published(document: Document) -> list[str]:
    """On loopback."""
    return [
        f"{name}: {port}"
        for name, port in _ports(document)
        if name not in PUBLISHED or not isinstance(port, str) or not port.startswith(_LOOPBACK)
    ]


def no_host_port_twice(document: Document) -> list[str]:
    """Over all profiles."""
    seen: dict[str, str] = {}
    problems = []
    for name, port in _ports(document):
        host = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", str(port)).rpartition(":")[0]  # by default
        if host in seen:
            problems.append(f"{name} and {seen[host]}: {host}")
        seen[host] = name
    return problems


def _ports(document: Document) -> Iterator[tuple[str, Any]]:
    for name, each in services(document).items():
        for port in each.get("ports", []):
            yield name, port
        if "network_mode" in each:
            yield name, f"network_mode {each['network_mode']}"


def health_checks(document: Document) -> list[str]:
    """On whatever runs on, with its own limits of time."""
    problems = []
    for name, each in lasting(document).items():
        check = each.get("healthcheck", {})
        if not check.get("test") or check.get("disable") or {"interval", "timeout", "retries"} - check.keys():
            problems.append(name)
    return problems


def awaited_health_is_checked(document: Document) -> list[str]:
    """Compose would wait for ever for the health of a service that has no check."""
    problems = []
    for name, each in services(document).items():
        for other, condition in each.get("depends_on", {}).items():
            target = services(document).get(other, {})
            if condition["condition"] == "service_healthy" and not target.get("healthcheck", {}).get("test"):
                problems.append(f"{name} waits for the health of {other}")
            if condition["condition"] == "service_completed_successfully" and other not in ONE_SHOT:
                problems.append(f"{name} waits for the end of {other}")
            if (
                target.get("profiles")
                and each.get("profiles") != target["profiles"]
                and condition.get("required", True)
            ):
                problems.append(f"{name} cannot start without the profile of {other}")
    return problems


def logs_are_rotated(document: Document) -> list[str]:
    """So that no disk fills."""
    options = {name: each.get("logging", {}) for name, each in services(document).items()}
    return [
        name
        for name, each in options.items()
        if each.get("driver") != "json-file" or {"max-size", "max-file"} - each.get("options", {}).keys()
    ]


def resources_are_limited(document: Document) -> list[str]:
    """Memory, processor, processes."""
    return [name for name, each in services(document).items() if {"mem_limit", "cpus", "pids_limit"} - each.keys()]


def nobody_is_root(document: Document) -> list[str]:
    """Named here, whatever the image says."""
    users = {name: str(each.get("user", "root")).partition(":")[0] for name, each in services(document).items()}
    return [f"{name}: {user}" for name, user in users.items() if user in _ROOT_USERS]


def rights_are_dropped(document: Document) -> list[str]:
    """No capability, none to be had, no privileged container, no namespace of the host."""
    problems = []
    for name, each in services(document).items():
        closed = each.get("cap_drop") == ["ALL"] and "no-new-privileges:true" in each.get("security_opt", [])
        opened = each.keys() & {"privileged", "cap_add", "devices", "pid", "ipc", "network_mode", "userns_mode"}
        if not closed or opened:
            problems.append(f"{name} {sorted(opened)}")
    return problems


def only_the_proxy_sees_the_socket(document: Document) -> list[str]:
    """And nobody but Airflow sees the proxy."""
    problems = [
        f"{name}: {volume}"
        for name, each in services(document).items()
        for volume in each.get("volumes", [])
        if (_SOCKET in str(volume) or "DOCKER_SOCKET" in str(volume)) and name != SOCKET_HOLDER
    ]
    for name, each in services(document).items():
        on_it = "docker-control" in each["networks"]
        if on_it and not (name == SOCKET_HOLDER or name.startswith("airflow-")):
            problems.append(f"{name} is on docker-control")
    if list(services(document)[SOCKET_HOLDER]["networks"]) != ["docker-control"]:
        problems.append(f"{SOCKET_HOLDER} is on more than docker-control")
    if not document["networks"]["docker-control"]["internal"]:
        problems.append("docker-control is not internal")
    return problems


def restarts_are_as_agreed(document: Document) -> list[str]:
    """The engine brings back only what neither the playbook nor supervision looks after."""
    return [
        f"{name}: {each.get('restart')}"
        for name, each in services(document).items()
        if each.get("restart") != ("no" if name in NEVER_RESTARTED else "unless-stopped")
    ]


def init_reaps_where_needed(document: Document) -> list[str]:
    """What leaves processes behind has an init, which reaps and passes signals on; only ours share the state."""
    problems = []
    for name, each in services(document).items():
        ours = each["image"].startswith(OURS)
        state = any(str(volume).startswith("pipeline-state:") for volume in each.get("volumes", []))
        needs_init = ours or name == "kafka"  # a health check of it that is cut short leaves processes behind
        if needs_init != bool(each.get("init")) or ours != state:
            problems.append(name)
    return problems


def data_is_on_volumes(document: Document) -> list[str]:
    """Every volume is declared, every bind source is in the repository (the socket is the engine's) and read-only."""
    problems = []
    for name, each in services(document).items():
        for volume in map(str, each.get("volumes", [])):
            source = volume.partition(":")[0]
            if volume.startswith("${DOCKER_SOCKET"):
                continue
            bound = source.startswith((".", "/", "~"))
            fine = (
                (PROJECT_ROOT / source).is_file() and volume.endswith(":ro") if bound else source in document["volumes"]
            )
            if not fine or source.startswith(("/", "~")):
                problems.append(f"{name}: {volume}")
    return problems


def settings_exist(document: Document) -> list[str]:
    """Every PIPELINE_… variable is a setting, and no secret comes that way."""
    known = {PREFIX + field.upper() for field in Settings.model_fields}
    secret = {name for name in known if _SECRET_NAME.search(name)}
    return [
        f"{name}: {variable}"
        for name, variable, _ in _variables(document)
        if variable.startswith(PREFIX) and (variable not in known or variable in secret)
    ]


def secrets_are_known(document: Document) -> list[str]:
    """Every secret is one that the product reads or a server's own, comes from .env, and is used; none is missing."""
    local = GENERATORS.keys() | URL_SECRETS
    named = {f"{PREFIX.lower()}{name}" if name in Settings.model_fields else name for name in local} | SERVER_SECRETS
    declared = document["secrets"]
    used = {secret for each in services(document).values() for secret in each.get("secrets", [])}
    problems = [f"{name} is not known" for name in declared.keys() - named]
    problems += [f"{name} is missing" for name in named - declared.keys()]
    problems += [f"{name} is not used" for name in declared.keys() - used]
    problems += [f"{name} is used and not declared" for name in used - declared.keys()]
    problems += [
        f"{name} does not come from .env" for name, where in declared.items() if list(where) != ["environment"]
    ]
    return problems + _files_without_their_secret(document)


def _files_without_their_secret(document: Document) -> list[str]:
    problems = []
    for name, each in services(document).items():
        held = set(each.get("secrets", []))
        text = f"{each.get('environment', {})} {each.get('healthcheck', {})}"
        problems += [
            f"{name} reads {file}, which it is not given"
            for file in re.findall(r"/run/secrets/([a-z_]+)", text)
            if file not in held
        ]
        if held and each.get("read_only"):
            problems.append(f"{name}: Compose cannot write secrets into a read-only container")
    return problems


def nothing_secret_is_written_down(document: Document) -> list[str]:
    """Neither as a variable, nor in a URL, nor on a command line."""
    problems = [
        f"{name}: {variable}"
        for name, variable, value in _variables(document)
        if (_SECRET_NAME.search(variable) and value)
        or (_SECRET_VALUE.match(value) and not value.startswith("/run/secrets/"))
        or _CREDENTIALS_IN_URL.search(value)
    ]
    for name, each in services(document).items():
        words = [*_words(each.get("command")), *_words(each.get("healthcheck", {}).get("test"))]
        problems += [
            f"{name}: {word}"
            for word in words
            if _CREDENTIALS_IN_URL.search(word) or re.search(r"--password(?!-file)|\s-p\S", word)
        ]
    return problems


def _variables(document: Document) -> Iterator[tuple[str, str, str]]:
    for name, each in services(document).items():
        for variable, value in each.get("environment", {}).items():
            yield name, variable, str(value)


def _words(command: Any) -> list[str]:
    return [command] if isinstance(command, str) else [str(word) for word in command or []]


RULES: tuple[Rule, ...] = (
    pinned_images,
    base_images,
    each_image_is_built_once,
    only_the_ui_is_published,
    no_host_port_twice,
    health_checks,
    awaited_health_is_checked,
    logs_are_rotated,
    resources_are_limited,
    nobody_is_root,
    rights_are_dropped,
    only_the_proxy_sees_the_socket,
    restarts_are_as_agreed,
    init_reaps_where_needed,
    data_is_on_volumes,
    settings_exist,
    secrets_are_known,
    nothing_secret_is_written_down,
)
