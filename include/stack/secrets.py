"""Secrets, generated at first start: one file each under ``<home>/secrets``, readable by the owner only.

Never in the environment of a command line, a configuration file or a log; ``include.settings`` reads the ones that are
settings (``mysql_password``) from the same files.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable
from pathlib import Path

from include.runtime.files import write_whole
from include.settings import PREFIX, Settings
from include.stack.errors import StackError


def _password() -> str:
    return secrets.token_urlsafe(18)


def _key() -> str:
    return secrets.token_hex(32)


def _fernet_key() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


_GENERATORS: dict[str, Callable[[], str]] = {
    "mysql_password": _password,
    "mysql_root_password": _password,
    "airflow_admin_password": _password,
    "airflow_oncall_password": _password,  # the second person, who approves what the first one asks for
    "airflow_supervision_password": _password,  # the triggers' read-only account
    "airflow_jwt_secret": _key,
    "airflow_secret_key": _key,
    "airflow_fernet_key": _fernet_key,
}


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
    for name, generate in _GENERATORS.items():
        path, given = secret_path(settings, name), _given(settings, name)
        if not path.is_file():
            write_secret(path, given or generate())
        elif given and given != path.read_text():
            raise StackError(
                f"{PREFIX}{name.upper()} is not the one that the data in {settings.home} was made with. Unset it, or "
                "run make clean to start anew."
            )


def write_secret(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    write_whole(path, text, 0o600)


def _given(settings: Settings, name: str) -> str:
    return str(getattr(settings, name).get_secret_value()) if name in Settings.model_fields else ""


def read_secret(settings: Settings, name: str) -> str:
    """One secret. A setting from the environment wins over the generated file."""
    return _given(settings, name) or secret_path(settings, name).read_text().strip()
