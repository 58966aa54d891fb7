"""The exchange as a process and as an object: start, refusals, clean stop, restart; and its scaled clock."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from include.market.standin import (
    ArchiveError,
    PortTakenError,
    ScaledClock,
    StandInConfig,
    StandInError,
    StandInExchange,
)
from include.market.standin.__main__ import main
from include.runtime.clock import SystemClock
from include.runtime.single_instance import hold_single_instance
from include.settings import PROJECT_ROOT


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    """The process sets up logging for itself; pytest's own output is gone when the next test logs."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def environment(home: Path, **settings: object) -> dict[str, str]:
    return {"PIPELINE_HOME": str(home), **{f"PIPELINE_{name.upper()}": str(value) for name, value in settings.items()}}


def test_help_names_the_settings(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["standin", "--help"])
    with pytest.raises(SystemExit) as left:
        main()
    assert left.value.code == 0
    assert "generator_rate" in capsys.readouterr().out


@pytest.mark.parametrize(
    "case",
    [
        ({"generator_rate": -1}, 2, "PIPELINE_GENERATOR_RATE: received '-1'"),
        ({"feed": "replay"}, 2, "PIPELINE_REPLAY_FILE"),
        ({"feed": "replay", "replay_file": "{bad}"}, 1, "bad.csv, line 1, column id: 'no' is not a whole number"),
        ({"exchange_port": "{taken}"}, 1, "(public port of the stand-in exchange) on 127.0.0.1 is in use"),
        ({"exchange_control_port": "{taken}"}, 1, "(control port of the stand-in exchange) on 127.0.0.1 is in use"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_said_and_told_by_the_exit_code(monkeypatch, capsys, tmp_path, taken_port, case):
    settings, code, words = case
    bad = tmp_path / "bad.csv"
    bad.write_text("no,such,trade,in,this,file,ever\n")
    ports = {"exchange_port": free_port(), "exchange_control_port": free_port()}
    given = {k: str(v).format(bad=bad, taken=taken_port) for k, v in settings.items()}
    for name, value in environment(tmp_path / "home", **ports | given).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", ["standin"])
    assert main() == code
    assert words in capsys.readouterr().err


def test_there_is_never_a_second_exchange(monkeypatch, capsys, tmp_path):
    for name, value in environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", ["standin"])
    held = hold_single_instance("exchange", tmp_path / "run")
    assert main() == 1
    assert f"exchange is already running (pid {os.getpid()})" in capsys.readouterr().err
    os.close(held)


async def test_an_exchange_that_cannot_start_leaves_no_port_behind(tmp_path: Path, taken_port: int):
    port = free_port()
    with pytest.raises(PortTakenError, match=str(taken_port)):
        async with StandInExchange(StandInConfig(port=port, control_port=taken_port)):
            pass
    async with StandInExchange(StandInConfig(port=port)):
        pass
    with pytest.raises(ArchiveError):
        StandInExchange(StandInConfig(replay_file=_empty(tmp_path)))


def _empty(folder: Path) -> Path:
    path = folder / "BTCUSDT-trades-2021-01-08.csv"
    path.touch()
    return path


def test_the_process_continues_its_ledger_after_sigkill_and_ends_cleanly_at_sigterm(tmp_path: Path):
    port, control = free_port(), free_port()
    settings = environment(tmp_path, exchange_port=port, exchange_control_port=control, generator_rate=500)
    seen: list[dict[str, object]] = []
    for number in (signal.SIGKILL, signal.SIGTERM):
        process = subprocess.Popen(
            [sys.executable, "-m", "include.market.standin"],
            cwd=PROJECT_ROOT,
            env=os.environ | settings,
            stdout=subprocess.DEVNULL,
        )
        try:
            trades = _ledger(control, at_least=len(seen) + 20)
        finally:
            process.send_signal(number)
            code = process.wait(10)
        assert code == (0 if number == signal.SIGTERM else -number)
        assert trades[: len(seen)] == seen
        ids = [trade["id"] for trade in trades]
        assert ids == list(range(ids[0], ids[0] + len(ids)))
        seen = trades


def _ledger(control: int, at_least: int) -> list[dict[str, object]]:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            url = f"http://127.0.0.1:{control}/control/ledger?symbol=BTCUSDT"
            with urllib.request.urlopen(url, timeout=2) as answer:
                trades: list[dict[str, object]] = json.load(answer)["trades"]
        except OSError:
            trades = []
        if len(trades) >= at_least:
            return trades
        time.sleep(0.02)
    raise AssertionError("the exchange does not answer")


def test_a_scaled_clock_runs_faster_steps_forward_and_never_back():
    clock = ScaledClock(1_000)
    real, scaled = time.monotonic(), clock.monotonic()
    while clock.monotonic() - scaled < 20:
        pass
    assert 0.019 <= time.monotonic() - real < 0.2
    before = clock.time_ms()
    clock.set_factor(0.001)
    clock.advance(86_400)
    assert 86_400_000 <= clock.time_ms() - before < 86_400_000 + 5_000
    for wrong in (lambda: clock.set_factor(0), lambda: clock.advance(-1)):
        with pytest.raises(StandInError):
            wrong()


async def test_the_clock_of_a_running_exchange_is_set_over_the_control_endpoint(http):
    clock = ScaledClock()
    async with StandInExchange(StandInConfig(rate=0), clock) as exchange:
        url = f"{exchange.control_url}/control/clock"
        async with http.post(url, json={"factor": 10, "advance_seconds": 3_600}) as answer:
            assert (await answer.json())["factor"] == 10
        assert clock.time_ms() > SystemClock().time_ms() + 3_599_000
        for wrong in ({"factor": 0}, {"factor": "fast"}, {"advance_seconds": -1}):
            async with http.post(url, json=wrong) as answer:
                assert answer.status == 400
