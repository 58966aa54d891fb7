"""What all sides of the exchange share."""

from __future__ import annotations

from dataclasses import dataclass

from include.market.standin.config import Limits
from include.market.standin.faults import FaultBoard
from include.market.standin.ledger import Ledger
from include.market.standin.limits import Accounting
from include.runtime.clock import Clock


@dataclass(frozen=True)
class Context:
    """One market with its clock, its limits and the faults that are on."""

    ledger: Ledger
    clock: Clock
    limits: Limits
    accounting: Accounting
    faults: FaultBoard
    seed: int
