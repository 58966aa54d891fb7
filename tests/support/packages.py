"""Debian's packages for tests that need a program which Python's packages do not bring."""

from __future__ import annotations

import os
import shutil
import subprocess

_SECONDS = 300


def install(package: str) -> None:
    """Install it if this account may; otherwise, or if it cannot be had, nothing happens."""
    installer = shutil.which("apt-get")
    if os.geteuid() != 0 or installer is None:
        return
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    keep = ["-o", "Dpkg::Options::=--force-confold"]
    for arguments in (["update"], ["install", "-y", "--no-install-recommends", *keep, package]):
        subprocess.run(
            [installer, "-q", *arguments], env=environment, timeout=_SECONDS, capture_output=True, check=False
        )
