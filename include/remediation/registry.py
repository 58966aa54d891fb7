"""Every rung, by its id. A rung with the same name in two ladders is the same work."""

from __future__ import annotations

from collections.abc import Callable

from include.playbook.ladder import RungId
from include.remediation.model import RungWork, RunRequest
from include.remediation.rungs_kafka import KAFKA_RUNGS
from include.remediation.rungs_kafka_clients import PRODUCER, after_kafka
from include.remediation.rungs_lag import LAG_RUNGS
from include.remediation.rungs_mysql import MYSQL_RUNGS
from include.remediation.rungs_processor import PROCESSOR_RUNGS
from include.remediation.rungs_producer import PRODUCER_RUNGS
from include.remediation.tools import Tools

RungMaker = Callable[[Tools, RunRequest], RungWork]

RUNGS: dict[RungId, RungMaker] = {
    **KAFKA_RUNGS,
    **MYSQL_RUNGS,
    **PRODUCER_RUNGS,
    **PROCESSOR_RUNGS,
    **LAG_RUNGS,
    RungId.RESTART_PRODUCER: after_kafka(PRODUCER_RUNGS[RungId.RESTART_PRODUCER], PRODUCER),
}
