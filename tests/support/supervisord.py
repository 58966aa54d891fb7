"""A real supervisord in a temporary folder, with little Python programs."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from pathlib import Path

from include.services.supervisord import SupervisordController
from tests.support.waiting import wait_for

_HEAD = """\
    [supervisord]
    nodaemon=true
    directory={folder}
    logfile={folder}/supervisord.log
    pidfile={folder}/supervisord.pid
    [unix_http_server]
    file={folder}/s.sock
    chmod=0700
    [rpcinterface:supervisor]
    supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
    """
_PROGRAM = """\
    [program:{name}]
    command={command}
    autostart=false
    autorestart=false
    startsecs={startsecs}
    startretries={startretries}
    stopwaitsecs=60
    killasgroup=true
    redirect_stderr=true
    stdout_logfile={folder}/log/{name}.log
    """


def write_scripts(programs: Mapping[str, str], folder: Path) -> dict[str, list[str]]:
    """Command line of each program, whose text is written to a file."""
    argv = {}
    for name, text in programs.items():
        (folder / f"{name}.py").write_text(text)
        argv[name] = [sys.executable, str(folder / f"{name}.py")]
    return argv


class Supervisord:
    """``controller`` speaks to it; its programs are killed by :meth:`close`."""

    def __init__(
        self, programs: Mapping[str, str], folder: Path, startsecs: int = 0, startretries: int = 0, extra: str = ""
    ) -> None:
        self._folder = folder
        (folder / "log").mkdir()
        text = textwrap.dedent(_HEAD).format(folder=folder) + extra
        for name, argv in write_scripts(programs, folder).items():
            text += textwrap.dedent(_PROGRAM).format(
                name=name,
                command=" ".join(argv),
                folder=folder,
                startsecs=startsecs,
                startretries=startretries,
            )
        (folder / "supervisord.conf").write_text(text)
        self.controller = SupervisordController(folder / "s.sock", folder / "log", folder, settle_seconds=0.2)
        self.start()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(self._folder / "supervisord.conf")]
        self._host = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(self.controller.statuses, 10, "supervisord answers", interval=0.01)

    def kill(self) -> None:
        """SIGKILL: its programs live on."""
        self._host.kill()
        self._host.wait()

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal (SIGSTOP makes it hang)."""
        self._host.send_signal(number)

    def close(self) -> None:
        """Kill its programs and itself."""
        self.signal(signal.SIGCONT)
        with contextlib.suppress(Exception):  # it may have been killed by the test
            for pid in [s.pid for s in self.controller.statuses() if s.pid]:
                os.killpg(pid, signal.SIGKILL)
        self.kill()
