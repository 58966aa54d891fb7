"""Fetch the exact jars listed in ``artifacts.toml`` once into the cache: ``python -m include.stack.artifacts GROUP …``.

The resolver is the Ivy that ships inside PySpark: it knows the public repository, keeps what is complete (so an
interrupted fetch goes on where it was), and needs nothing but Java. A site's mirror is set with
``PIPELINE_IVY_SETTINGS`` (an Ivy settings file). Each jar is checked against its sha256 before it is used.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from include.settings import Settings, load_settings
from include.settings_errors import SettingsError
from include.stack.console import console, step
from include.stack.console import progress as show
from include.stack.errors import ArtifactError, StackError
from include.stack.java import Java, find_java

GROUPS = ("kafka", "spark", "mariadb")
Progress = Callable[[str], None]

_LOCK_FILE = Path(__file__).with_name("artifacts.toml")
_FETCHED = re.compile(r"\[SUCCESSFUL \] \S+#([^;]+);(\S+?)!")
_MODULE = """<ivy-module version="2.0">
  <info organisation="pipeline" module="{group}"/>
  <configurations><conf name="default"/></configurations>
  <dependencies>
{dependencies}
  </dependencies>
</ivy-module>
"""
_DEPENDENCY = '    <dependency org="{org}" name="{name}" rev="{version}" transitive="false" conf="default->master"/>'


@dataclass(frozen=True)
class Artifact:
    """One jar: its coordinates and its expected content."""

    org: str
    name: str
    version: str
    sha256: str

    @property
    def file_name(self) -> str:
        """Name in the cache."""
        return f"{self.name}-{self.version}.jar"


def load_artifacts(group: str) -> list[Artifact]:
    """The jars of one group, as locked."""
    lock = tomllib.loads(_LOCK_FILE.read_text())
    found = []
    for coordinates, sha256 in lock[group].items():
        org, name, version = coordinates.split(":")
        found.append(Artifact(org, name, version, sha256))
    return found


def jars_dir(settings: Settings, group: str) -> Path:
    """Where the jars of ``group`` lie in the cache."""
    return settings.cache / "jars" / group


def fetch(settings: Settings, java: Java, group: str, progress: Progress) -> Path:
    """Make sure that every jar of ``group`` is in the cache and intact; return their folder.

    ``progress`` is called with one line per step. Raises :class:`ArtifactError`.
    """
    folder = jars_dir(settings, group)
    artifacts = load_artifacts(group)
    stamp = folder / ".verified"
    digest = hashlib.sha256(repr(artifacts).encode()).hexdigest()
    if stamp.is_file() and stamp.read_text() == digest and all((folder / a.file_name).is_file() for a in artifacts):
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    progress(f"{group}: fetching {len(artifacts)} jars")
    _resolve(settings, java, group, artifacts, progress)
    _verify(folder, artifacts)
    stamp.write_text(digest)
    return folder


def _resolve(settings: Settings, java: Java, group: str, artifacts: list[Artifact], progress: Progress) -> None:
    folder = jars_dir(settings, group)
    module = folder / "ivy.xml"
    dependencies = "\n".join(_DEPENDENCY.format(org=a.org, name=a.name, version=a.version) for a in artifacts)
    module.write_text(_MODULE.format(group=group, dependencies=dependencies))
    command = [
        str(java.executable),
        *java.options,
        *_proxy_options(),
        *("-jar", str(_ivy_jar())),
        *("-ivy", str(module), "-m2compatible", "-types", "jar", "bundle"),
        *("-cache", str(settings.cache / "ivy")),
        *("-retrieve", f"{folder}/[artifact]-[revision].[ext]"),
    ]
    if settings.ivy_settings is not None:
        command += ["-settings", str(settings.ivy_settings)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        output = _follow(process, group, len(artifacts), progress)
    if process.returncode != 0:
        problems = [line for line in output if "[FAILED" in line or "not found" in line or "ERROR" in line]
        raise ArtifactError(
            f"The {group} jars could not be fetched (resolver exit code {process.returncode}). Check the network and "
            "run the command again; what is complete is kept.\n  " + "\n  ".join((problems or output)[-8:])
        )


def _proxy_options() -> list[str]:
    """A site's proxy in Java's words: it does not read the usual variables."""
    proxy = urlsplit(os.environ.get("https_proxy") or os.environ.get("HTTPS_PROXY") or "")
    if not proxy.hostname:
        return []
    return [f"-Dhttps.proxyHost={proxy.hostname}", f"-Dhttps.proxyPort={proxy.port or 80}"]


def _follow(process: subprocess.Popen[str], group: str, total: int, progress: Progress) -> list[str]:
    output, done = [], 0
    for raw in process.stdout or ():
        line = raw.strip()
        output.append(line)
        if match := _FETCHED.search(line):
            done += 1
            progress(f"{group}: {done}/{total} {match.group(1)} {match.group(2)}")
    return output


def _verify(folder: Path, artifacts: list[Artifact]) -> None:
    wrong = []
    for artifact in artifacts:
        path = folder / artifact.file_name
        received = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "nothing"
        if received != artifact.sha256:
            path.unlink(missing_ok=True)
            wrong.append(f"  {artifact.file_name}: expected sha256 {artifact.sha256}, received {received}")
    if wrong:
        raise ArtifactError(
            "These jars are not the ones expected, and were removed (delete the ivy folder of the cache to fetch "
            "them anew):\n" + "\n".join(wrong)
        )


def _ivy_jar() -> Path:
    import pyspark

    found = sorted((Path(os.fspath(pyspark.__path__[0])) / "jars").glob("ivy-*.jar"))
    if not found:
        raise ArtifactError("PySpark brings no Ivy jar: run make install")
    return found[-1]


def main(groups: Sequence[str]) -> int:
    """Fetch these groups, and make what Java itself needs in the cache: afterwards it may be read-only."""
    if not groups or set(groups) - set(GROUPS):
        sys.stderr.write(f"usage: python -m include.stack.artifacts GROUP ..., of: {', '.join(GROUPS)}\n")
        return 2
    try:
        settings = load_settings()
        java = find_java(settings.cache)
        for group in groups:
            with step(f"Jars: {group}"):
                fetch(settings, java, group, show)
    except (SettingsError, StackError, OSError) as error:
        console.print(str(error), style="red", markup=False, soft_wrap=True)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
