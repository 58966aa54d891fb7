"""Evidence on disk: what was collected for an incident, and whether it is still what it was.

``data/evidence/<incident>/<number>/`` holds the blocks and, written last, ``manifest.json``: a folder without one is a
collection that was cut short.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import msgspec

from include.incidents.ids import parse_incident_id
from include.review.errors import ReviewError
from include.review.evidence import Manifest
from include.runtime.files import write_whole
from include.settings import Settings

MANIFEST = "manifest"  # also what :func:`verify` calls it
_FILE = f"{MANIFEST}.json"


def evidence_folder(settings: Settings, incident_id: str) -> Path:
    """All collections of an incident. Raises :class:`ReviewError` for what is no incident's id."""
    if parse_incident_id(incident_id) is None:
        raise ReviewError(f"{incident_id!r} is no incident; one is called like INC-2026-0001.")
    return settings.data_dir / "evidence" / incident_id


def claim(settings: Settings, incident_id: str, number: int | None) -> int:
    """Make the folder of a collection; without a ``number`` the next free one, also among several callers at once."""
    base = evidence_folder(settings, incident_id)
    base.mkdir(parents=True, exist_ok=True, mode=0o700)
    if number is not None:
        (base / str(number)).mkdir(exist_ok=True, mode=0o700)
        return number
    number = max(_numbers(base), default=0)
    while True:
        number += 1
        with suppress(FileExistsError):
            (base / str(number)).mkdir(mode=0o700)
            return number


def write_manifest(settings: Settings, manifest: Manifest) -> Manifest:
    """The end of a collection; returns it with its hash."""
    data = msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n"
    path = evidence_folder(settings, manifest.incident_id) / str(manifest.number) / _FILE
    write_whole(path, data.decode(), mode=0o600)
    return replace(manifest, sha256=hashlib.sha256(data).hexdigest())


def read_manifest(settings: Settings, incident_id: str, number: int) -> Manifest:
    """One collection. Raises :class:`ReviewError` if there is none, or if its manifest cannot be read."""
    path = evidence_folder(settings, incident_id) / str(number) / _FILE
    try:
        data = path.read_bytes()
        manifest = msgspec.json.decode(data, type=Manifest)
    except FileNotFoundError as error:
        raise ReviewError(f"There is no evidence {number} of {incident_id}.") from error
    except (OSError, msgspec.MsgspecError) as error:
        raise ReviewError(f"The manifest of evidence {number} of {incident_id} cannot be read: {error}") from error
    return replace(manifest, sha256=hashlib.sha256(data).hexdigest())


def manifests(settings: Settings, incident_id: str) -> tuple[Manifest, ...]:
    """All finished collections of an incident, oldest first."""
    base = evidence_folder(settings, incident_id)
    finished = [number for number in _numbers(base) if (base / str(number) / _FILE).is_file()]
    return tuple(read_manifest(settings, incident_id, number) for number in sorted(finished))


def verify(settings: Settings, manifest: Manifest) -> tuple[str, ...]:
    """Names of the blocks whose file is missing or changed; ``manifest`` if its own file is not what ``sha256`` says.

    Somebody who changes files and manifest together is found out by the hash in the incident's timeline.
    """
    folder = evidence_folder(settings, manifest.incident_id) / str(manifest.number)
    bad = [block.name for block in manifest.blocks if _hash(folder / Path(block.file).name) != block.sha256]
    return (*([MANIFEST] if _hash(folder / _FILE) != manifest.sha256 else []), *bad)


def block_path(settings: Settings, manifest: Manifest, name: str) -> Path:
    """File of a block. Raises :class:`ReviewError` if the manifest has no such block."""
    for block in manifest.blocks:
        if block.name == name:
            return evidence_folder(settings, manifest.incident_id) / str(manifest.number) / Path(block.file).name
    raise ReviewError(f"Evidence {manifest.number} of {manifest.incident_id} has no block {name!r}.")


def _hash(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""


def _numbers(base: Path) -> list[int]:
    return [int(each.name) for each in base.iterdir() if each.name.isdecimal()] if base.is_dir() else []
