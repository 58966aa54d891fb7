"""A wrong setting is refused at start, in words that say what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from include.settings import PREFIX, Feed, load_settings
from include.settings_errors import SettingsError
from include.stack.running import variables


@pytest.fixture(autouse=True)
def _no_settings_around(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PIPELINE_HOME", str(tmp_path))


def load(tmp_path: Path, **environment: str):
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(PREFIX + name, value)
        return load_settings(env_file=tmp_path / "absent.env")


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("KAFKA_PORT", "abc", ["PIPELINE_KAFKA_PORT", "'abc'", "at least 1", "at most 65535"]),
        ("KAFKA_PORT", "70000", ["PIPELINE_KAFKA_PORT", "'70000'", "65535"]),
        ("FEED", "paper", ["PIPELINE_FEED", "'paper'", "generated, replay, live"]),
        ("SYMBOLS", "btcusdt", ["PIPELINE_SYMBOLS", "'btcusdt'", "upper-case"]),
        ("SYMBOLS", "BTCUSDT,BTCUSDT", ["PIPELINE_SYMBOLS", "each symbol once"]),
        ("SYMBOLS", "", ["PIPELINE_SYMBOLS", "at least 1"]),
        ("WINDOWS", "5,15", ["PIPELINE_WINDOWS", "among them 1"]),
        ("WINDOWS", "1,0", ["PIPELINE_WINDOWS", "1 to 1440"]),
        ("MICRO_BATCH_SECONDS", "-1", ["PIPELINE_MICRO_BATCH_SECONDS", "'-1'", "at least 0"]),
        ("SPARK_DRIVER_MEMORY", "lots", ["PIPELINE_SPARK_DRIVER_MEMORY", "'lots'", "[mg]"]),
        ("HOME", "/" + "x" * 120, ["PIPELINE_HOME", "too long"]),
        ("SERVICE_ADAPTER", "podman", ["PIPELINE_SERVICE_ADAPTER", "'podman'", "supervisord, docker, systemd"]),
        ("SYSTEMD_UNITS", "kafka", ["PIPELINE_SYSTEMD_UNITS", "kafka=kafka.service"]),
        ("AIRFLOW_DATABASE_URL", "postgresql://a:secret@b/c", ["PIPELINE_AIRFLOW_DATABASE_PASSWORD"]),
        ("KAFKA_PROT", "1", ["PIPELINE_KAFKA_PROT", "did you mean PIPELINE_KAFKA_PORT?"]),
    ],
)
def test_a_wrong_value_is_refused_with_name_value_and_what_is_allowed(
    tmp_path: Path, name: str, value: str, expected: list[str]
) -> None:
    with pytest.raises(SettingsError) as refused:
        load(tmp_path, **{name: value})
    assert [part for part in expected if part not in str(refused.value)] == []


def test_all_wrong_settings_are_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as refused:
        load(tmp_path, KAFKA_PORT="0", MYSQL_PORT="x")
    assert "PIPELINE_KAFKA_PORT" in str(refused.value)
    assert "PIPELINE_MYSQL_PORT" in str(refused.value)


def test_a_url_that_holds_a_password_is_refused_without_repeating_it(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as refused:
        load(tmp_path, INCIDENT_STORE_URL="postgresql://a:secret@b/c")
    assert "PIPELINE_INCIDENT_STORE_PASSWORD" in str(refused.value)
    assert "secret@" not in str(refused.value)


def test_units_are_read_by_service_and_survive_the_way_to_a_process(tmp_path: Path) -> None:
    settings = load(tmp_path, SYSTEMD_UNITS="kafka=confluent-kafka.service, mysql=mysqld.service")
    assert settings.systemd_units == {"kafka": "confluent-kafka.service", "mysql": "mysqld.service"}
    assert variables(settings)["PIPELINE_SYSTEMD_UNITS"] == "kafka=confluent-kafka.service,mysql=mysqld.service"


def test_secrets_may_lie_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "given").mkdir()
    (tmp_path / "given" / "pipeline_mysql_password").write_text("from a file")
    settings = load(tmp_path, SECRETS_FOLDER=str(tmp_path / "given"))
    assert settings.mysql_password.get_secret_value() == "from a file"


def test_a_wrong_password_setting_is_not_printed(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as refused:
        load_settings(env_file=tmp_path / "absent.env", mysql_password=12345678)
    assert "12345678" not in str(refused.value)


def test_a_replay_needs_a_file(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="PIPELINE_REPLAY_FILE: a replay needs a file"):
        load(tmp_path, FEED="replay")


def test_environment_wins_over_the_file_and_the_file_over_defaults(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("PIPELINE_KAFKA_PORT=1111\nPIPELINE_MYSQL_PORT=2222\n# a comment\nOTHER=1\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIPELINE_KAFKA_PORT", "3333")
        settings = load_settings(env_file=tmp_path / ".env")
    assert (settings.kafka_port, settings.mysql_port, settings.airflow_port) == (3333, 2222, 8080)


def test_the_generated_password_file_is_found(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "pipeline_mysql_password").write_text("from-file\n")
    settings = load(tmp_path)
    assert settings.mysql_password.get_secret_value() == "from-file"
    assert "from-file" not in repr(settings)


@pytest.mark.parametrize(
    ("feed", "start", "expected"),
    [("live", "auto", "live"), ("generated", "auto", "oldest"), ("live", "oldest", "oldest")],
)
def test_where_an_empty_topic_starts(tmp_path: Path, feed: str, start: str, expected: str) -> None:
    assert load(tmp_path, FEED=feed, PRODUCER_START_FROM=start).start_from == expected


def test_only_the_live_feed_leaves_this_machine(tmp_path: Path) -> None:
    for feed in (Feed.GENERATED, Feed.LIVE):
        settings = load(tmp_path, FEED=feed.value)
        local = all("127.0.0.1" in url for url in settings.stream_endpoints + settings.rest_endpoints)
        assert local is (feed is not Feed.LIVE)
