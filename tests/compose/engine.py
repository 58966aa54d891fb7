"""The Docker engine that the tests use: the person's own, else a private one for the time of the tests."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support import debian
from tests.support.debian import NotToBeHadError
from tests.support.waiting import wait_for

_PACKAGES = ["docker.io", "containerd", "docker-cli", "docker-compose", "docker-buildx"]
_STATIC_INIT = "tini"  # has no dependency, is docker-init in each container
_PROGRAMS = {
    "dockerd": "usr/sbin/dockerd",
    "docker-proxy": "usr/sbin/docker-proxy",
    "docker": "usr/bin/docker",
    "containerd": "usr/bin/containerd",
    "containerd-shim-runc-v2": "usr/bin/containerd-shim-runc-v2",
    "docker-init": "usr/bin/tini-static",
    "runc": "usr/sbin/runc",
}


@dataclass(frozen=True)
class Engine:
    """An engine that answers, and how it is spoken to. ``private``: started by us; nothing else runs in it."""

    private: bool
    environment: dict[str, str] = field(default_factory=lambda: dict(os.environ))

    @property
    def program(self) -> str:
        """Docker's command."""
        return shutil.which("docker", path=self.environment["PATH"]) or "docker"

    def docker(self, *arguments: str, timeout: float = 600, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run ``docker`` with these arguments. Raises :class:`AssertionError` with what it said if it fails."""
        done = subprocess.run(
            [self.program, *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if check and done.returncode != 0:
            said = (done.stdout + done.stderr)[-4000:]
            raise AssertionError(f"docker {' '.join(arguments)} ended with {done.returncode}:\n{said}")
        return done

    def answers(self) -> bool:
        """Engine, Compose and Buildx are there."""
        if not shutil.which("docker", path=self.environment["PATH"]):
            return False
        asked = (("version",), ("compose", "version"), ("buildx", "version"))
        return all(self.docker(*words, timeout=30, check=False).returncode == 0 for words in asked)


@contextmanager
def engine(cache: Path) -> Iterator[Engine]:
    """The engine that ``DOCKER_HOST`` or the usual socket gives; else a private one, its images kept in ``cache``.

    Raises :class:`NotToBeHadError` where neither is possible.
    """
    own = Engine(private=False)
    if own.answers():
        yield own
        return
    if os.geteuid() != 0:
        raise NotToBeHadError("no Docker engine answers (docker version), and to start a private one takes root")
    programs = debian.kept(cache / "programs", _unpack)
    with tempfile.TemporaryDirectory(prefix="engine-") as folder:
        private = Engine(private=True, environment=_environment(programs, Path(folder)))
        with _running(private, Path(folder), cache / "data"):
            yield private


def _unpack(target: Path) -> None:
    """The engine's programs, all in ``target / "bin"``."""
    machine = debian.this_machine()
    debian.unpack(machine, debian.DOCKER_SUITE, [*_PACKAGES, _STATIC_INIT], target / "root")
    debian.unpack(machine, machine.codename, ["runc"], target / "root")  # linked to this release's C library
    (target / "bin").mkdir()
    for name, place in _PROGRAMS.items():
        (target / "bin" / name).symlink_to(Path("..") / "root" / place)


def _environment(programs: Path, folder: Path) -> dict[str, str]:
    plugins = folder / "config" / "cli-plugins"
    plugins.mkdir(parents=True)
    for plugin in (programs / "root" / "usr" / "libexec" / "docker" / "cli-plugins").iterdir():
        (plugins / plugin.name).symlink_to(plugin)
    return {
        **os.environ,
        "PATH": f"{programs / 'bin'}:{os.environ['PATH']}",
        "DOCKER_HOST": f"unix://{folder / 'docker.sock'}",
        "DOCKER_CONFIG": str(plugins.parent),
    }


@contextmanager
def _running(engine: Engine, folder: Path, data: Path) -> Iterator[None]:
    """The daemon, ended by its pid. It touches neither firewall nor routes, and makes no bridge of its own."""
    (folder / "daemon.json").write_text("{}")
    command = [
        *("dockerd", "--config-file", str(folder / "daemon.json"), "--host", engine.environment["DOCKER_HOST"]),
        *("--data-root", str(data), "--exec-root", str(folder / "exec"), "--pidfile", str(folder / "docker.pid")),
        *("--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false"),
    ]
    log = data.with_name("dockerd.log")
    data.mkdir(parents=True, exist_ok=True)
    program = shutil.which("dockerd", path=engine.environment["PATH"])
    with log.open("wb") as output:
        daemon = subprocess.Popen(
            command,
            executable=program,
            env=engine.environment,
            stdout=output,
            stderr=output,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    try:
        wait_for(lambda: daemon.poll() is not None or engine.answers(), 60, f"the engine answers; see {log}")
        if daemon.poll() is not None:
            raise NotToBeHadError(f"the private engine ended at once: {log.read_text()[-800:]}")
        yield
    finally:
        daemon.send_signal(signal.SIGTERM)
        try:
            daemon.wait(60)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()
