"""Each process can be launched with what a container gives: no process host, read-only secrets, a read-only cache."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from include.settings import PROJECT_ROOT, Settings, load_settings
from include.stack import launch
from include.stack.errors import StackError
from include.stack.java import Java
from include.stack.secrets import ensure_secrets

NAMES = [name for name in launch.NAMES if name not in {"kafka", "mysql"}]  # these come as images of their own


@pytest.fixture
def container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings as docker-compose.yaml gives them."""
    ensure_secrets(load_settings(home=tmp_path / "generated"))
    folder = tmp_path / "generated" / "secrets"
    (folder / "pipeline_airflow_database_password").write_text("of the database")
    folder.chmod(0o555)
    cache = tmp_path / "cache"
    cache.mkdir(mode=0o555)
    java = Java(tmp_path / "java", tmp_path / "java" / "bin" / "java")
    monkeypatch.setattr(launch, "find_java", lambda _cache: java)
    return load_settings(
        home=tmp_path / "home",
        cache=cache,
        secrets_folder=folder,
        listen_host="0.0.0.0",
        airflow_host="airflow-api-server",
        airflow_database_url="postgresql://airflow@postgres/airflow",
        spark_master="spark://spark-master:7077",
        service_adapter="docker",
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_process_is_launched_without_a_process_host(container: Settings, name: str) -> None:
    before = sorted(container.secrets_dir.iterdir())
    command, extra = launch.prepare(container, name)
    assert Path(command[0]).name in {Path(sys.executable).name, "java"}
    assert "of the database" not in " ".join(command)
    assert all(isinstance(value, str) for value in extra.values())
    assert not container.supervisor_socket.exists()
    assert sorted(container.secrets_dir.iterdir()) == before
    assert list(container.cache.iterdir()) == []


def test_airflow_is_reached_by_its_name_and_listens_for_the_others(container: Settings) -> None:
    _, extra = launch.prepare(container, "airflow-api-server")
    assert extra["AIRFLOW__API__HOST"] == "0.0.0.0"
    assert extra["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == "http://airflow-api-server:8080/execution/"
    database = "postgresql+psycopg://airflow:of the database@postgres/airflow"
    assert extra["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].replace("+the+", " the ").replace("%20", " ") == database


def test_the_master_is_where_the_processor_looks_for_it(container: Settings) -> None:
    command, extra = launch.prepare(container, "spark-master")
    at = command.index("org.apache.spark.deploy.master.Master")
    assert command[at + 1 : at + 5] == ["--host", "spark-master", "--port", "7077"]
    assert extra["SPARK_LOCAL_IP"] == "127.0.0.1"
    assert (Path(extra["SPARK_HOME"]) / "jars").is_dir()


def test_copies_of_the_worker_go_by_the_names_of_their_machines(
    container: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "4f2a9c01d3e8")
    command, extra = launch.prepare(container, "spark-worker")
    at = command.index("org.apache.spark.deploy.worker.Worker")
    assert command[at + 1 : at + 3] == ["--host", "4f2a9c01d3e8"]
    assert command[-1] == "spark://spark-master:7077"
    assert extra["JAVA_HOME"].endswith("java")
    local = container.model_copy(update={"listen_host": "127.0.0.1"})
    command, _ = launch.prepare(local, "spark-worker")
    assert "127.0.0.1" in command


def test_a_cluster_needs_an_address(container: Settings) -> None:
    local = container.model_copy(update={"spark_master": "local[*]"})
    with pytest.raises(StackError, match=r"PIPELINE_SPARK_MASTER: received 'local\[\*\]'; .*spark://host:port"):
        launch.prepare(local, "spark-worker")


def launched(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> dict[str, str]:
    """The environment that the launcher gives a process."""
    became: list[dict[str, str]] = []
    monkeypatch.setattr(launch, "load_settings", lambda: settings)
    monkeypatch.setattr(os, "execvpe", lambda _file, _command, environment: became.append(environment))
    monkeypatch.setattr(os, "chdir", lambda _folder: None)
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    launch.main(["exchange"])
    return became[0]


def test_compiled_code_is_kept_in_the_cache_unless_that_is_part_of_an_image(
    container: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONPYCACHEPREFIX", raising=False)
    monkeypatch.setattr(os, "access", lambda path, _mode: path != container.cache)  # to root nothing is read-only
    assert "PYTHONPYCACHEPREFIX" not in launched(monkeypatch, container)
    writable = container.model_copy(update={"cache": tmp_path})
    environment = launched(monkeypatch, writable)
    assert environment["PYTHONPYCACHEPREFIX"] == str(tmp_path / "bytecode")
    assert "PYTHONDONTWRITEBYTECODE" not in environment


def test_wrong_usage_names_the_processes() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "include.stack.launch", "spark"],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "spark-master, spark-worker" in done.stderr
