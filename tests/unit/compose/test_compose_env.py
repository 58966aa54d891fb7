"""`.env` is written once, with secrets, for its owner; what is there is never changed."""

from __future__ import annotations

import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from include.settings import PREFIX, PROJECT_ROOT
from include.stack.compose_env import assignments, describe, is_secret, write_env
from include.stack.errors import StackError

TEMPLATE = (PROJECT_ROOT / ".env.example").read_text()
COMPOSE = (PROJECT_ROOT / "docker-compose.yaml").read_text()


@pytest.fixture
def env(tmp_path: Path) -> Path:
    return tmp_path / ".env"


@pytest.fixture
def machine(tmp_path: Path) -> dict[str, str]:
    """A machine with a socket of Docker's."""
    socket = tmp_path / "docker.sock"
    socket.touch()
    return {"DOCKER_HOST": f"unix://{socket}"}


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_all_is_written_once_for_the_owner_only(env: Path, machine: dict[str, str]) -> None:
    written = write_env(env, TEMPLATE, machine)
    found = assignments(env.read_text())
    assert written.created
    assert mode(env) == 0o600
    assert list(found) == list(assignments(TEMPLATE)) == list(written.added)
    secrets = [value for name, value in found.items() if is_secret(name)]
    assert len(secrets) == len(set(secrets)) == 11
    assert min(map(len, secrets)) >= 24
    assert found["DOCKER_SOCKET"] == machine["DOCKER_HOST"].removeprefix("unix://")
    assert found["DOCKER_GID"] == str(env.stat().st_gid)
    assert found["FEED"] == "generated"
    assert not any(value in describe(env, written) for value in secrets)


def test_the_text_beside_the_values_is_the_template_s(env: Path, machine: dict[str, str]) -> None:
    write_env(env, TEMPLATE, machine)
    bare = re.compile("=.*")
    assert [bare.sub("=", line) for line in env.read_text().splitlines()] == [
        bare.sub("=", line) for line in TEMPLATE.splitlines()
    ]


def test_a_second_time_nothing_is_changed(env: Path, machine: dict[str, str]) -> None:
    write_env(env, TEMPLATE, machine)
    before = env.read_bytes()
    again = write_env(env, TEMPLATE, machine)
    assert env.read_bytes() == before
    assert (again.created, again.added) == (False, ())
    assert "Nothing is changed" in describe(env, again)


def test_what_is_missing_is_added_behind_what_is_there(env: Path, machine: dict[str, str]) -> None:
    own = "PIPELINE_SYMBOLS=BTCUSDT\nexport MYSQL_PASSWORD='mine'\n# FEED=live\nAIRFLOW_PORT = 8090"
    env.write_text(own)
    written = write_env(env, TEMPLATE, machine)
    text = env.read_text()
    assert text.startswith(own + "\n")
    found = assignments(text)
    assert (found["MYSQL_PASSWORD"], found["AIRFLOW_PORT"], found["FEED"]) == ("mine", "8090", "generated")
    assert set(written.added) == set(assignments(TEMPLATE)) - {"MYSQL_PASSWORD", "AIRFLOW_PORT"}
    assert all(found[name] for name in found if is_secret(name))
    assert mode(env) == 0o600


def test_a_file_that_others_can_read_is_closed_to_them(env: Path, machine: dict[str, str]) -> None:
    write_env(env, TEMPLATE, machine)
    env.chmod(0o644)
    written = write_env(env, TEMPLATE, machine)
    assert mode(env) == 0o600
    assert "now only you can" in describe(env, written)


def test_a_secret_without_a_value_is_told_and_nothing_written(env: Path, machine: dict[str, str]) -> None:
    env.write_text("MYSQL_PASSWORD=\n")
    with pytest.raises(StackError, match="no value for MYSQL_PASSWORD"):
        write_env(env, TEMPLATE, machine)
    assert env.read_text() == "MYSQL_PASSWORD=\n"


@pytest.mark.parametrize(
    "environment", [{"DOCKER_HOST": "unix:///nowhere/docker.sock"}, {"DOCKER_SOCKET": "/nowhere/x"}]
)
def test_a_socket_that_is_not_there_is_told_and_nothing_written(env: Path, environment: dict[str, str]) -> None:
    with pytest.raises(StackError, match=r"/nowhere/.*make compose-env DOCKER_SOCKET="):
        write_env(env, TEMPLATE, environment)
    assert not env.exists()


def test_the_group_is_that_of_the_socket_that_the_file_names(env: Path, tmp_path: Path) -> None:
    (tmp_path / "other.sock").touch()
    env.write_text(f"DOCKER_SOCKET={tmp_path / 'other.sock'}\n")
    write_env(env, TEMPLATE, {"DOCKER_HOST": "unix:///nowhere/docker.sock"})
    assert assignments(env.read_text())["DOCKER_GID"] == str(tmp_path.stat().st_gid)


def test_example_and_compose_file_speak_of_the_same_variables() -> None:
    # $$ is a dollar of the container's own shell
    used = set(re.findall(r"(?<!\$)\$\{([A-Z_]+)", COMPOSE)) - {"COMPOSE_PROJECT_NAME"}
    used |= {secret["environment"] for secret in yaml.safe_load(COMPOSE)["secrets"].values()}
    assert used == set(assignments(TEMPLATE))


def test_defaults_of_the_compose_file_are_those_of_the_example() -> None:
    example = assignments(TEMPLATE)
    defaults = re.findall(r"(?<!\$)\$\{([A-Z_]+):-([^}]*)\}", COMPOSE)
    assert defaults
    assert {(name, default) for name, default in defaults} == {(name, example[name]) for name, _ in defaults}


def test_no_variable_is_a_setting_of_the_local_stack() -> None:
    assert not [name for name in assignments(TEMPLATE) if name.startswith(PREFIX)]


def test_every_variable_is_explained() -> None:
    for block in TEMPLATE.split("\n\n"):
        if assignments(block):
            assert block.startswith("# "), block


def test_nothing_has_to_be_installed_for_it() -> None:
    done = subprocess.run(
        [sys.executable, "-S", "-c", "import include.stack.compose_env"],
        cwd=PROJECT_ROOT,
        env={},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
