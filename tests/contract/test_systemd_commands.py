"""What ``systemctl`` and ``sudo`` say, as scripts that say it: rights, refusals, units that are not there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from include.services.controller import ServiceState
from include.services.errors import (
    HostForbidsError,
    HostNotReadyError,
    HostUnreachableError,
    StartFailedError,
    UnknownServiceError,
)
from include.services.systemd import SystemdController
from include.services.systemd_commands import SystemdCommands

UNIT = {
    "Id": "kafka.service",
    "LoadState": "loaded",
    "ActiveState": "inactive",
    "SubState": "dead",
    "Result": "success",
    "MainPID": "0",
    "ExecMainCode": "0",
    "ExecMainStatus": "0",
    "ExecMainStartTimestamp": "",
}
RAN = {"ExecMainStartTimestamp": "Mon 2026-11-30 19:37:20.590084 UTC"}
FAILED = {**RAN, "ActiveState": "failed", "SubState": "failed"}
Script = Callable[[str, str], None]


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Script:
    """Writes a program that is found first; what it was called with is in ``calls``."""
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")

    def write(name: str, text: str) -> None:
        (tmp_path / name).write_text(f'#!/bin/sh\necho "{name} $*" >> {tmp_path}/calls\n{text}\n')
        (tmp_path / name).chmod(0o755)

    write("journalctl", "exit 1")
    return write


def shown(**changes: str) -> str:
    return "cat <<'E'\n" + "\n".join(f"{name}={value}" for name, value in {**UNIT, **changes}.items()) + "\nE"


def controller(folder: Path, *, sudo: bool = False, **units: str) -> SystemdController:
    commands = SystemdCommands(sudo=sudo, call_seconds=1.0)
    return SystemdController(units or {"kafka": "kafka.service"}, folder, 0.1, commands)


@pytest.mark.parametrize(
    ("unit", "state", "code", "wanted"),
    [
        ({}, ServiceState.STOPPED, None, False),
        ({**RAN, "ExecMainCode": "2", "ExecMainStatus": "15"}, ServiceState.STOPPED, -15, True),
        ({**RAN, "ExecMainCode": "1"}, ServiceState.STOPPED, 0, True),
        ({**FAILED, "Result": "exit-code", "ExecMainCode": "1", "ExecMainStatus": "3"}, ServiceState.EXITED, 3, False),
        (
            {**FAILED, "Result": "exit-code", "ExecMainCode": "1", "ExecMainStatus": "143"},
            ServiceState.STOPPED,
            143,
            True,
        ),
        ({**FAILED, "Result": "signal", "ExecMainCode": "2", "ExecMainStatus": "9"}, ServiceState.EXITED, -9, False),
        ({**FAILED, "Result": "timeout", "ExecMainCode": "2", "ExecMainStatus": "9"}, ServiceState.STOPPED, -9, True),
        ({**FAILED, "Result": "start-limit-hit"}, ServiceState.FATAL, None, False),
        ({**RAN, "ActiveState": "activating", "SubState": "auto-restart"}, ServiceState.BACKOFF, None, False),
        ({**RAN, "ActiveState": "active", "SubState": "running", "MainPID": "7"}, ServiceState.RUNNING, None, False),
        ({**RAN, "ActiveState": "deactivating", "MainPID": "7"}, ServiceState.STOPPING, None, False),
        ({**RAN, "ActiveState": "maintenance"}, ServiceState.UNKNOWN, None, False),
    ],
    ids=lambda value: "-".join(value.values())[-40:] if isinstance(value, dict) else None,
)
def test_states(
    script: Script, tmp_path: Path, *, unit: dict[str, str], state: ServiceState, code: int | None, wanted: bool
) -> None:
    script("systemctl", shown(**unit))
    status = controller(tmp_path).status("kafka")
    assert (status.state, status.exit_code, status.stopped_on_request) == (state, code, wanted)
    assert (status.pid == 7) is (unit.get("MainPID") == "7")


def test_a_unit_that_is_not_there_is_unknown(script: Script, tmp_path: Path) -> None:
    script("systemctl", shown(LoadState="not-found"))
    with pytest.raises(UnknownServiceError):
        controller(tmp_path).status("kafka")
    assert controller(tmp_path).statuses() == ()
    with pytest.raises(
        HostNotReadyError, match=r"no unit broker.service \(kafka\); install it, or name it in PIPELINE"
    ):
        controller(tmp_path, kafka="broker.service").check(("kafka",))


@pytest.mark.parametrize(
    "said", ["System has not been booted with systemd as init system", "Failed to connect to bus: No such file"]
)
def test_no_systemd_is_a_host_that_is_away(script: Script, tmp_path: Path, said: str) -> None:
    script("systemctl", f"echo '{said}' >&2; exit 1")
    with pytest.raises(HostUnreachableError, match=said):
        controller(tmp_path).statuses()


def test_a_systemd_that_hangs_is_a_host_that_is_away(script: Script, tmp_path: Path) -> None:
    script("systemctl", "exec sleep 30")
    with pytest.raises(HostUnreachableError, match="has not answered within 1 s"):
        controller(tmp_path).statuses()


def test_verbs_go_through_sudo_and_questions_do_not(script: Script, tmp_path: Path) -> None:
    script("systemctl", shown(**RAN, ActiveState="active", MainPID="7"))
    script("sudo", "echo 'sudo: a password is required' >&2; exit 1")
    with pytest.raises(
        HostForbidsError, match=r"a sudo rule without a password for: systemctl stop --no-block -- kafka"
    ):
        controller(tmp_path, sudo=True).stop("kafka", 1)
    assert controller(tmp_path).status("kafka").state is ServiceState.RUNNING
    assert "sudo -n systemctl stop --no-block -- kafka.service" in (tmp_path / "calls").read_text()
    assert "sudo -n systemctl show" not in (tmp_path / "calls").read_text()


def test_a_warning_of_sudo_is_no_refusal(script: Script, tmp_path: Path) -> None:
    script("systemctl", shown(ActiveState="failed", **RAN, Result="start-limit-hit"))
    script("sudo", "echo 'sudo: unable to resolve host x' >&2; echo 'Job for kafka.service failed.' >&2; exit 1")
    with pytest.raises(StartFailedError, match=r"Job for kafka\.service failed"):
        controller(tmp_path, sudo=True).start("kafka", 1)


def test_the_check_at_start_names_the_rule_that_is_missing(script: Script, tmp_path: Path) -> None:
    script("systemctl", shown())
    script("sudo", "exit 0")
    controller(tmp_path, sudo=True).check(("kafka",))
    asked = [line for line in (tmp_path / "calls").read_text().splitlines() if line.startswith("sudo")]
    assert asked == [
        "sudo -n --list systemctl start -- kafka.service",
        "sudo -n --list systemctl stop --no-block -- kafka.service",
        "sudo -n --list systemctl kill --signal=SIGKILL -- kafka.service",
    ]
    script("sudo", 'case "$*" in *kill*) exit 1;; esac')
    with pytest.raises(HostForbidsError, match=r"password for: systemctl kill --signal=SIGKILL -- kafka\.service"):
        controller(tmp_path, sudo=True).check(("kafka",))
    (tmp_path / "calls").unlink()
    controller(tmp_path).check(("kafka",))  # root needs no rule
    assert "sudo" not in (tmp_path / "calls").read_text()
