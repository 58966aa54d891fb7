"""The incident store that the settings name."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import URL, make_url

from include.incidents.sql_store import SqlIncidentStore
from include.incidents.store import IncidentStore
from include.runtime.clock import Clock
from include.settings import Settings


def store_from_settings(settings: Settings, clock: Clock | None = None) -> IncidentStore:
    """The store; it connects, and makes its tables, at first use. ``close()`` it at the end."""
    reopen = timedelta(minutes=settings.incident_reopen_minutes)
    return SqlIncidentStore(store_url(settings).render_as_string(hide_password=False), clock, reopen)


def store_url(settings: Settings) -> URL:
    """Where the store is. Its text hides the password."""
    if not settings.incident_store_url:
        return URL.create("sqlite", database=str(settings.data_dir / "incidents" / "incidents.db"))
    url = make_url(settings.incident_store_url)
    password = settings.incident_store_password.get_secret_value()
    return url.set(password=password) if password else url
