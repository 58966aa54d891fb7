"""The rules of every scenario."""

from __future__ import annotations

from collections.abc import Mapping

from include.health.config import DetectorConfig
from include.health.rules.base import Rules
from include.health.rules.kafka_down import KafkaDownRules
from include.health.rules.kafka_lag import KafkaLagRules
from include.health.rules.mysql_not_writing import MysqlNotWritingRules
from include.health.rules.producer_silent import ProducerSilentRules
from include.health.rules.stream_processor_failure import StreamProcessorFailureRules
from include.playbook.names import ScenarioId
from include.playbook.thresholds import (
    KafkaDownThresholds,
    LagThresholds,
    MysqlThresholds,
    ProducerThresholds,
    StreamProcessorThresholds,
    Thresholds,
)


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
        case ScenarioId.STREAM_PROCESSOR_FAILURE, StreamProcessorThresholds():
            return StreamProcessorFailureRules(thresholds, config)
        case ScenarioId.PRODUCER_SILENT, ProducerThresholds():
            return ProducerSilentRules(thresholds, config)
        case ScenarioId.KAFKA_LAG, LagThresholds():
            return KafkaLagRules(thresholds, config)
    raise TypeError(f"{type(thresholds).__name__} are not thresholds of {scenario}")
