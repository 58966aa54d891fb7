"""Debian's packages without installing them, from the mirror and with the settings of this machine's own apt."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

# the first release whose Compose and BuildKit have what the stack needs; they also run on the release before it
DOCKER_SUITE = "trixie"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_SECONDS = 300


class NotToBeHadError(Exception):
    """What was asked for cannot be had on this machine; the text says why."""


@dataclass(frozen=True)
class Debian:
    """This machine's release and where it gets its packages from."""

    mirror: str
    codename: str


def this_machine() -> Debian:
    """Raises :class:`NotToBeHadError` on anything but a Debian with a mirror."""
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        release = {}
    if release.get("ID") != "debian" or not shutil.which("apt-get") or not KEYRING.is_file():
        raise NotToBeHadError(f"this is no Debian but {release.get('PRETTY_NAME', platform.system())}")
    codename = release["VERSION_CODENAME"]
    targets = run(["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(CREATED_BY)"]).splitlines()
    own = [line.split()[0] for line in targets if line.split()[1:] == [codename, "Packages"]]
    if not own:
        raise NotToBeHadError(f"apt's sources name no mirror of Debian {codename}")
    return Debian(own[0], codename)


def acquire_settings() -> str:
    """Proxies, time limits and the like of this machine's apt, in apt's own words."""
    return run(["apt-config", "dump", "Acquire"])


def unpack(debian: Debian, suite: str, packages: list[str], target: Path) -> None:
    """Download these packages of ``suite``, without what they depend on, and unpack them into ``target``."""
    apt = target.with_name(f"{target.name}.apt")
    shutil.rmtree(apt, ignore_errors=True)
    for part in ("lists/partial", "cache/archives/partial", "packages"):
        (apt / part).mkdir(parents=True)
    sources, configuration = apt / "sources.list", apt / "apt.conf"
    sources.write_text(f"deb [signed-by={KEYRING}] {debian.mirror} {suite} main\n")
    configuration.write_text(
        f'Dir::Etc::sourcelist "{sources}";\nDir::Etc::sourceparts "{apt / "none"}";\n'
        f'Dir::State::lists "{apt / "lists"}";\nDir::Cache "{apt / "cache"}";\n'
        f'APT::Sandbox::User "root";\n{acquire_settings()}'
    )
    environment = {**os.environ, "APT_CONFIG": str(configuration)}
    run(["apt-get", "-q", "update"], environment)
    run(["apt-get", "-q", "download", *packages], environment, apt / "packages")
    for package in sorted((apt / "packages").glob("*.deb")):
        run(["dpkg-deb", "--extract", str(package), str(target)])
    shutil.rmtree(apt)


def kept(target: Path, make: Callable[[Path], None]) -> Path:
    """``target``; the first time it is made, as a whole or not at all."""
    if not target.is_dir():
        fresh = target.with_name(f"{target.name}.new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        make(fresh)
        fresh.rename(target)
    return target


def run(command: list[str], environment: dict[str, str] | None = None, folder: Path | None = None) -> str:
    """Output of a command. Raises :class:`NotToBeHadError` if it fails."""
    try:
        done = subprocess.run(
            command, env=environment, cwd=folder, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotToBeHadError(f"{' '.join(command[:2])}: {error}") from error
    if done.returncode != 0:
        raise NotToBeHadError(f"{' '.join(command[:2])}: {(done.stderr or done.stdout).strip()[-800:]}")
    return done.stdout
