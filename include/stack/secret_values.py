"""How each generated secret is made. Nothing but the standard library, so that it runs before anything is installed."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable


def password() -> str:
    """For accounts that people or programs log in with; fit for a URL and for a line of an environment file."""
    return secrets.token_urlsafe(18)


def _key() -> str:
    return secrets.token_hex(32)


def _fernet_key() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


GENERATORS: dict[str, Callable[[], str]] = {
    "mysql_password": password,
    "mysql_root_password": password,
    "airflow_admin_password": password,
    "airflow_oncall_password": password,  # the second person, who approves what the first one asks for
    "airflow_supervision_password": password,  # the triggers' read-only account
    "airflow_jwt_secret": _key,
    "airflow_secret_key": _key,
    "airflow_fernet_key": _fernet_key,
}
