"""What the process host is told."""

from __future__ import annotations

import configparser
import os
import socket
from pathlib import Path

import pytest

from include.settings import Feed, load_settings
from include.stack import up
from include.stack.errors import StackError, StartError
from include.stack.host import configuration
from include.stack.operation_lock import exclusive
from include.stack.secrets import ensure_secrets, read_secret


def parse(text: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read_string(text)
    return parser


def test_each_process_is_a_program_and_the_host_restarts_only_what_nobody_else_looks_after(tmp_path: Path) -> None:
    parser = parse(configuration(load_settings(home=tmp_path)))
    programs = {s.removeprefix("program:"): parser[s] for s in parser.sections() if s.startswith("program:")}
    restarted = {name for name, program in programs.items() if program["autorestart"] == "true"}
    airflow = {"airflow-api-server", "airflow-scheduler", "airflow-dag-processor", "airflow-triggerer"}
    assert set(programs) == airflow | {"kafka", "mysql", "exchange", "btc_producer", "stream_processor"}
    assert restarted == airflow | {"exchange"}
    assert all(program["autostart"] == "false" for program in programs.values())
    assert all(program["stdout_logfile_maxbytes"] == "20MB" for program in programs.values())


def test_the_live_feed_has_no_stand_in(tmp_path: Path) -> None:
    assert "program:exchange" not in parse(configuration(load_settings(home=tmp_path, feed=Feed.LIVE))).sections()


def test_the_configuration_holds_no_secret(tmp_path: Path) -> None:
    settings = load_settings(home=tmp_path)
    ensure_secrets(settings)
    text = configuration(load_settings(home=tmp_path))
    for path in settings.secrets_dir.iterdir():
        assert path.read_text() not in text


@pytest.mark.parametrize("folder", ["with space", "with%percent"])
def test_odd_folder_names_survive(tmp_path: Path, folder: str) -> None:
    home = tmp_path / folder
    parser = parse(configuration(load_settings(home=home)))
    assert parser["program:kafka"]["stdout_logfile"] == f"{home}/log/kafka.log"


def test_secrets_are_made_once_and_for_the_owner_only(tmp_path: Path) -> None:
    settings = load_settings(home=tmp_path)
    ensure_secrets(settings)
    first = {path.name: path.read_text() for path in settings.secrets_dir.iterdir()}
    ensure_secrets(settings)
    assert {path.name: path.read_text() for path in settings.secrets_dir.iterdir()} == first
    assert len(set(first.values())) == len(first)
    assert settings.secrets_dir.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in settings.secrets_dir.iterdir()} == {0o600}


def test_a_given_password_is_kept_like_a_generated_one_and_a_different_one_is_refused(tmp_path: Path) -> None:
    ensure_secrets(load_settings(home=tmp_path, mysql_password="given"))
    assert read_secret(load_settings(home=tmp_path), "mysql_password") == "given"
    with pytest.raises(StackError, match="PIPELINE_MYSQL_PASSWORD is not the one"):
        ensure_secrets(load_settings(home=tmp_path, mysql_password="another"))


def test_one_operation_at_a_time(tmp_path: Path) -> None:
    settings = load_settings(home=tmp_path)
    with exclusive(settings), pytest.raises(StackError, match=rf"pid {os.getpid()}"), exclusive(settings):
        pass
    with exclusive(settings):
        pass


def test_a_host_that_is_there_but_does_not_answer_is_not_taken_for_absent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(up, "_HOST_SECONDS", 0.1)
    settings = load_settings(home=tmp_path)
    assert up.host_is_running(settings) is False
    settings.run_dir.mkdir()
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(settings.supervisor_socket))
        assert up.host_is_running(settings) is False  # a file that outlived its owner
        silent.listen()
        with pytest.raises(StartError, match="does not answer"):
            up.host_is_running(settings)
