"""Official images where no image registry can be reached: built here from Debian's packages, under the official names.

A stand-in honours of the official image what ``docker-compose.yaml`` uses of it. It is kept under a name of its own,
with a digest of what it is made from as the tag, so it is made anew only when that has changed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from include.settings import Settings
from include.stack.artifacts import fetch
from include.stack.java import find_java
from tests.compose.engine import Engine
from tests.support import debian
from tests.support.debian import NotToBeHadError

_OWN = "crypto-pipeline-standin"
_FOLDER = Path(__file__).with_name("images")
_BASE_SUITE = "bookworm"
_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")  # this machine's authorities; there may be a site's own among them
_IN_IMAGE = "/etc/ssl/certs/host-authorities.crt"
_PULL_SECONDS = 600


@dataclass(frozen=True)
class Image:
    """An official image as the tests found it."""

    name: str
    genuine: bool
    detail: str  # what it really is

    def __str__(self) -> str:
        return f"{self.name}: {'genuine' if self.genuine else f'stand-in ({self.detail})'}"


class Images:
    """Makes the images of the stack present in an engine, and takes the borrowed names away again."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self._engine, self._settings = engine, settings
        self._borrowed: list[str] = []
        self._registry = True

    def ensure(self, name: str) -> Image:
        """The official image ``name``: present, pulled, or a stand-in. Raises :class:`NotToBeHadError`."""
        if self._present(name) or self._pulled(name):
            return Image(name, genuine=not (own := self._label(name)), detail=own)
        folder = _FOLDER / _kind(name)
        if not folder.is_dir():
            raise NotToBeHadError(f"{name} can neither be pulled nor is there a stand-in for it in {_FOLDER}")
        made = self._stand_in(folder)
        self._engine.docker("tag", made, name)
        self._borrowed.append(name)
        return Image(name, genuine=False, detail=self._label(name))

    def give_back(self) -> None:
        """The official names are free for the real images again; the stand-ins stay cached."""
        for name in self._borrowed:
            self._engine.docker("rmi", "--no-prune", name, check=False)
        self._borrowed.clear()

    def _pulled(self, name: str) -> bool:
        """From the registry, which is not asked again once it did not answer."""
        if self._registry:
            try:
                self._engine.docker("pull", "--quiet", name, timeout=_PULL_SECONDS)
            except (AssertionError, subprocess.TimeoutExpired):
                self._registry = False
        return self._registry

    def _present(self, name: str) -> bool:
        return self._engine.docker("image", "inspect", name, check=False).returncode == 0

    def _label(self, name: str) -> str:
        """What a stand-in says that it is; empty for a genuine image."""
        form = '{{index .Config.Labels "stand-in"}}'
        return self._engine.docker("image", "inspect", "--format", form, name).stdout.strip().replace("<no value>", "")

    def _stand_in(self, folder: Path) -> str:
        base = self._base()
        jars = (
            fetch(self._settings, find_java(self._settings.cache), "kafka", print) if folder.name == "kafka" else None
        )
        made = (
            f"{_OWN}/{folder.name}:{_digest(folder, base, *(sorted(p.name for p in jars.iterdir()) if jars else ()))}"
        )
        if not self._present(made):
            machine = debian.this_machine()
            self._engine.docker(
                *("build", "--quiet", "--network", "host", "--tag", made),
                *("--build-arg", f"BASE={base}", "--build-arg", f"MIRROR={machine.mirror}"),
                *(("--build-context", f"jars={jars}") if jars else ()),
                str(folder),
                timeout=900,
            )
        return made

    def _base(self) -> str:
        """A minimal Debian with this machine's authorities and its way to the packages."""
        machine, acquire = debian.this_machine(), debian.acquire_settings()
        bundle = _BUNDLE.read_bytes() if _BUNDLE.is_file() else b""
        digest = hashlib.sha256(b"\0".join([machine.mirror.encode(), acquire.encode(), bundle, _BASE_SUITE.encode()]))
        name = f"{_OWN}/debian:{digest.hexdigest()[:16]}"
        if not self._present(name):
            if os.geteuid() != 0:
                raise NotToBeHadError("a stand-in needs debootstrap, and that needs root")
            with tempfile.TemporaryDirectory(prefix="base-", dir=_made(self._settings.cache / "engine")) as work:
                root = _bootstrapped(machine, Path(work))
                (root / "etc/apt/apt.conf.d/90machine").write_text(acquire)
                if bundle:
                    for place in (_IN_IMAGE, str(_BUNDLE)):
                        (root / place.lstrip("/")).write_bytes(bundle)
                self._import(root, name)
        return name

    def _import(self, root: Path, name: str) -> None:
        changes = [f"ENV {v}={_IN_IMAGE}" for v in ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE")]
        changes += ['CMD ["bash"]', f'LABEL stand-in="Debian {_BASE_SUITE}"']
        options = [word for change in changes for word in ("--change", change)]
        tar = shutil.which("tar") or "tar"
        with subprocess.Popen([tar, "-C", str(root), "-cf", "-", "."], stdout=subprocess.PIPE) as archive:
            subprocess.run(
                [self._engine.program, "import", *options, "-", name],
                env=self._engine.environment,
                stdin=archive.stdout,
                capture_output=True,
                check=True,
            )


def _bootstrapped(machine: debian.Debian, work: Path) -> Path:
    """The root of a minimal Debian, made by Debian's own tool, which need not be installed."""
    debian.unpack(machine, machine.codename, ["debootstrap"], work / "tool")
    scripts, root = work / "tool" / "usr" / "share" / "debootstrap", work / "root"
    debian.run(
        [
            *(str(work / "tool" / "usr" / "sbin" / "debootstrap"), "--variant=minbase", "--include=ca-certificates"),
            *(_BASE_SUITE, str(root), machine.mirror),
        ],
        {**os.environ, "DEBOOTSTRAP_DIR": str(scripts)},
    )
    for waste in ("var/cache/apt/archives", "var/lib/apt/lists"):
        shutil.rmtree(root / waste)
        (root / waste / "partial").mkdir(parents=True)
    return root


def _kind(name: str) -> str:
    """``apache/kafka:4.1.0`` → ``kafka``."""
    return name.partition("@")[0].rpartition("/")[2].partition(":")[0]


def _digest(folder: Path, *more: str) -> str:
    digest = hashlib.sha256("\0".join(more).encode())
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(str(path.relative_to(folder)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder
