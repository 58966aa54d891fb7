"""What the probes of MySQL see of the simulated plant."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from include.health.observations import (
    AuditFacts,
    Code,
    LocksFacts,
    Observation,
    Probe,
    RoundTripFacts,
    RowsFacts,
    SchemaFacts,
)
from tests.detection.plant_market import SYMBOLS
from tests.detection.plant_mysql import GONE, HUNG
from tests.detection.plant_seeing import POOL, failed, ok, round_trips

if TYPE_CHECKING:
    from tests.detection.plant import Plant


class MysqlLooks:
    """As :class:`~tests.detection.plant_looks.Looks`."""

    def __init__(self, plant: Plant, rng: random.Random) -> None:
        self._plant = plant
        self._turn = rng.randrange(POOL)
        self._write = round_trips(Probe.MYSQL_CANARY, rng, 0.006)
        self._whole_schema = ok(Probe.MYSQL_SCHEMA, SchemaFacts(problems=()))
        self._whole_rows = ok(Probe.MYSQL_AUDIT, AuditFacts(checked=20, missing=()))
        self._no_locks = ok(Probe.MYSQL_LOCKS, LocksFacts(waiting=0, longest_wait_seconds=0.0, blockers=()))

    def mysql_canary(self, now: float) -> Observation:
        """``MYSQL_CANARY``: logs in anew each time."""
        refused = self._mysql_refuses(Probe.MYSQL_CANARY)
        if refused is not None:
            return refused
        fault, slow = self._plant.database.fault, self._plant.database.slow
        if fault is not None and fault.canary:
            took = 1.0 if fault.code is Code.LOCKED else 0.01
            return failed(Probe.MYSQL_CANARY, fault.code, fault.text, took, fault.number)
        self._turn = turn = (self._turn + 1) % POOL
        if slow == 1.0:
            return self._write[turn]
        seconds = min(0.9, self._write[turn].facts.seconds * slow)  # type: ignore[union-attr]
        return ok(Probe.MYSQL_CANARY, RoundTripFacts(seconds=seconds), seconds)

    def mysql_ledger(self, now: float) -> Observation:
        """``MYSQL_LEDGER``: on a connection that stays open."""
        refused = self._mysql_refuses(Probe.MYSQL_LEDGER)
        if refused is not None:
            return refused
        plant = self._plant
        fault, processor, first = plant.database.fault, plant.processor, plant.market.first_ids
        if fault is not None and not fault.reads:
            return failed(Probe.MYSQL_LEDGER, fault.code, fault.text, 0.01, fault.number)
        done = processor.done
        facts = RowsFacts(
            counted={SYMBOLS[0]: first[0] + done[0], SYMBOLS[1]: first[1] + done[1]},
            batches=processor.batches,
            batch_age_seconds=max(0.0, now - processor.committed_at) if processor.batches else None,
            row_age_seconds=max(0.0, now - processor.rows_at) if processor.batches else None,
            offsets={0: done[0], 1: done[1]},
        )
        return ok(Probe.MYSQL_LEDGER, facts)

    def mysql_schema(self, now: float) -> Observation:
        """``MYSQL_SCHEMA``."""
        refused = self._mysql_refuses(Probe.MYSQL_SCHEMA) or self._new_login(Probe.MYSQL_SCHEMA)
        if refused is not None:
            return refused
        problems = self._plant.database.schema_problems
        return ok(Probe.MYSQL_SCHEMA, SchemaFacts(problems=problems)) if problems else self._whole_schema

    def mysql_audit(self, now: float) -> Observation:
        """``MYSQL_AUDIT``."""
        refused = self._mysql_refuses(Probe.MYSQL_AUDIT) or self._new_login(Probe.MYSQL_AUDIT)
        if refused is not None:
            return refused
        missing = self._plant.database.missing
        return ok(Probe.MYSQL_AUDIT, AuditFacts(checked=20, missing=missing)) if missing else self._whole_rows

    def mysql_locks(self, now: float) -> Observation:
        """``MYSQL_LOCKS``."""
        refused = self._mysql_refuses(Probe.MYSQL_LOCKS)
        if refused is not None:
            return refused
        fault, since = self._plant.database.fault, self._plant.database.lock_since
        if fault is not None and not fault.reads:
            return failed(Probe.MYSQL_LOCKS, fault.code, fault.text, 0.01, fault.number)
        if since is None:
            return self._no_locks
        waits = LocksFacts(waiting=1, longest_wait_seconds=min(5.0, now - since), blockers=("connection 71, idle",))
        return ok(Probe.MYSQL_LOCKS, waits)

    def _mysql_refuses(self, probe: Probe) -> Observation | None:
        process = self._plant.mysql
        if process.answers:
            return None
        if process.hung:
            return failed(probe, Code.TIMEOUT, HUNG.text, 2.0 if probe is Probe.MYSQL_LEDGER else 1.0, HUNG.number)
        return failed(probe, Code.REFUSED, GONE.text, number=GONE.number)

    def _new_login(self, probe: Probe) -> Observation | None:
        fault = self._plant.database.fault
        if fault is not None and (fault.code is Code.CAPACITY or not fault.reads):
            return failed(probe, fault.code, fault.text, 0.01, fault.number)
        return None
