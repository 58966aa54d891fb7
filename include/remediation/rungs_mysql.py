"""Rungs of MySQL: restart the server, validate credentials, validate the schema.

A server that answers is never restarted: what it refuses (rights, schema, read-only, a full disk, locks) is told with
its error number, and is for people, or for the rung made for it.
"""

from __future__ import annotations

from collections.abc import Callable

from include.health.observations import Code, Observation, Outcome, Probe, SchemaFacts
from include.playbook.ladder import RungId
from include.remediation.circumstances import folder_of_server, full_disk, port_conflict
from include.remediation.errors import RungError
from include.remediation.model import Finding, Need, Proof, RungWork, RunRequest, Work
from include.remediation.mysql_refusals import elsewhere, refusal
from include.remediation.rungs_common import (
    OnlyWhenNeeded,
    RestartService,
    Validation,
    blind_finding,
    facts_of,
    proof_of,
)
from include.remediation.rungs_mysql_rows import RepairWindows
from include.remediation.service_log import last_run
from include.remediation.tools import Tools
from include.remediation.waiting import until
from include.services.names import MYSQL
from include.stack.mariadb import data_dir
from include.warehouse.dialect import LOG_READY

PORTS = ("mysql_port",)

_SILENT = frozenset({Code.TIMEOUT, Code.CONNECTIVITY, Code.REFUSED, Code.SHUTTING_DOWN})
_STARTING_SECONDS = 10.0  # half a second as a rule; after a crash the redo log is replayed first
_CONFIRM_SECONDS = 0.3  # a second look at a server that did not answer the first


class RestartMysql(RestartService):
    """Gone, or it does not answer at all."""

    service = MYSQL
    start_seconds = 15.0
    hung_stop_seconds = 3.0  # what is cut short is replayed from the redo log, which takes its time

    def need(self) -> Finding:
        """Only for a server of this machine: starting ours does not help where the settings name another one."""
        if (found := elsewhere(self.tools.settings)) is not None:
            return found
        return super().need()

    def answers(self) -> Finding:
        """See :class:`RestartService`."""
        if self.is_suspended():
            return Finding(Need.NEEDED, "The server's process is suspended and does not answer.")
        patience = max(_CONFIRM_SECONDS, self.seconds_left_to_start(_STARTING_SECONDS))
        seen = until(self.tools.clock, patience, self._look, lambda it: _answered(it) or self._is_wrongly_asked(it))
        if seen.outcome is Outcome.OK:
            return Finding(Need.NOT_NEEDED, "The server takes a row from the pipeline's account.", facts_of(seen))
        if seen.outcome is Outcome.BLIND:
            return blind_finding(seen, "The database")
        if (found := refusal(self.tools, seen, self.pid())) is not None:
            return found
        return Finding(Need.NEEDED, f"The server lives and does not answer: {seen.error}.", facts_of(seen))

    def obstacle(self) -> Finding | None:
        """A port that somebody else has, or a full disk."""
        if self.pid() is not None:
            return None
        if conflict := port_conflict(self.tools.settings, MYSQL, PORTS):
            return conflict
        run = last_run(self.tools.controller, MYSQL, LOG_READY)
        return full_disk(MYSQL, folder_of_server(self.tools.settings, data_dir(self.tools.settings)), run.no_space)

    def proof(self) -> Proof:
        """The pipeline's own account writes a row."""
        ended = self.ended_again(LOG_READY)
        return ended or proof_of(self._look(), "The pipeline's account writes a row.", "It does not take a row")

    def _look(self) -> Observation:
        return self.tools.look(Probe.MYSQL_CANARY)

    def _is_wrongly_asked(self, seen: Observation) -> bool:
        """It has started, and listens where the settings do not ask."""
        return seen.code is Code.REFUSED and refusal(self.tools, seen, self.pid()) is not None


class ValidateCredentials(Validation):
    """A login with the pipeline's own account, and a row written in its name."""

    def need(self) -> Finding:
        """See :class:`Validation`."""
        seen = until(self.tools.clock, _CONFIRM_SECONDS, lambda: self.tools.look(Probe.MYSQL_CANARY), _answered)
        if seen.outcome is Outcome.OK:
            user = self.tools.settings.mysql_user
            return Finding(Need.NOT_NEEDED, f"The account {user} logs in and writes into every table.", facts_of(seen))
        if seen.outcome is Outcome.BLIND:
            return blind_finding(seen, "Whether the account may log in")
        if seen.code in _SILENT or seen.code in (Code.UNREACHABLE, Code.CAPACITY):
            text = f"The server lets nobody log in now ({seen.error}); the account can be validated when it answers."
            return Finding(Need.UNKNOWN, text, facts_of(seen))
        found = refusal(self.tools, seen, None)
        if seen.code is Code.CREDENTIALS and found is not None:
            return found
        return Finding(
            Need.NOT_NEEDED, f"The account logs in. What fails is something else: {seen.error}", facts_of(seen)
        )


class ValidateSchema(OnlyWhenNeeded):
    """The tables are what the migrations made. Missing migrations are applied; a changed table is left to people."""

    def __init__(self, tools: Tools, request: RunRequest) -> None:
        self.tools, self.request = tools, request

    def need(self) -> Finding:
        """See :class:`include.remediation.model.RungWork`."""
        seen = self.tools.look(Probe.MYSQL_SCHEMA)
        if seen.outcome is Outcome.BLIND and seen.code is Code.NOT_AVAILABLE:
            return Finding(Need.NEEDED, "The database has no tables yet: no migration was applied.", facts_of(seen))
        if seen.outcome is Outcome.BLIND:
            return blind_finding(seen, "The tables")
        if not isinstance(seen.facts, SchemaFacts):
            found = refusal(self.tools, seen, None)
            text = f"The tables cannot be compared: {seen.error}."
            return found or Finding(Need.UNKNOWN, text, facts_of(seen))
        problems = seen.facts.problems
        if not problems:
            return Finding(Need.NOT_NEEDED, "The tables are what the migrations made.", facts_of(seen))
        facts = {**facts_of(seen), "problems": list(problems)}
        if all(problem.endswith(_NOT_APPLIED) for problem in problems):
            return Finding(Need.NEEDED, f"{_sentence(problems)} Migrations only add, and may be repeated.", facts)
        text = (
            f"{_sentence(problems)} Somebody changed the tables after they were made. Find out who and why; the"
            " pipeline does not change tables back, as that might lose data."
        )
        return Finding(Need.BY_PEOPLE, text, facts)

    def services(self) -> tuple[str, ...]:
        """None."""
        return ()

    def do(self) -> Work:
        """Apply what is missing."""
        from sqlalchemy.exc import DBAPIError

        from include.warehouse.error_numbers import describe
        from include.warehouse.errors import MigrationError
        from include.warehouse.migrations import migrate

        try:
            applied = migrate(self.tools.settings)
        except MigrationError as error:
            raise RungError(str(error)) from error
        except DBAPIError as error:
            raise RungError(describe(error)) from error
        if not applied:
            return Work("No migration was missing any more.")
        return Work(f"Applied: {', '.join(applied)}.", {"applied": applied})

    def proof(self) -> Proof:
        """The tables are as they should be, and take a row."""
        seen = self.tools.look(Probe.MYSQL_SCHEMA)
        if isinstance(seen.facts, SchemaFacts) and seen.facts.problems:
            return Proof(False, _sentence(seen.facts.problems), {"problems": list(seen.facts.problems)})
        if seen.outcome is not Outcome.OK:
            return proof_of(seen, "", "The tables cannot be compared")
        good = "The tables are what the migrations made, and take a row."
        return proof_of(self.tools.look(Probe.MYSQL_CANARY), good, "The tables do not take a row")

    def roll_back(self) -> Work | None:
        """Migrations only add."""
        return None


_NOT_APPLIED = "is not applied (python -m include.warehouse migrate)"


def _answered(seen: Observation) -> bool:
    return seen.outcome is not Outcome.FAILED or seen.code not in _SILENT


def _sentence(problems: tuple[str, ...]) -> str:
    text = "; ".join(problems)
    return f"{text[0].upper()}{text[1:]}."


MYSQL_RUNGS: dict[RungId, Callable[[Tools, RunRequest], RungWork]] = {
    RungId.RESTART_MYSQL: RestartMysql,
    RungId.VALIDATE_CREDENTIALS: ValidateCredentials,
    RungId.VALIDATE_SCHEMA: ValidateSchema,
    RungId.REPAIR_WINDOWS: RepairWindows,
}
