"""A real systemd as the first process of a container, with programs as its units; it is asked through ``docker exec``.

Only the journal and the message bus run besides: nothing that would touch the machine itself.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

import docker
from include.services.systemd import SystemdController
from include.services.systemd_commands import SystemdCommands
from tests.support.docker_engine import IMAGE, make_image
from tests.support.waiting import wait_for

_SYSTEMD = Path("/lib/systemd/systemd")
_HOST_FOLDERS = ("/usr", "/lib", "/lib64", "/bin", "/sbin")
USER, USER_WITHOUT_JOURNAL = "10001:101", "10001:10001"
_JOURNAL = ("systemd-tmpfiles", "--create", "--prefix=/run/log/journal")  # its group, as on any host
_CALL_SECONDS = 8.0  # docker exec comes on top
_TARGET = """\
[Unit]
DefaultDependencies=no
Requires=systemd-journald.service dbus.service
After={units}
"""
_UNIT = """\
[Unit]
DefaultDependencies=no
StartLimitIntervalSec=0
[Service]
ExecStart={command}
TimeoutStopSec=60
"""
_BUS = """\
[Unit]
DefaultDependencies=no
Requires=dbus.socket
[Service]
Type=notify
ExecStart=/usr/bin/dbus-daemon --system --address=systemd: --nofork --nopidfile --systemd-activation
"""
_BUS_SOCKET = """\
[Unit]
DefaultDependencies=no
[Socket]
ListenStream=/run/dbus/system_bus_socket
"""
_ETC = {
    "passwd": "root:x:0:0::/root:/bin/sh\nmessagebus:x:100:100::/:/bin/false\npipeline:x:10001:10001::/:/bin/sh\n",
    "group": "root:x:0:\nmessagebus:x:100:\npipeline:x:10001:\nsystemd-journal:x:101:pipeline\n",
}


@contextmanager
def systemd_in_container(
    programs: Mapping[str, list[str]], folder: Path, *, etc: Mapping[str, str] | None = None, usr: Path | None = None
) -> Iterator[str]:
    """The container's name; its units are called as the programs. ``etc``: more files, by their name; ``usr``: a folder
    that lies over this machine's ``/usr``.
    """
    if not _SYSTEMD.exists():
        pytest.skip("this machine has no systemd to put into a container (package systemd)")
    units, name = folder / "units", f"pipeline-tests-systemd-{os.getpid()}-{folder.name}"
    units.mkdir()
    listed = " ".join(f"{each}.service" for each in programs)
    (units / "tests.target").write_text(_TARGET.format(units=listed))
    (units / "dbus.service").write_text(_BUS)
    (units / "dbus.socket").write_text(_BUS_SOCKET)
    for unit, argv in programs.items():
        (units / f"{unit}.service").write_text(_UNIT.format(command=" ".join(argv)))
    files = {**_ETC, **(etc or {})}
    for file, text in files.items():
        (folder / "etc" / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / "etc" / file).write_text(text)
    client = docker.APIClient(os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock"))
    make_image(client)
    places = {each: each for each in _HOST_FOLDERS if Path(each).exists()}
    places |= {sys.prefix: sys.prefix, sys.base_prefix: sys.base_prefix, str(folder): str(folder)}
    places |= {str(units): "/etc/systemd/system", **{str(folder / "etc" / file): f"/etc/{file}" for file in files}}
    if usr is not None:
        del places["/usr"]
    binds = [f"{source}:{target}:ro" for source, target in places.items()]
    options = client.create_host_config(
        binds=binds,
        mounts=[] if usr is None else [_overlay(usr)],
        privileged=True,
        network_mode="none",
        cgroupns="private",
        tmpfs={"/run": "", "/var/log": "", "/var/lib": ""},
    )
    command = [str(_SYSTEMD), "--unit=tests.target"]
    made = client.create_container(
        IMAGE, command, name=name, environment={"container": "docker"}, host_config=options, stop_signal="RTMIN+3"
    )
    try:
        client.start(made["Id"])
        wait_for(lambda: inside(name, "systemctl", "is-active", "tests.target").returncode == 0, 60, "systemd is up")
        inside(name, *_JOURNAL)
        yield name
    finally:
        client.remove_container(made["Id"], force=True, v=True)
        client.close()


def _overlay(usr: Path) -> docker.types.Mount:
    layers = {"type": "overlay", "device": "overlay", "o": f"lowerdir={usr}:/usr"}
    driver = docker.types.DriverConfig("local", layers)
    return docker.types.Mount("/usr", None, "volume", driver_config=driver)


def inside(name: str, *command: str) -> subprocess.CompletedProcess[str]:
    """A command in the container, by root."""
    whole = [shutil.which("docker") or "docker", "exec", name, *command]
    return subprocess.run(whole, capture_output=True, text=True, check=False, timeout=30)


def stop_answering(name: str) -> None:
    """systemd is suspended: from outside, as no signal from inside reaches a first process."""
    client = docker.APIClient(os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock"))
    os.kill(client.inspect_container(name)["State"]["Pid"], signal.SIGSTOP)
    client.close()


def controller_of(name: str, services: Mapping[str, object], folder: Path, user: str = "") -> SystemdController:
    """It speaks to the systemd in the container, as root or as another user with sudo."""
    prefix = ("docker", "exec", *(("--user", user) if user else ()), name)
    commands = SystemdCommands(prefix, sudo=bool(user), call_seconds=_CALL_SECONDS)
    units = {service: f"{service}.service" for service in services}
    return SystemdController(units, folder / "run", settle_seconds=1.0, commands=commands)
