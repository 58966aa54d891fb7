"""The guardrails of the incident store that the settings name."""

from __future__ import annotations

from include.guardrails.guardrails import Guardrails
from include.guardrails.sql import SqlGuardrails
from include.incidents.factory import store_url
from include.runtime.clock import Clock
from include.settings import Settings


def guardrails_from_settings(settings: Settings, clock: Clock | None = None) -> Guardrails:
    """They connect, and make their tables, at first use. ``close()`` them at the end."""
    return SqlGuardrails(store_url(settings).render_as_string(hide_password=False), clock)
