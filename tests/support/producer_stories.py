"""What can happen to the producer and its exchange in a flow, and what the rules of its scenario conclude."""

from __future__ import annotations

from typing import Any

from include.health.config import DetectorConfig
from include.health.observations import Code, ExchangeFacts, Observation, Outcome, Probe
from include.health.rules.producer_silent import ProducerSilentRules
from include.health.verdicts import Verdict
from include.playbook.names import ScenarioId
from include.playbook.thresholds import ProducerThresholds
from tests.support.flow import SYMBOL, Act, Flow, Script, watched
from tests.support.observing import thresholds

FAULT_AT = 60


def producer_rules(**changed: Any) -> ProducerSilentRules:
    """Those of the scenario, for one symbol."""
    limits = thresholds(ScenarioId.PRODUCER_SILENT, ProducerThresholds, **changed)
    return ProducerSilentRules(limits, DetectorConfig(symbols=(SYMBOL,)))


def told(act: Act, until: float = 120, script: Script | None = None, flow: Flow | None = None) -> dict[float, Verdict]:
    """The verdicts, by seconds since the start, when this happens at ``FAULT_AT``."""
    return watched(producer_rules(), flow or Flow(), until, {FAULT_AT: act, **(script or {})})


def exchange(code: Code, *answers: Code) -> Act:
    """It cannot be asked; what each of its addresses answers."""
    facts = ExchangeFacts(newest={}, answers={f"api{i}": answer.value for i, answer in enumerate(answers)})
    look = Observation(probe=Probe.EXCHANGE, outcome=Outcome.FAILED, code=code, error=code.value, facts=facts)
    return lambda flow: flow.told.update({Probe.EXCHANGE: look})
