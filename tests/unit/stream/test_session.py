"""How the job is submitted: within this process, or to a cluster whose workers may die."""

from __future__ import annotations

from pathlib import Path

import pytest

from include.settings import Settings, load_settings
from spark_jobs.lib.session import session_configuration


@pytest.fixture
def jars(tmp_path: Path) -> list[str]:
    folder = tmp_path / "cache" / "jars" / "spark"
    folder.mkdir(parents=True)
    found = [folder / "a.jar", folder / "b.jar"]
    for jar in found:
        jar.touch()
    return [str(jar) for jar in found]


def settings(tmp_path: Path, **changes: object) -> Settings:
    own = {
        "home": tmp_path,
        "cache": tmp_path / "cache",
        "listen_host": "0.0.0.0",
        "processor_host": "stream-processor",
    }
    return load_settings(**{**own, **changes})


def test_a_local_session_is_reached_by_nobody_else(tmp_path: Path, jars: list[str]) -> None:
    found = session_configuration(settings(tmp_path, spark_master="local[2]"))
    assert found["spark.driver.host"] == found["spark.driver.bindAddress"] == "127.0.0.1"
    assert found["spark.driver.extraClassPath"] == ":".join(jars)
    assert "spark.jars" not in found
    assert not [name for name in found if name.startswith("spark.executor.")]


def test_the_executors_of_a_cluster_reach_the_driver_and_get_its_jars(tmp_path: Path, jars: list[str]) -> None:
    cluster = {"spark_master": "spark://spark-master:7077", "spark_worker_cores": 2, "spark_worker_memory": "900m"}
    found = session_configuration(settings(tmp_path, **cluster))
    assert (found["spark.driver.host"], found["spark.driver.bindAddress"]) == ("stream-processor", "0.0.0.0")
    assert found["spark.jars"] == ",".join(jars)
    assert (found["spark.executor.cores"], found["spark.executor.memory"]) == ("2", "900m")
    assert "-Xss16m" in found["spark.executor.extraJavaOptions"]
    assert "jsa" not in found["spark.executor.extraJavaOptions"]  # the archive of classes is the driver's


def test_no_secret_is_in_it(tmp_path: Path) -> None:
    own = settings(tmp_path, spark_master="spark://a:1", mysql_password="secret-word")
    assert "secret-word" not in str(session_configuration(own))
