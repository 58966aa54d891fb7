"""The compose stack as a test drives it: a project, a port and volumes of its own."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from include.settings import PROJECT_ROOT
from include.stack.compose_env import assignments, is_secret, write_env
from include.stack.ports import free_ports
from tests.compose.engine import Engine

OWN_IMAGES = {"crypto-pipeline/jobs", "crypto-pipeline/airflow"}
ONE_SHOT = "airflow-init"
_INSIDE = Path(__file__).with_name("inside.py")
_OVERRIDE = Path(__file__).with_name("override.yaml")
_ASKED_IN = "airflow-scheduler"
_UP_SECONDS = 900


class Compose:
    """``docker compose`` on the project's own file."""

    def __init__(self, engine: Engine, project: str, environment_file: Path) -> None:
        self.engine, self.project = engine, project
        self._file, self._profiles = environment_file, ["demo"]
        self.variables = assignments(environment_file.read_text())
        self._inside: subprocess.Popen[str] | None = None

    @classmethod
    @contextmanager
    def prepared(cls, engine: Engine, project: str, folder: Path) -> Iterator[Compose]:
        """A project that is not up yet; at its end it is gone with its volumes."""
        path = folder / ".env"
        (port,) = free_ports(1)
        write_env(path, (PROJECT_ROOT / ".env.example").read_text(), engine.environment)
        path.write_text(path.read_text().replace("AIRFLOW_PORT=8080", f"AIRFLOW_PORT={port}"))
        compose = cls(engine, project, path)
        assert compose.variables["AIRFLOW_PORT"] == str(port)
        try:
            yield compose
        finally:
            compose.gone()

    def __call__(self, *words: str, timeout: float = 120, check: bool = True) -> str:
        """Output of ``docker compose`` with these words."""
        return self.engine.docker("compose", *self._options, *words, timeout=timeout, check=check).stdout

    @property
    def _options(self) -> list[str]:
        place = ("--project-directory", str(PROJECT_ROOT), "--env-file", str(self._file))
        files = ("--file", str(PROJECT_ROOT / "docker-compose.yaml"), "--file", str(_OVERRIDE))
        return ["--project-name", self.project, *place, *files, *(f"--profile={each}" for each in self._profiles)]

    @property
    def secrets(self) -> dict[str, str]:
        """The generated secrets, by their variables."""
        return {name: value for name, value in self.variables.items() if is_secret(name)}

    @property
    def url(self) -> str:
        """Where people reach the UI."""
        return f"http://127.0.0.1:{self.variables['AIRFLOW_PORT']}"

    def services(self) -> dict[str, dict[str, Any]]:
        """What the file says of each service, by name."""
        return dict(json.loads(self("config", "--format", "json"))["services"])

    def up(self) -> None:
        """Start everything and wait until it is healthy; on failure the ends of the logs are told."""
        try:
            self("up", "--detach", "--wait", "--pull", "never", "--no-build", timeout=_UP_SECONDS)
        except (AssertionError, subprocess.TimeoutExpired) as error:
            states = self("ps", "--all", "--format", "{{.Service}}: {{.Status}}", check=False)
            logs = self("logs", "--no-color", "--tail", "25", check=False)
            raise AssertionError(f"{error}\n{states}\n{logs}") from error

    def use_cluster(self) -> None:
        """From the next start on Spark works on the cluster of its profile."""
        local, cluster = "SPARK_MASTER=local[2]", "SPARK_MASTER=spark://spark-master:7077"
        text = self._file.read_text()
        assert local in text
        self._file.write_text(text.replace(local, cluster))
        self._profiles.append("cluster")

    def gone(self) -> None:
        """Take everything away, volumes as well; harmless when there is nothing."""
        self.hang_up()
        self("down", "--volumes", "--timeout", "20", timeout=300)

    @property
    def up_now(self) -> bool:
        """Whether there is somebody to ask."""
        return bool(self("ps", "--quiet", _ASKED_IN).strip())

    def container(self, service: str) -> dict[str, Any]:
        """What the engine knows of a service's container."""
        found = self.containers(service)
        assert len(found) == 1, f"{service}: {[each['Name'] for each in found]}"
        return found[0]

    def containers(self, *services: str) -> list[dict[str, Any]]:
        """What the engine knows of all containers of the project, or of those of some services."""
        names = self("ps", "--all", "--quiet", *services).split()
        return list(json.loads(self.engine.docker("inspect", *names).stdout)) if names else []

    def ask(self, name: str, **more: Any) -> Any:
        """An answer of :mod:`tests.compose.inside`. Raises :class:`AssertionError` when there is none."""
        process = self._inside
        if process is None or process.poll() is not None:
            process = self._inside = self._call_inside()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps({"ask": name, **more}) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except OSError:
            line = ""
        if not line:
            self.hang_up()
            raise AssertionError(f"{_ASKED_IN} does not answer")
        answer = json.loads(line)
        assert "error" not in answer, answer["error"]
        return answer["answer"]

    def hang_up(self) -> None:
        """End the process inside, if there is one."""
        if self._inside is not None:
            self._inside.kill()
            self._inside.communicate()
            self._inside = None

    def _call_inside(self) -> subprocess.Popen[str]:
        words = ("exec", "--no-TTY", _ASKED_IN, "python", "-u", "-c", _INSIDE.read_text())
        return subprocess.Popen(
            [self.engine.program, "compose", *self._options, *words],
            env=self.engine.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )


def build_own_images(compose: Compose, folder: Path) -> None:
    """With ``docker compose build``, as docs/operations.md tells; quick when nothing has changed.

    ``folder``: for what this machine needs beside that, to reach a package index.
    """
    files = _site_files()
    build = {"network": "host", "secrets": sorted(files)}
    site = {
        "services": {name: {"build": build} for name, said in compose.services().items() if "build" in said},
        "secrets": {key: {"file": path} for key, path in files.items()},
    }
    (folder / "site.json").write_text(json.dumps(site))  # JSON is YAML
    compose("--file", str(folder / "site.json"), "build", "--quiet", timeout=1800)


def _site_files() -> dict[str, str]:
    """What this machine has of its own, by the names of the build's secrets."""
    files = {
        "site_ca": os.environ.get("SSL_CERT_FILE", ""),
        "netrc": os.environ.get("NETRC", str(Path.home() / ".netrc")),
        "ivy_settings": os.environ.get("PIPELINE_IVY_SETTINGS", ""),
    }
    return {key: path for key, path in files.items() if path and Path(path).is_file()}
