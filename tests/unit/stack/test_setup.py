"""What must be there before the one-shot begins, and in which order it makes everything current."""

from __future__ import annotations

from pathlib import Path

import pytest

from include.services import factory
from include.services.errors import ServicesError
from include.settings import ServiceAdapter, Settings, load_settings
from include.stack import setup
from include.stack.errors import FeedMismatchError, StackError
from include.stack.secrets import check_secrets, ensure_secrets, read_secret
from include.stack.up import bring_up

SERVERS = {
    "incident_store_url": "postgresql://incidents@postgres/incidents",
    "airflow_database_url": "postgresql://airflow@postgres/airflow",
}


@pytest.fixture
def handed_out(tmp_path: Path) -> Path:
    """The folder of secrets as containers get it: all that Airflow needs, read-only."""
    folder = tmp_path / "secrets"
    ensure_secrets(load_settings(home=tmp_path))
    (folder / "mysql_root_password").unlink()
    for name in ("incident_store", "airflow_database"):
        (folder / f"pipeline_{name}_password").write_text(f"of {name}\n")
    for file in folder.iterdir():
        file.chmod(0o444)
    folder.chmod(0o555)
    return folder


def containers(home: Path, folder: Path, **changes: object) -> Settings:
    return load_settings(home=home, secrets_folder=folder, **{**SERVERS, **changes})


def test_secrets_are_read_from_a_folder_that_nobody_may_write(tmp_path: Path, handed_out: Path) -> None:
    settings = containers(tmp_path / "home", handed_out)
    check_secrets(settings)
    assert read_secret(settings, "mysql_password") == settings.mysql_password.get_secret_value() != ""
    assert settings.incident_store_password.get_secret_value() == "of incident_store"
    assert read_secret(settings, "airflow_database_password") == "of airflow_database"
    assert not (tmp_path / "home").exists()


def test_each_missing_secret_is_named_with_its_file_and_what_to_do(tmp_path: Path, handed_out: Path) -> None:
    handed_out.chmod(0o755)
    (handed_out / "airflow_jwt_secret").unlink()
    (handed_out / "pipeline_incident_store_password").unlink()
    (handed_out / "airflow_fernet_key").chmod(0o644)
    (handed_out / "airflow_fernet_key").write_text("\n")
    with pytest.raises(StackError) as refused:
        check_secrets(containers(tmp_path, handed_out))
    assert f"{handed_out}/airflow_jwt_secret: No such file or directory" in str(refused.value)
    assert f"{handed_out}/pipeline_incident_store_password: No such file" in str(refused.value)
    assert f"{handed_out}/airflow_fernet_key: the file is empty" in str(refused.value)
    assert "make compose-env" in str(refused.value)
    assert str(refused.value).count(str(handed_out)) == 3


def test_a_secret_in_the_environment_needs_no_file(
    tmp_path: Path, handed_out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handed_out.chmod(0o755)
    (handed_out / "pipeline_mysql_password").unlink()
    monkeypatch.setenv("PIPELINE_MYSQL_PASSWORD", "given")
    check_secrets(containers(tmp_path, handed_out))


def test_passwords_of_databases_that_are_not_used_are_not_asked_for(tmp_path: Path) -> None:
    ensure_secrets(load_settings(home=tmp_path))
    check_secrets(load_settings(home=tmp_path))


class Calls:
    """What the one-shot does, in order; ``failing`` raises."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.made: list[str] = []
        self.failing: dict[str, Exception] = {}
        for module, name in [
            (setup, "check_secrets"),
            (setup.readiness, "mysql_answers"),
            (setup.readiness, "kafka_answers"),
            (setup, "migrate"),
            (setup, "ensure_topics"),
            (setup.airflow_setup, "prepare_airflow"),
            (factory, "check_rights"),
        ]:
            monkeypatch.setattr(module, name, self._call(name), raising=False)
        monkeypatch.setattr(setup, "store_from_settings", lambda _settings: self)
        monkeypatch.setattr(setup, "_SERVER_SECONDS", 0.01)

    def _call(self, name: str):
        def call(*_arguments: object) -> bool:
            self.made.append(name)
            if name in self.failing:
                raise self.failing[name]
            return True

        return call

    def open_incidents(self) -> None:
        self.made.append("open_incidents")

    def close(self) -> None:
        self.made.append("close")


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Calls:
    monkeypatch.setenv("PIPELINE_HOME", str(tmp_path))
    return Calls(monkeypatch)


def test_everything_is_made_current_in_the_order_of_dependence(calls: Calls) -> None:
    for _ in range(2):  # again, on what is there already
        calls.made.clear()
        assert setup.main([]) == 0
        assert calls.made == [
            *("check_secrets", "mysql_answers", "kafka_answers", "migrate", "ensure_topics"),
            *("open_incidents", "close", "prepare_airflow", "check_rights"),
        ]


@pytest.mark.parametrize(
    ("failing", "error", "said"),
    [
        ("check_secrets", StackError("no secret"), "no secret"),
        ("mysql_answers", ConnectionError("refused"), "MySQL at 127.0.0.1:23306 as pipeline does not answer"),
        ("kafka_answers", ConnectionError("refused"), "Kafka at 127.0.0.1:29092 does not answer"),
        ("check_rights", ServicesError("start is forbidden"), "start is forbidden"),
    ],
)
def test_what_cannot_be_done_ends_it_with_a_reason(
    calls: Calls, capsys: pytest.CaptureFixture[str], failing: str, error: Exception, said: str
) -> None:
    calls.failing[failing] = error
    assert setup.main([]) == 2
    assert calls.made[-1] == failing
    assert said in capsys.readouterr().out


def test_the_data_of_another_feed_is_not_mixed_with_this_one(
    calls: Calls, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert setup.main([]) == 0
    calls.made.clear()
    with pytest.raises(FeedMismatchError):
        setup.set_up(load_settings(home=tmp_path, feed="live"))
    assert calls.made == ["check_secrets"]


def test_wrong_usage_is_explained(calls: Calls, capsys: pytest.CaptureFixture[str]) -> None:
    assert setup.main(["--now"]) == 2
    assert calls.made == []
    assert "usage: python -m include.stack.setup" in capsys.readouterr().err


@pytest.mark.parametrize("adapter", [ServiceAdapter.DOCKER, ServiceAdapter.SYSTEMD])
def test_the_local_stack_is_not_started_beside_processes_of_another_host(
    tmp_path: Path, adapter: ServiceAdapter
) -> None:
    settings = load_settings(home=tmp_path / "home", service_adapter=adapter)
    with pytest.raises(StackError, match=f"PIPELINE_SERVICE_ADAPTER: received {adapter.value}; make up is"):
        bring_up(settings)
    assert not (tmp_path / "home").exists()
