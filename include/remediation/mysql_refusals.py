"""What a database that answers refuses: named with its error number and figures. None of it is mended by a restart."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable

from include.health.observations import Code, LocksFacts, Observation, Probe
from include.remediation.circumstances import folder_of_server, full_disk, listening_at
from include.remediation.model import Finding, Need
from include.remediation.rungs_common import facts_of
from include.remediation.tools import Tools
from include.services.names import MYSQL
from include.services.process_table import processes_are_here
from include.settings import PREFIX, Settings
from include.stack.mariadb import data_dir

_NO_DATABASE, _WRONG_LOGIN = 1049, 1045
_NO_RESTART = "A restart changes nothing."

_Teller = Callable[[Tools, Observation], Finding]


def refusal(tools: Tools, seen: Observation, pid: int | None) -> Finding | None:
    """``BY_PEOPLE`` or ``FORBIDDEN`` for a failure that is the server's own word, or that settings explain; ``None``:
    it does not answer. ``pid``: of the server's process on this machine.
    """
    if (tell := _TELLERS.get(seen.code)) is not None:
        return tell(tools, seen)
    if seen.code is Code.REFUSED and pid is not None and processes_are_here(tools.settings):
        return _wrong_port(tools.settings, seen, pid)
    return None


def elsewhere(settings: Settings) -> Finding | None:
    """``BY_PEOPLE`` if the settings name a server that our process host does not have: neither on this machine nor the
    container that is called as the service. Its process is not ours to restart.
    """
    here = processes_are_here(settings)
    if _is_here(settings.mysql_host) or (not here and settings.mysql_host == MYSQL):
        return None
    where = "is not on this machine" if here else f"is not the container {MYSQL}"
    text = (
        f"The settings name the server {settings.mysql_host}:{settings.mysql_port}, which {where}: it cannot be"
        " restarted from here."
    )
    return Finding(Need.BY_PEOPLE, text, {"host": settings.mysql_host, "port": settings.mysql_port})


def _credentials(tools: Tools, seen: Observation) -> Finding:
    settings = tools.settings
    who = f"the account {settings.mysql_user} at {settings.mysql_host}:{settings.mysql_port}"
    if seen.number == _WRONG_LOGIN:
        check = (
            f"the password file mysql_password in the secrets folder against what the server has, whether the account"
            f" exists for this host, and who changed it last ({PREFIX}MYSQL_USER)"
        )
    else:
        check = (
            f"the grants of the account on the database {settings.mysql_database} (SHOW GRANTS), and who changed them"
        )
    text = f"MySQL refuses {who}, {_error(seen)} {_NO_RESTART} To check: {check}."
    return Finding(Need.BY_PEOPLE, text, {**facts_of(seen), "account": settings.mysql_user})


def _schema(tools: Tools, seen: Observation) -> Finding:
    if seen.number == _NO_DATABASE:
        settings = tools.settings
        text = (
            f"The server at {settings.mysql_host}:{settings.mysql_port} has no database {settings.mysql_database}"
            f" (error {seen.number}). Either the settings name the wrong server or database"
            f" ({PREFIX}MYSQL_HOST, {PREFIX}MYSQL_PORT, {PREFIX}MYSQL_DATABASE), or somebody dropped it. {_NO_RESTART}"
        )
        return Finding(Need.BY_PEOPLE, text, facts_of(seen))
    text = f"The server answers, and a table or column is not there, {_error(seen)} {_NO_RESTART}"
    return Finding(Need.FORBIDDEN, f"{text} The rung that validates the schema is made for this.", facts_of(seen))


def _disk_full(tools: Tools, seen: Observation) -> Finding:
    folder = folder_of_server(tools.settings, data_dir(tools.settings))
    found = full_disk(MYSQL, folder, seen.error or seen.code.value)
    facts = facts_of(seen) if found is None else {**facts_of(seen), **found.facts}
    return Finding(Need.BY_PEOPLE, found.text if found else f"The disk is full: {seen.error}", facts)


def _locked(tools: Tools, seen: Observation) -> Finding:
    locks = tools.look(Probe.MYSQL_LOCKS).facts
    blockers = list(locks.blockers) if isinstance(locks, LocksFacts) else []
    who = "; ".join(blockers) or "not visible to the pipeline's account (it needs the right PROCESS)"
    text = (
        f"Writes wait for a lock, {_error(seen)} In the way: {who}. Ask its owner before you end"
        " it. A restart would undo everybody's work."
    )
    return Finding(Need.BY_PEOPLE, text, {**facts_of(seen), "blockers": blockers})


def _by_people(why: str) -> _Teller:
    def tell(_: Tools, seen: Observation) -> Finding:
        return Finding(Need.BY_PEOPLE, f"{why}, {_error(seen)} {_NO_RESTART}", facts_of(seen))

    return tell


def _unreachable(tools: Tools, seen: Observation) -> Finding:
    settings = tools.settings
    text = (
        f"{settings.mysql_host}:{settings.mysql_port} cannot be reached ({seen.error}): check the name, the address"
        f" and the route ({PREFIX}MYSQL_HOST). The server itself may be well. {_NO_RESTART}"
    )
    return Finding(Need.BY_PEOPLE, text, facts_of(seen))


def _wrong_port(settings: Settings, seen: Observation, pid: int) -> Finding | None:
    """The process lives, and nobody listens where the settings say: does it listen somewhere else?"""
    listening = listening_at(pid)
    if not listening:  # still starting, or stuck before that
        return None
    asked = f"{settings.mysql_host}:{settings.mysql_port}"
    text = (
        f"The settings ask for {asked}, and nobody listens there; the server (process {pid}) listens on"
        f" {', '.join(listening)}. Compare {PREFIX}MYSQL_HOST and {PREFIX}MYSQL_PORT. {_NO_RESTART}"
    )
    facts = {**facts_of(seen), "asked": asked, "listening": list(listening), "pid": pid}
    return Finding(Need.BY_PEOPLE, text, facts)


def _error(seen: Observation) -> str:
    return f"error {seen.number or 'without a number'}: {seen.error or seen.code.value}"


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host in ("localhost", socket.gethostname())


_TELLERS: dict[Code, _Teller] = {
    Code.CREDENTIALS: _credentials,
    Code.SCHEMA: _schema,
    Code.READ_ONLY: _by_people("The server takes no writes: it is read-only (a replica, or a failover in progress)"),
    Code.DISK_FULL: _disk_full,
    Code.LOCKED: _locked,
    Code.CAPACITY: _by_people("The server has no room for another connection (SHOW PROCESSLIST tells who has them)"),
    Code.DATA: _by_people("The server refuses a value"),
    Code.UNKNOWN: _by_people("The server refuses for a reason that is not in our table"),
    Code.UNREACHABLE: _unreachable,
}
