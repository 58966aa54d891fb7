"""``bin/airflow`` speaks to this stack's Airflow, or says what is missing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from include.settings import PROJECT_ROOT, load_settings
from include.stack.running import environment
from include.stack.secrets import ensure_secrets


def ask(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    settings = load_settings(home=home)
    return subprocess.run(
        [sys.executable, "-m", "include.stack.airflow_cli", *arguments],
        env=environment(settings),
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_airflow_is_asked_with_the_configuration_of_this_stack(tmp_path: Path) -> None:
    ensure_secrets(load_settings(home=tmp_path))
    answer = ask(tmp_path, "config", "get-value", "core", "dags_folder")
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.strip() == str(PROJECT_ROOT / "dags")


def test_without_secrets_it_says_what_to_do(tmp_path: Path) -> None:
    answer = ask(tmp_path, "version")
    assert answer.returncode == 2
    assert "start the stack first" in answer.stderr
