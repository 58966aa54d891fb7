"""Where the incident store is, and that its password is shown nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from include.incidents.factory import store_from_settings, store_url
from include.incidents.model import IncidentState, OpenOutcome
from include.runtime.clock import ManualClock
from include.settings import load_settings
from include.settings_errors import SettingsError
from tests.support.incident_stores import START_MS, Backend, new_incident, walk

NO_FILE = Path("/dev/null")


def test_by_default_the_store_is_a_file_of_its_own(tmp_path: Path) -> None:
    settings = load_settings(NO_FILE, home=tmp_path)
    path = tmp_path / "data" / "incidents" / "incidents.db"
    store = store_from_settings(settings)
    assert not path.exists()  # until it is used
    assert store.recent() == ()
    assert path.is_file()
    store.close()


def test_the_time_within_which_an_incident_is_reopened_is_a_setting(tmp_path: Path) -> None:
    settings = load_settings(NO_FILE, home=tmp_path, incident_reopen_minutes=1)
    clock = ManualClock(START_MS)
    backend = Backend(lambda: store_from_settings(settings, clock), clock)
    for seconds, outcome in ((0, OpenOutcome.OPENED), (59, OpenOutcome.REOPENED), (60, OpenOutcome.OPENED)):
        backend.clock.advance(seconds)
        incident, how = backend.store.open(new_incident(backend))
        assert how is outcome
        walk(backend, incident, IncidentState.RESOLVED)
    backend.close()


def test_the_password_comes_from_a_setting_of_its_own_and_is_not_shown(tmp_path: Path) -> None:
    values = {"incident_store_url": "postgresql://ops@db.local/incidents", "incident_store_password": "hunter2"}
    settings = load_settings(NO_FILE, home=tmp_path, **values)
    assert store_url(settings).password == "hunter2"
    assert "hunter2" not in f"{settings!r} {settings} {store_url(settings)} {store_url(settings)!r}"


@pytest.mark.parametrize(
    "url", ["postgresql://ops:hunter2@db.local/incidents", "mysql://ops:hunter2@db.local/x", "hunter2"]
)
def test_a_wrong_place_is_refused_without_being_shown(tmp_path: Path, url: str) -> None:
    with pytest.raises(SettingsError, match="PIPELINE_INCIDENT_STORE_URL") as refusal:
        load_settings(NO_FILE, home=tmp_path, incident_store_url=url)
    assert "hunter2" not in str(refusal.value)
