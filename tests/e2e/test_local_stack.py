"""The local stack as a person uses it: up, a replay of real trades, status, refusals, down, clean."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from include.services.processes import ProcessIdentity, identify, is_alive
from include.settings import PROJECT_ROOT, Feed, Settings
from include.stack.isolation import isolated_settings
from include.stack.leftovers import find_leftovers
from include.stack.ports import check_ports
from include.stack.processes import processes
from include.stack.running import environment
from include.warehouse.reader import WarehouseReader
from tests.support.archive import archive_file
from tests.support.averages import read_averages
from tests.support.reference import ReferenceTrade, load_archive_trades, reference_averages
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]


def stack(settings: Settings, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run the stack's command line in the environment of ``settings``."""
    return subprocess.run(
        [sys.executable, "-m", "include.stack", *arguments],
        env={**environment(settings), "COLUMNS": "200", **more},
        cwd=PROJECT_ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=390,
        check=False,
    )


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    file = archive_file(tmp_path_factory.mktemp("archive"))
    with isolated_settings(feed=Feed.REPLAY, replay_file=file, replay_factor=20, symbols=("BTCUSDT",)) as settings:
        yield settings
        stack(settings, "down")


def replayed(settings: Settings) -> list[ReferenceTrade]:
    assert settings.replay_file is not None
    return load_archive_trades(settings.replay_file, "BTCUSDT")


def programs(settings: Settings) -> dict[int, float]:
    """When the process host and each program that it runs began, by pid; what these start comes and goes."""
    host = psutil.Process(int((settings.run_dir / "supervisord.pid").read_text()))
    return {process.pid: process.create_time() for process in (host, *host.children())}


@pytest.fixture(scope="module")
def up(settings: Settings) -> subprocess.CompletedProcess[str]:
    done = stack(settings, "up")
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def test_a_port_in_use_stops_it_before_anything_starts(settings: Settings) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", settings.kafka_port))
        holder.listen()
        done = stack(settings, "up")
    assert done.returncode == 2
    for part in (str(settings.kafka_port), "PIPELINE_KAFKA_PORT", f"pid {os.getpid()}"):
        assert part in done.stdout
    assert find_leftovers(settings) == []


def test_up_says_where_to_look_and_shows_averages(up: subprocess.CompletedProcess[str], settings: Settings) -> None:
    assert f"http://127.0.0.1:{settings.airflow_port}" in up.stdout
    assert "user admin" in up.stdout
    assert re.search(r"BTCUSDT .* 1 min .* 01-08 00:0\d .* \d+\.\d{8}", up.stdout), up.stdout
    secret = (settings.secrets_dir / "airflow_admin_password").read_text()
    assert secret not in up.stdout + up.stderr  # not a terminal: this text may end up in a log


@pytest.mark.usefixtures("up")
def test_the_averages_of_the_replayed_file_equal_the_reference(settings: Settings) -> None:
    trades = replayed(settings)
    with closing(WarehouseReader(settings)) as reader:
        newest = trades[-1].id
        wait_for(lambda: [p.newest_trade_id for p in reader.progress()] == [newest], 60, "all trades are counted")
    assert read_averages(settings) == reference_averages(trades, settings.windows)


@pytest.mark.usefixtures("up")
def test_a_second_up_is_quick_and_harmless(settings: Settings) -> None:
    before = programs(settings)
    started = time.monotonic()
    done = stack(settings, "up")
    seconds = time.monotonic() - started
    assert done.returncode == 0, done.stdout + done.stderr
    assert seconds < 20
    assert programs(settings) == before
    assert len(before) == 1 + len(processes(settings))


@pytest.mark.usefixtures("up")
def test_every_process_of_the_stack_carries_its_mark(settings: Settings) -> None:
    """What carries no mark would be left running by down if its host had died."""
    host = psutil.Process(int((settings.run_dir / "supervisord.pid").read_text()))
    family = [found for process in (host, *host.children(recursive=True)) if (found := identify(process.pid))]

    def unmarked() -> list[ProcessIdentity]:
        """A task may end between two looks, and what is just becoming another program shows no environment."""
        marked = {process.pid for process in find_leftovers(settings)}
        return [process for process in family if process.pid not in marked and is_alive(process)]

    wait_for(lambda: not unmarked(), 5, "each process of the stack carries its mark")
    assert host.pid in {process.pid for process in family if is_alive(process)}


@pytest.mark.usefixtures("up")
def test_status_shows_processes_and_positions(settings: Settings) -> None:
    done = stack(settings, "status", "--once")
    assert done.returncode == 0, done.stderr
    for process in processes(settings):
        assert re.search(rf"{process.name} .*running", done.stdout), done.stdout
    newest = str(replayed(settings)[-1].id)
    (row,) = [line for line in done.stdout.splitlines() if "BTCUSDT" in line]
    assert row.count(newest) == 4, row  # exchange, received, acknowledged, counted


@pytest.mark.usefixtures("up")
def test_other_settings_are_refused_while_it_runs(settings: Settings) -> None:
    done = stack(settings, "up", PIPELINE_MICRO_BATCH_SECONDS="7")
    assert done.returncode == 2
    assert "PIPELINE_MICRO_BATCH_SECONDS: running 1.0, asked 7.0" in done.stdout
    assert "make down" in done.stdout


@pytest.mark.usefixtures("up")
def test_the_log_of_a_process_is_shown_and_an_unknown_one_names_those_there_are(settings: Settings) -> None:
    assert "btc_producer" in stack(settings, "logs", "btc_producer", "--no-follow").stdout
    wrong = stack(settings, "logs", "../secrets/airflow_admin_password", "--no-follow")
    assert wrong.returncode == 2
    assert "stream_processor" in wrong.stdout


@pytest.mark.usefixtures("up")
def test_down_leaves_nothing_running_and_clean_drops_the_state(settings: Settings) -> None:
    refused = stack(settings, "clean")
    assert refused.returncode == 2
    assert "make down" in refused.stdout
    done = stack(settings, "down")
    assert done.returncode == 0, done.stdout + done.stderr
    assert find_leftovers(settings) == []
    check_ports(processes(settings))
    assert "Nothing was running" in stack(settings, "down").stdout
    other = stack(settings, "up", PIPELINE_FEED="generated")
    assert other.returncode == 2
    assert "holds the data of the replay feed" in other.stdout
    assert stack(settings, "clean").returncode == 0
    assert not any(Path(settings.home, name).exists() for name in ("data", "secrets", "log", "run", "airflow"))
