"""Compose's own opinion of docker-compose.yaml; it needs no engine, and where it is not installed it is fetched."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from include.settings import PROJECT_ROOT, Settings
from include.stack.compose_env import write_env
from tests.support import debian
from tests.support.debian import NotToBeHadError

pytestmark = pytest.mark.integration

FILE = PROJECT_ROOT / "docker-compose.yaml"
_PLUGIN = Path("usr/libexec/docker/cli-plugins/docker-compose")  # it runs by itself as well


@pytest.fixture(scope="module")
def compose() -> list[str]:
    """The command: this machine's plugin, else the program of Debian's package."""
    docker = shutil.which("docker")
    if docker and not subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode:
        return [docker, "compose"]
    try:
        program = debian.kept(Settings().cache / "compose", _unpack) / "root" / _PLUGIN
        debian.run([str(program), "version"])
    except NotToBeHadError as reason:
        pytest.skip(f"Compose's own check of docker-compose.yaml was not run: {reason}")
    return [str(program)]


def _unpack(target: Path) -> None:
    debian.unpack(debian.this_machine(), debian.DOCKER_SUITE, ["docker-compose"], target / "root")


def ask(compose: list[str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """What it says, whatever this machine's own environment has to say on projects and secrets."""
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    command = [*compose, "--file", str(FILE), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def env(tmp_path: Path) -> Path:
    (tmp_path / "docker.sock").touch()
    template = (PROJECT_ROOT / ".env.example").read_text()
    write_env(tmp_path / ".env", template, {"DOCKER_SOCKET": str(tmp_path / "docker.sock")})
    return tmp_path / ".env"


def test_compose_takes_the_file(compose: list[str], env: Path) -> None:
    done = ask(compose, "--env-file", str(env), "--profile", "*", "config", "--quiet")
    assert (done.returncode, done.stderr) == (0, "")


def test_the_proxy_knows_the_project_that_airflow_speaks_of(compose: list[str], env: Path) -> None:
    asked = ("--env-file", str(env), "--project-name", "another-name", "config", "--format", "json")
    services = json.loads(ask(compose, *asked).stdout)["services"]
    known = {name: each.get("environment", {}).get("PIPELINE_DOCKER_PROJECT") for name, each in services.items()}
    involved = {name for name in services if name.startswith("airflow-") or name == "docker-socket-proxy"}
    assert {name for name, project in known.items() if project == "another-name"} == involved


def test_compose_says_what_to_do_where_there_is_no_env_file(compose: list[str], tmp_path: Path) -> None:
    (tmp_path / "empty.env").touch()
    done = ask(compose, "--env-file", str(tmp_path / "empty.env"), "config", "--quiet")
    assert done.returncode != 0
    assert "make compose-env" in done.stderr
