"""The settings that the running stack was started with, and the feed whose data the run-time folder holds.

Commands given later (``make status``, ``make down``) speak of what runs, whatever the environment says now. Trade ids
of different feeds cannot be mixed in one topic and one table, so a folder belongs to one feed.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from include.runtime.files import write_whole
from include.settings import ENV_FILE_VARIABLE, PREFIX, PROJECT_ROOT, Feed, Settings, load_settings
from include.stack.errors import FeedMismatchError, StackError

_SECRET_FIELDS = {name for name in Settings.model_fields if "password" in name}


def remember(settings: Settings) -> None:
    """Write down the settings of the stack that is about to start."""
    path = _running_path(settings)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_whole(path, json.dumps(_dump(settings), indent=1))


def remembered(settings: Settings) -> Settings:
    """The settings of the stack in ``settings.home``, or ``settings`` when none was started there."""
    path = _running_path(settings)
    return load_settings(**json.loads(path.read_text())) if path.is_file() else settings


def differences(settings: Settings, running: Settings) -> list[str]:
    """Settings that differ, in words."""
    wanted, present = _dump(settings), _dump(running)
    names = sorted(wanted.keys() | present.keys())
    changed = [name for name in names if wanted.get(name) != present.get(name)]
    return [f"{PREFIX}{n.upper()}: running {present.get(n)}, asked {wanted.get(n)}" for n in changed]


def environment(settings: Settings) -> dict[str, str]:
    """Our environment with exactly these settings in it (secrets go by file), for a process of the stack."""
    others = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    exact = {ENV_FILE_VARIABLE: os.devnull, "PYTHONPATH": str(PROJECT_ROOT)}
    return {**others, **variables(settings), **without_proxy(), **exact}


def without_proxy() -> dict[str, str]:
    """What keeps requests to loopback away from a site's proxy."""
    hosts = [
        *filter(None, os.environ.get("no_proxy", os.environ.get("NO_PROXY", "")).split(",")),
        "127.0.0.1",
        "localhost",
    ]
    return dict.fromkeys(("no_proxy", "NO_PROXY"), ",".join(dict.fromkeys(hosts)))


def variables(settings: Settings) -> dict[str, str]:
    """The settings as environment variables."""
    dump = _dump(settings)
    return {PREFIX + name.upper(): _as_text(value) for name, value in dump.items()}


def _as_text(value: Any) -> str:
    if isinstance(value, dict):
        value = [f"{key}={item}" for key, item in value.items()]
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def check_feed(settings: Settings) -> None:
    """Raise :class:`FeedMismatchError` when the run-time folder holds another feed's data, and :class:`StackError`
    when the file to replay is not there.
    """
    if settings.replay_file is not None and not settings.replay_file.is_file():
        raise StackError(f"{PREFIX}REPLAY_FILE: received {settings.replay_file}: there is no such file.")
    path, feed = _feed_path(settings), _feed_identity(settings)
    if path.is_file() and (present := json.loads(path.read_text())) != feed:
        raise FeedMismatchError(
            f"{settings.home} holds the data of {_describe(present)}, but {_describe(feed)} is asked for, and their "
            f"trade ids cannot be mixed. Run make clean to drop that data, or set {PREFIX}HOME to another folder."
        )


def claim_feed(settings: Settings) -> None:
    """Bind the run-time folder to the feed; to be done when its processes are about to start."""
    path = _feed_path(settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(_feed_identity(settings)))


def _feed_path(settings: Settings) -> Path:
    return settings.data_dir / "feed.json"


def _feed_identity(settings: Settings) -> dict[str, str]:
    identity = {"feed": settings.feed.value}
    if settings.feed is Feed.REPLAY and settings.replay_file is not None:
        identity |= {"file": settings.replay_file.name, "sha256": _digest(settings.replay_file)}
    if settings.feed is Feed.GENERATED:
        identity["seed"] = str(settings.generator_seed)
    return identity


def _describe(identity: dict[str, str]) -> str:
    details = [f"{key} {identity[key]}" for key in ("file", "seed") if key in identity]
    return f"the {identity['feed']} feed" + (f" ({', '.join(details)})" if details else "")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _dump(settings: Settings) -> dict[str, Any]:
    dump: dict[str, Any] = settings.model_dump(mode="json", exclude=_SECRET_FIELDS, exclude_none=True)
    return dump


def _running_path(settings: Settings) -> Path:
    return settings.run_dir / "settings.json"
