"""Airflow with a temporary home."""

from __future__ import annotations

from tests.support.airflow_home import use_temporary_airflow_home

use_temporary_airflow_home()
