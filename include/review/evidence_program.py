"""Which code ran, with which settings."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib import metadata
from typing import Any

from pydantic import SecretStr

from include.review.evidence import BlockKind
from include.review.evidence_redaction import HIDDEN
from include.review.evidence_source import Found, Source, missing
from include.runtime.temporary_settings import TemporarySettings
from include.settings import PROJECT_ROOT, Settings

_GIT_SECONDS = 2.0
_PACKAGES = ("apache-airflow", "confluent-kafka", "mysql-connector-python", "pyspark", "SQLAlchemy")


def program_sources(settings: Settings) -> tuple[Source, ...]:
    """Commit and versions; every setting."""
    return (
        Source("code", BlockKind.CODE, read_code),
        Source("settings", BlockKind.SETTINGS, lambda: read_settings(settings)),
    )


def read_code() -> Found:
    """The commit that is checked out, and which files differ from it; "not available" without a repository."""
    try:
        commit, at, subject = _git("log", "-1", "--format=%H%n%cI%n%s").split("\n", 2)
        changed = _git("status", "--porcelain", "--untracked-files=no").splitlines()
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        return missing(f"no commit: {_said(error)}", {"versions": _versions()})
    content = {"commit": commit, "committed_at": at, "subject": subject, "changed": changed, "versions": _versions()}
    state = f"{len(changed)} files differ from it" if changed else "nothing differs from it"
    return Found(content, True, "", (f"commit {commit[:12]} of {at}, {state}",), {"commit": commit})


def read_settings(settings: Settings) -> Found:
    """All of them, those that are not as delivered, and those that a remedy has changed for a time."""
    every = {
        name: (HIDDEN if value.get_secret_value() else "") if isinstance(value, SecretStr) else _plain(value)
        for name, value in settings
    }
    delivered = {name: info.default for name, info in Settings.model_fields.items()}
    own = {name: every[name] for name, value in settings if value != delivered[name]}
    temporary = [
        {"name": each.name, "value": each.value, "before": each.before, "by": each.by, "because": each.because}
        | {"incident_id": each.incident_id, "since": each.since}
        for each in TemporarySettings(settings.run_dir).all()
    ]
    lines = [f"for a time: {each['name']} = {each['value']} instead of {each['before']}" for each in temporary]
    content = {"settings": every, "not_as_delivered": own, "temporary": temporary}
    return Found(content, True, "", tuple(lines), {"temporary_settings": len(temporary)})


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(PROJECT_ROOT), *arguments],  # noqa: S607 - where git lies is the machine's business
        env={**os.environ, "GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_GIT_SECONDS,
        check=True,
    )
    return done.stdout.strip()


def _said(error: Exception) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        return str(error.stderr).strip() or str(error)
    return str(error) or type(error).__name__


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "machine": platform.platform()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
