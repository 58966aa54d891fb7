"""Looks at what a supervised process depends on, through the providers' hooks. Facts, or a failure that says why."""

from __future__ import annotations

from typing import Any

KAFKA_CONNECTION = "pipeline_kafka"
MYSQL_CONNECTION = "pipeline_mysql"
_DEADLINE_SECONDS = 10.0


class DependencyError(Exception):
    """A dependency is not as the pipeline needs it."""


def kafka_facts() -> dict[str, Any]:
    """Brokers, and partitions of each topic of the pipeline.

    Raises :class:`DependencyError` when the broker does not answer or a topic is missing or has other partitions.
    """
    from airflow.providers.apache.kafka.hooks.client import KafkaAdminClientHook
    from confluent_kafka import KafkaException

    from include.broker.topics import expected_topics
    from include.settings import get_settings

    admin = KafkaAdminClientHook(kafka_config_id=KAFKA_CONNECTION).get_conn
    try:
        cluster = admin.list_topics(timeout=_DEADLINE_SECONDS)
    except KafkaException as error:
        raise DependencyError(f"Kafka does not answer (connection {KAFKA_CONNECTION}): {error}") from error
    expected = {spec.name: spec.partitions for spec in expected_topics(get_settings())}
    found = {name: len(cluster.topics[name].partitions) if name in cluster.topics else 0 for name in expected}
    problems = [
        f"topic {name} is missing"
        if not found[name]
        else f"topic {name} has {found[name]} partitions, expected {count}"
        for name, count in expected.items()
        if found[name] != count
    ]
    if problems:
        raise DependencyError(f"Kafka answers, but {'; '.join(problems)}.")
    return {"brokers": [f"{b.host}:{b.port}" for b in cluster.brokers.values()], "partitions": found}


def mysql_facts() -> dict[str, Any]:
    """Server version and schema version.

    Raises :class:`DependencyError` when the server refuses or the schema was never made.
    """
    from airflow.providers.mysql.hooks.mysql import MySqlHook
    from mysql.connector import Error

    hook = MySqlHook(mysql_conn_id=MYSQL_CONNECTION)
    try:
        server = hook.get_first("SELECT VERSION()")
        schema = hook.get_first("SELECT MAX(version) FROM schema_migrations")
    except Error as error:
        raise DependencyError(f"MySQL (connection {MYSQL_CONNECTION}): error {error.errno}: {error.msg}") from error
    if schema is None or schema[0] is None:
        raise DependencyError("MySQL answers, but schema_migrations is empty: the tables were never made (make up).")
    return {"server_version": str(server[0]), "schema_version": schema[0]}
