"""Airflow with a temporary home, and the product's Dags in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from include.incidents.factory import store_from_settings
from include.incidents.store import IncidentStore
from include.settings import Settings, get_settings
from tests.support.airflow_home import use_temporary_airflow_home

use_temporary_airflow_home()


@pytest.fixture(scope="session")
def dags() -> Any:
    """All Dags, in a database of Airflow's own."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
    from airflow.utils import db

    db.initdb()
    DagBundlesManager().sync_bundles_to_db()
    folder = Path(__file__).resolve().parents[2] / "dags"
    bag = DagBag(dag_folder=str(folder))
    sync_bag_to_db(bag, "dags-folder", None)
    return bag.dags


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    monkeypatch.setenv("PIPELINE_HOME", str(tmp_path / "var"))
    get_settings.cache_clear()
    yield get_settings()
    get_settings.cache_clear()


@pytest.fixture
def store(settings: Settings) -> Iterator[IncidentStore]:
    with closing(store_from_settings(settings)) as opened:
        yield opened
