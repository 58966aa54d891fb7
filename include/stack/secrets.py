"""Secrets, generated at first start: one file each under ``<home>/secrets``, readable by the owner only. In containers
somebody else hands them out, in a read-only folder (``secrets_folder``).

Never in the environment of a command line, a configuration file or a log; ``include.settings`` reads the ones that are
settings (``mysql_password``) from the same files.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from include.runtime.files import write_whole
from include.settings import PREFIX, Settings
from include.stack.errors import StackError
from include.stack.secret_values import GENERATORS


def secret_path(settings: Settings, name: str) -> Path:
    """File of one secret. Settings that are secrets carry the settings' prefix, so that they are found."""
    is_setting = name in Settings.model_fields
    return settings.secrets_dir / (f"{PREFIX}{name.upper()}".lower() if is_setting else name)


def ensure_secrets(settings: Settings) -> None:
    """Generate what is missing; what exists stays as it is. A secret given as a setting is kept like a generated one.

    Raises :class:`StackError` when a given one differs from the one that the data was made with.
    """
    settings.secrets_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    settings.secrets_dir.chmod(0o700)
    for name, generate in GENERATORS.items():
        path, given = secret_path(settings, name), _given(settings, name)
        if not path.is_file():
            write_secret(path, given or generate())
        elif given and given != path.read_text():
            raise StackError(
                f"{PREFIX}{name.upper()} is not the one that the data in {settings.home} was made with. Unset it, or "
                "run make clean to start anew."
            )


def check_secrets(settings: Settings) -> None:
    """Raise :class:`StackError` naming each secret that Airflow and the pipeline need and that cannot be read.

    For where somebody else has to hand them out: nothing is generated, and the folder may be read-only.
    """
    wanted = [name for name in GENERATORS if name != "mysql_root_password"]  # only the server's own
    for url in ("incident_store_url", "airflow_database_url"):
        if urlsplit(getattr(settings, url)).hostname:  # a server on a socket knows us by our user
            wanted.append(f"{url.removesuffix('_url')}_password")
    problems = [f"  {secret_path(settings, name)}: {why}" for name in wanted if (why := _problem(settings, name))]
    if problems:
        raise StackError(
            "These secrets are missing:\n" + "\n".join(problems) + "\nmake compose-env writes them into .env, from "
            "where docker compose hands them to each container; docker compose up must then be run again."
        )


def _problem(settings: Settings, name: str) -> str:
    try:
        return "" if read_secret(settings, name) else "the file is empty"
    except OSError as error:
        return error.strerror or str(error)


def write_secret(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    write_whole(path, text, 0o600)


def _given(settings: Settings, name: str) -> str:
    return str(getattr(settings, name).get_secret_value()) if name in Settings.model_fields else ""


def read_secret(settings: Settings, name: str) -> str:
    """One secret. A setting from the environment wins over the generated file."""
    return _given(settings, name) or secret_path(settings, name).read_text().strip()
