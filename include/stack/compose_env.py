"""``make compose-env``: write ``.env`` for docker-compose.yaml, once. What is there already is never changed.

The template is ``.env.example``. Nothing but the standard library is needed: whoever runs containers need not have the
packages installed.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from include.runtime.files import write_whole
from include.stack.errors import StackError
from include.stack.secret_values import GENERATORS, password

ROOT = Path(__file__).resolve().parents[2]
OWNER_ONLY = 0o600
SOCKET, GROUP = "DOCKER_SOCKET", "DOCKER_GID"

_ASSIGNMENT = re.compile(r"^[ \t]*(?:export[ \t]+)?([A-Za-z_][A-Za-z0-9_]*)[ \t]*=(.*)$", re.MULTILINE)
_SECRET = re.compile(r"_(PASSWORD|SECRET|KEY)$")


@dataclass(frozen=True)
class Written:
    """What was done. ``tightened``: the file could be read by others before."""

    created: bool
    added: tuple[str, ...]
    tightened: bool


def write_env(path: Path, template: str, environment: Mapping[str, str]) -> Written:
    """Make ``path`` hold every variable of ``template``, with values for the empty ones that need one.

    Raises :class:`StackError` when one is there without the value that it needs, or Docker's socket is not found.
    """
    old = path.read_text() if path.is_file() else None
    present = assignments(old or "")
    if empty := [name for name, value in present.items() if _needed(name) and not value]:
        raise StackError(
            f"{path} has no value for {', '.join(empty)}. Delete these lines to have values made, or give your own."
        )
    defaults = assignments(template)
    missing = [name for name in defaults if name not in present]
    if SOCKET in missing:
        defaults[SOCKET] = _socket(defaults[SOCKET], environment)
    socket = Path({**defaults, **present}[SOCKET])
    values = {name: _made(name, socket) if _needed(name) else defaults[name] for name in missing}
    tightened = old is not None and path.stat().st_mode & 0o077 != 0
    if old is None:
        write_whole(path, _filled(template, values), OWNER_ONLY)
    elif missing:
        lines = "".join(f"{name}={value}\n" for name, value in values.items())
        end = "" if old.endswith("\n") or not old else "\n"
        write_whole(path, f"{old}{end}\n# Added later; .env.example explains each\n{lines}", OWNER_ONLY)
    elif tightened:
        path.chmod(OWNER_ONLY)
    return Written(old is None, tuple(missing), tightened)


def assignments(text: str) -> dict[str, str]:
    """The variables of an environment file, in order; of a name that is there twice the last, as Compose does it."""
    return {name: value.strip().strip("\"'") for name, value in _ASSIGNMENT.findall(text)}


def is_secret(name: str) -> bool:
    """Whether a variable holds a secret, which is generated."""
    return bool(_SECRET.search(name))


def _needed(name: str) -> bool:
    return is_secret(name) or name == GROUP


def _made(name: str, socket: Path) -> str:
    return str(_group_of(socket)) if name == GROUP else GENERATORS.get(name.lower(), password)()


def _socket(default: str, environment: Mapping[str, str]) -> str:
    """Named by whoever calls, else where Docker's own client would look, else the usual place."""
    host = environment.get("DOCKER_HOST", "")
    return environment.get(SOCKET) or (host.removeprefix("unix://") if host.startswith("unix://") else default)


def _group_of(socket: Path) -> int:
    try:
        return socket.stat().st_gid
    except OSError as error:
        raise StackError(
            f"Docker's socket cannot be found: {socket}: {error.strerror}. Start Docker, or name the socket: "
            f"make compose-env {SOCKET}=/path/to/docker.sock"
        ) from error


def _filled(template: str, values: Mapping[str, str]) -> str:
    return _ASSIGNMENT.sub(lambda found: f"{found[1]}={values[found[1]]}", template)


def describe(path: Path, written: Written) -> str:
    """What was done, in words; never a value."""
    if written.created:
        secrets = sum(map(is_secret, written.added))
        said = f"{path} is written, for you alone: {len(written.added)} variables, {secrets} of them generated secrets."
    elif written.added:
        said = f"{path}: added {', '.join(written.added)}. Nothing else is changed."
    else:
        said = f"{path} is complete. Nothing is changed."
    return said + (" Others could read it; now only you can." if written.tightened else "")


def main() -> int:
    """Write ``.env`` in the project's root and return the exit code."""
    path = ROOT / ".env"
    try:
        written = write_env(path, (ROOT / ".env.example").read_text(), os.environ)
    except (StackError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(f"{describe(path, written)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
