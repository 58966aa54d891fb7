"""The local process host: supervisord with a private unix socket, detached from the terminal that started it."""

from __future__ import annotations

import shlex
import socket
import subprocess
import sys
from pathlib import Path

import psutil

from include.services.supervisord_rpc import SupervisordRpc
from include.settings import PROJECT_ROOT, Settings
from include.stack.errors import StartError
from include.stack.leftovers import MARK_HOME, MARK_PROCESS
from include.stack.processes import Process, launch_command, processes
from include.stack.running import environment

_HEAD = """[unix_http_server]
file={socket}
chmod=0700

[supervisord]
logfile={log_dir}/supervisord.log
logfile_maxbytes={rotate}MB
logfile_backups=5
pidfile={run_dir}/supervisord.pid
childlogdir={log_dir}
directory={root}
minfds=1024

[rpcinterface:supervisor]
supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface
"""
_PROGRAM = """
[program:{name}]
command={command}
autostart=false
autorestart={restart}
startsecs={settle}
startretries={retries}
stopsignal=TERM
stopwaitsecs={stop}
killasgroup=true
redirect_stderr=true
stdout_logfile={log_dir}/{name}.log
stdout_logfile_maxbytes={rotate}MB
stdout_logfile_backups=5
"""


def configuration(settings: Settings) -> str:
    """supervisord's configuration file; it holds no secret (the launcher reads them)."""
    common = {"log_dir": _escaped(str(settings.log_dir)), "rotate": settings.log_rotate_megabytes}
    head = _HEAD.format(
        **common,
        socket=_escaped(str(settings.supervisor_socket)),
        run_dir=_escaped(str(settings.run_dir)),
        root=_escaped(str(PROJECT_ROOT)),
    )
    return head + "".join(_program(process, common) for process in processes(settings))


def _program(process: Process, common: dict[str, object]) -> str:
    return _PROGRAM.format(
        **common,
        name=process.name,
        command=_escaped(shlex.join(launch_command(process.name))),
        restart="true" if process.restart else "false",
        # 0 keeps the exit code of a quick end, for those who decide on restarts; 1 makes the host pace its own
        settle=1 if process.restart else 0,
        # the pause before a retry grows by a second each time: 60 of them are half an hour
        retries=60 if process.restart else 0,
        stop=process.stop_seconds,
    )


def _escaped(text: str) -> str:
    return text.replace("%", "%%")


def start_host(settings: Settings) -> None:
    """Start supervisord in the background. Raises :class:`StartError` with its own words when it refuses."""
    settings.log_dir.mkdir(parents=True, exist_ok=True)
    settings.run_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = settings.run_dir / "supervisord.conf"
    path.write_text(configuration(settings))
    marks = {MARK_HOME: str(settings.home), MARK_PROCESS: "supervisord"}
    done = subprocess.run(
        [sys.executable, "-m", "supervisor.supervisord", "-c", str(path)],
        env={**environment(settings), **marks},
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    if done.returncode != 0:
        raise StartError(f"The process host did not start: {(done.stdout + done.stderr).strip()[-1000:]}")


def is_listening(path: Path) -> bool:
    """Whether anybody listens on a unix socket (a socket file may outlive its owner)."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(2)
        try:
            probe.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            return False
        except OSError:  # its queue is full: somebody is there, and busy
            return True
        return True


def stop_host(settings: Settings, timeout: float = 15.0) -> None:
    """Tell supervisord to end and wait until it is gone. Raises :class:`StartError` if it does not go."""
    rpc = SupervisordRpc(settings.supervisor_socket)
    pid = int(rpc.call("getPID"))
    try:
        host = psutil.Process(pid)
        rpc.call("shutdown")
        host.wait(timeout)
    except psutil.NoSuchProcess:
        return
    except psutil.TimeoutExpired as error:
        raise StartError(f"The process host (pid {pid}) did not end within {timeout:g} s.") from error
