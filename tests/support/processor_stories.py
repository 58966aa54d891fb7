"""What can happen to the stream processor in a flow, and what the rules of its scenario conclude."""

from __future__ import annotations

from typing import Any

from include.health.config import DetectorConfig
from include.health.observations import Observation
from include.health.rules.stream_processor_failure import StreamProcessorFailureRules
from include.health.verdicts import Verdict
from include.playbook.names import ScenarioId
from include.playbook.thresholds import StreamProcessorThresholds
from tests.support.flow import SYMBOL, Act, Flow, Script, watched
from tests.support.observing import thresholds

FAULT_AT = 300  # durations are known by then


def processor_rules(**config: Any) -> StreamProcessorFailureRules:
    """Those of the scenario, for one symbol."""
    limits = thresholds(ScenarioId.STREAM_PROCESSOR_FAILURE, StreamProcessorThresholds)
    return StreamProcessorFailureRules(limits, DetectorConfig(symbols=(SYMBOL,), **config))


def told(act: Act, until: float = 400, script: Script | None = None) -> dict[float, Verdict]:
    """The verdicts, by seconds since the start, when this happens at ``FAULT_AT``."""
    return watched(processor_rules(), Flow(), until, {FAULT_AT: act, **(script or {})})


def halted(flow: Flow) -> None:
    """No record is counted or committed any more."""
    flow.stopped.update(("counted", "committed"))


def ageing(**facts: Any) -> Act:
    """Facts of the processor; those named ``..._age_seconds`` grow from now on."""

    def act(flow: Flow) -> None:
        halted(flow)
        began, look = flow.now, flow._processor

        def processor() -> Observation:
            grown = {k: v + flow.now - began if k.endswith("age_seconds") else v for k, v in facts.items()}
            flow.processor.update(grown)
            return look()

        flow._processor = processor  # type: ignore[method-assign]

    return act


def batch_in(phase: str) -> Act:
    """A batch that begins now stays in this phase."""
    return ageing(batch_running=True, batch_age_seconds=0.0, batch_phase=phase, phase_age_seconds=0.0)


def works(flow: Flow) -> None:
    """It does again, with another query."""
    flow.as_usual()
    flow.processor.update(query_run_id="new")
