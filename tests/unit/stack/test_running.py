"""The run-time folder knows what runs in it and whose data it holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from include.settings import Feed, load_settings
from include.stack.errors import FeedMismatchError, StackError
from include.stack.running import check_feed, claim_feed, differences, environment, remember, remembered, variables


def test_later_commands_speak_of_what_runs(tmp_path: Path) -> None:
    started = load_settings(home=tmp_path, kafka_port=1234, symbols=("BTCUSDT",), mysql_password="secret")
    remember(started)
    found = remembered(load_settings(home=tmp_path))
    assert (found.kafka_port, found.symbols) == (1234, ("BTCUSDT",))
    assert "secret" not in (tmp_path / "run" / "settings.json").read_text()


def test_differences_are_named() -> None:
    running, asked = load_settings(), load_settings(feed=Feed.LIVE, symbols=("BTCUSDT",))
    assert differences(asked, running) == [
        "PIPELINE_FEED: running generated, asked live",
        "PIPELINE_SYMBOLS: running ['BTCUSDT', 'ETHUSDT'], asked ['BTCUSDT']",
    ]
    assert differences(running, running) == []


def test_the_environment_of_processes_gives_the_same_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = load_settings(home=tmp_path, symbols=("ETHUSDT", "BNBUSDT"), windows=(1, 3), mysql_password="secret")
    assert "secret" not in str(variables(settings))
    for name, value in variables(settings).items():
        monkeypatch.setenv(name, value)
    assert differences(load_settings(), settings) == []


def test_a_folder_belongs_to_one_feed(tmp_path: Path) -> None:
    csv, other = tmp_path / "trades.csv", tmp_path / "other" / "trades.csv"
    csv.write_text("1,2,3")
    other.parent.mkdir()
    other.write_text("4,5,6")
    replay = load_settings(home=tmp_path, feed=Feed.REPLAY, replay_file=csv)
    check_feed(replay)
    claim_feed(replay)
    check_feed(replay)
    for another in ({"feed": Feed.GENERATED}, {"feed": Feed.REPLAY, "replay_file": other}):
        with pytest.raises(FeedMismatchError, match=r"holds the data of the replay feed .*make clean"):
            check_feed(load_settings(home=tmp_path, **another))


def test_a_missing_replay_file_is_named_by_up_and_does_not_keep_the_stack_from_going_down(tmp_path: Path) -> None:
    settings = load_settings(home=tmp_path, feed=Feed.REPLAY, replay_file=tmp_path / "gone.csv")
    with pytest.raises(StackError, match=r"PIPELINE_REPLAY_FILE: received .*gone\.csv"):
        check_feed(settings)
    remember(settings)
    assert remembered(load_settings(home=tmp_path)).replay_file == tmp_path / "gone.csv"


def test_processes_do_not_obey_a_file_of_the_person_and_reach_loopback_without_a_proxy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NO_PROXY", "intranet")
    monkeypatch.delenv("no_proxy", raising=False)
    found = environment(load_settings())
    assert found["PIPELINE_ENV_FILE"] == "/dev/null"
    assert found["NO_PROXY"] == found["no_proxy"] == "intranet,127.0.0.1,localhost"
