"""The probes of MySQL. Each has a connection of its own: one that hangs does not hold up the others."""

from __future__ import annotations

from include.health.probes.base import Probe
from include.health.probes.mysql_audit import MysqlAuditProbe
from include.health.probes.mysql_canary import MysqlCanaryProbe
from include.health.probes.mysql_ledger import MysqlLedgerProbe
from include.health.probes.mysql_locks import MysqlLocksProbe
from include.health.probes.mysql_schema import MysqlSchemaProbe
from include.settings import Settings


def warehouse_probes(settings: Settings) -> tuple[Probe, ...]:
    """All of them; nothing is connected yet."""
    return (
        MysqlCanaryProbe(settings),
        MysqlLedgerProbe(settings),
        MysqlSchemaProbe(settings),
        MysqlAuditProbe(settings),
        MysqlLocksProbe(settings),
    )
