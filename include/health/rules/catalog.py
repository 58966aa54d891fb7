"""The rules of every scenario."""

from __future__ import annotations

from collections.abc import Mapping

from include.health.config import DetectorConfig
from include.health.rules.base import Rules
from include.health.rules.kafka_down import KafkaDownRules
from include.health.rules.mysql_not_writing import MysqlNotWritingRules
from include.playbook.names import ScenarioId
from include.playbook.thresholds import KafkaDownThresholds, MysqlThresholds, Thresholds


def rules_of(thresholds: Mapping[ScenarioId, Thresholds], config: DetectorConfig) -> tuple[Rules, ...]:
    """Rules for the scenarios in ``thresholds``, in the order of the playbook. Raises ``TypeError`` for thresholds of
    another scenario.
    """
    return tuple(_rules(scenario, thresholds[scenario], config) for scenario in ScenarioId if scenario in thresholds)


def _rules(scenario: ScenarioId, thresholds: Thresholds, config: DetectorConfig) -> Rules:
    match scenario, thresholds:
        case ScenarioId.KAFKA_DOWN, KafkaDownThresholds():
            return KafkaDownRules(thresholds, config)
        case ScenarioId.MYSQL_NOT_WRITING, MysqlThresholds():
            return MysqlNotWritingRules(thresholds, config)
    raise TypeError(f"{type(thresholds).__name__} are not thresholds of {scenario}")
