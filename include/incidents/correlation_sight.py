"""What hides a view: a component that is broken, stopped or under suspicion where one looks, or above.

As long as that is so, the missing view is no fault of the observer; it belongs to the incident of what hides it.
"""

from __future__ import annotations

from include.health.observations import Probe
from include.health.verdicts import State
from include.incidents.correlation_step import Step, is_requested
from include.incidents.situation import OpenView
from include.playbook.names import Component, ScenarioId

# What a probe looks at, and must be there for it to see anything.
_LOOKS_AT = {
    Probe.KAFKA_TCP: Component.KAFKA,
    Probe.KAFKA_CANARY: Component.KAFKA,
    Probe.KAFKA_METADATA: Component.KAFKA,
    Probe.KAFKA_GROUP: Component.KAFKA,
    Probe.OFFSETS: Component.KAFKA,
    Probe.PRODUCER: Component.PRODUCER,
    Probe.EXCHANGE: Component.EXCHANGE,
    Probe.PROCESSOR: Component.PROCESSOR,
    Probe.MYSQL_CANARY: Component.MYSQL,
    Probe.MYSQL_LEDGER: Component.MYSQL,
    Probe.MYSQL_SCHEMA: Component.MYSQL,
    Probe.MYSQL_AUDIT: Component.MYSQL,
    Probe.MYSQL_LOCKS: Component.MYSQL,
}


def looked_at(probe: Probe) -> Component:
    """What would have to be broken to explain that the probe is blind."""
    return _LOOKS_AT.get(probe, Component.HOST)


def hiding(step: Step, component: Component) -> list[ScenarioId]:
    """Scenarios in trouble whose component is this one, or lies above it."""
    above = step.playbook.graph.ancestors(component) | {component}
    return [s for s in ScenarioId if step.verdict(s).target in above and _in_trouble(step, s)]


def hidden_within(step: Step, view: OpenView, scenario: ScenarioId) -> bool:
    """Whether a part of this very incident still hides the scenario. Let go now, it would be taken in again."""
    probes = [each.probe for each in step.assessment.blind if scenario in each.scenarios]
    looks_at = {looked_at(probe) for probe in probes} or {step.verdict(scenario).target}
    places = (step.placed.get(s) for component in looks_at for s in hiding(step, component))
    return any(place is not None and place.incident_id == view.incident.id for place in places)


def _in_trouble(step: Step, scenario: ScenarioId) -> bool:
    """It is broken or stopped; or not seen to be healthy yet while its incident is open."""
    verdict = step.verdict(scenario)
    if is_requested(verdict):
        return True
    if step.is_record(verdict):
        return False
    return verdict.state.bad or (verdict.state is State.SUSPECT and scenario in step.placed)
