"""A real browser in the Airflow UI of a running stack, as a person uses it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from include.stack import airflow
from include.stack.secrets import read_secret
from tests.support.packages import install
from tests.support.pipeline import Pipeline

if TYPE_CHECKING:
    from playwright.sync_api import Page

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_ARGUMENTS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)


@cache
def find_browser() -> str:
    """Path of an installed Chromium; installs Debian's if that is allowed. Skips the test, and says why, if not."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        install("chromium")
        found = shutil.which("chromium")
    if found is None:
        pytest.skip(f"no browser: none of {', '.join(NAMES)} is installed, and this account may not install one")
    return found


@contextmanager
def logged_in(stack: Pipeline, user: str | None = None) -> Iterator[Page]:
    """A page of the Airflow UI, logged in as ``user`` (the administrator if none is named)."""
    from playwright.sync_api import sync_playwright

    secrets = {
        stack.settings.airflow_admin_user: "airflow_admin_password",
        stack.settings.airflow_oncall_user: "airflow_oncall_password",
    }
    name = user or stack.settings.airflow_admin_user
    executable = find_browser()
    with tempfile.TemporaryDirectory(prefix="browser-") as profile, sync_playwright() as playwright:
        browser = playwright.chromium.launch_persistent_context(
            profile, executable_path=executable, args=_ARGUMENTS.split(), viewport={"width": 1400, "height": 1000}
        )
        try:
            page = browser.new_page()
            page.set_default_timeout(30_000)
            page.goto(airflow.url(stack.settings))
            page.fill("input[name=username]", name)
            page.fill("input[name=password]", read_secret(stack.settings, secrets[name]))
            page.click("button[type=submit]")
            page.wait_for_url(lambda url: "login" not in url)
            yield page
        finally:
            browser.close()


def keep_picture(page: Page, name: str) -> None:
    """A screenshot for the README, if the variable ``PICTURES`` names a folder."""
    if folder := os.environ.get("PICTURES"):
        page.screenshot(path=str(Path(folder) / name))
