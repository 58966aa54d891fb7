"""``systemctl`` and ``journalctl`` as the adapter needs them: deadlines, rights, and what their refusals mean."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Sequence

from include.services.errors import HostForbidsError, HostRefusesError, HostUnreachableError

Properties = dict[str, str]

CALL_SECONDS = 2.0
_ADDRESS = "systemd"
_PROPERTIES = (
    "Id",
    "LoadState",
    "ActiveState",
    "SubState",
    "Result",
    "MainPID",
    "ExecMainCode",
    "ExecMainStatus",
    "ExecMainStartTimestamp",
)
_CURSOR = "-- cursor: "
_SILENT_FAILURE = "exit code 1 without a word"
_FORBIDDEN = (  # sudo also warns, of names that it cannot resolve, say
    "a password is required",
    "a terminal is required",
    "not in the sudoers file",
    "not allowed to",
    "Access denied",
    "Interactive authentication required",
)


class SystemdCommands:
    """Raises ``HostUnreachableError``, ``HostForbidsError`` and ``HostRefusesError`` (systemd's own words).

    ``prefix`` stands before every command. ``sudo``: before those that change something; unset, for all but root.
    ``call_seconds``: for a question, and for an order that is not waited for.
    """

    def __init__(
        self, prefix: Sequence[str] = (), sudo: bool | None = None, call_seconds: float = CALL_SECONDS
    ) -> None:
        self._prefix, self._seconds = tuple(prefix), call_seconds
        self._sudo = ("sudo", "-n") if (os.geteuid() != 0 if sudo is None else sudo) else ()

    def show(self, units: Iterable[str]) -> list[Properties]:
        """The properties of each unit, in this order; of one that is not there, too (``LoadState``)."""
        wanted = f"--property={','.join(_PROPERTIES)}"
        text = self._run(("systemctl", "show", "--timestamp=us+utc", wanted, "--", *units), "show units")
        blocks = text.strip("\n").split("\n\n")
        return [dict(line.split("=", 1) for line in block.splitlines()) for block in blocks]

    def change(self, unit: str, *verb: str, seconds: float | None = None) -> None:
        """``systemctl`` with a verb (and its options) that changes a unit."""
        self._run((*self._sudo, "systemctl", *verb, "--", unit), f"{verb[0]} {unit}", seconds)

    def may(self, unit: str, *verb: str) -> None:
        """Whether we have the right to :meth:`change`. Raises ``HostForbidsError`` with the rule that is missing."""
        if not self._sudo:
            return
        command = ("systemctl", *verb, "--", unit)
        try:
            self._run((*self._sudo, "--list", *command), f"{verb[0]} {unit}")
        except HostRefusesError as error:  # sudo lists nothing, and says nothing, where there is no rule
            raise _forbidden(f"{verb[0]} {unit}", " ".join(command)) from error

    def journal(self, match: str, *options: str) -> tuple[str, ...]:
        """Lines of the journal, oldest first."""
        command = ("journalctl", "--quiet", "--no-pager", "--output=cat", *options, match)
        try:
            return tuple(self._run(command, "read the journal").splitlines())
        except HostRefusesError as error:
            if error.reason == _SILENT_FAILURE:  # how it says that there is no such line
                return ()
            raise

    def journal_since(self, match: str, cursor: str) -> tuple[tuple[str, ...], str]:
        """Lines after a cursor (empty: all), and the cursor of the last one (empty: there is none)."""
        after = (f"--after-cursor={cursor}",) if cursor else ()
        return _without_cursor(self.journal(match, "--show-cursor", *after))

    def journal_end(self, match: str) -> str:
        """The cursor of the last line; empty if there is none."""
        return _without_cursor(self.journal(match, "--show-cursor", "--lines=1"))[1]

    def _run(self, command: Sequence[str], asked: str, seconds: float | None = None) -> str:
        whole, seconds = (*self._prefix, *command), seconds or self._seconds
        environment = {**os.environ, "LC_ALL": "C"}
        try:
            done = subprocess.run(
                whole, capture_output=True, text=True, errors="replace", timeout=seconds, check=False, env=environment
            )
        except subprocess.TimeoutExpired as error:
            raise HostUnreachableError(_ADDRESS, f"{command[0]} has not answered within {seconds:g} s") from error
        except OSError as error:
            raise HostUnreachableError(_ADDRESS, str(error)) from error
        if done.returncode == 0:
            return done.stdout
        words = (done.stderr or done.stdout).strip() or f"exit code {done.returncode} without a word"
        if "insufficient permissions" in words:
            raise HostForbidsError(_ADDRESS, asked, f"it by membership in the group systemd-journal ({words})")
        if any(sign in words for sign in _FORBIDDEN):
            raise _forbidden(f"{asked} ({words})", " ".join(command).removeprefix("sudo -n "))
        if "Failed to connect" in words or "not been booted with systemd" in words:
            raise HostUnreachableError(_ADDRESS, words)
        raise HostRefusesError(_ADDRESS, asked, words)


def _forbidden(asked: str, command: str) -> HostForbidsError:
    return HostForbidsError(_ADDRESS, asked, f"a sudo rule without a password for: {command}")


def _without_cursor(lines: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
    if lines and lines[-1].startswith(_CURSOR):
        return lines[:-1], lines[-1].removeprefix(_CURSOR)
    return lines, ""
