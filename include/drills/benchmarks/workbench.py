"""The servers that benchmarks run against: the real ones, in a temporary home, without Airflow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from include.broker.topics import ensure_topics, expected_topics
from include.services.controller import ServiceController
from include.services.factory import controller_from_settings
from include.services.names import KAFKA, MYSQL
from include.settings import Settings
from include.stack import mariadb, readiness
from include.stack.artifacts import GROUPS, fetch
from include.stack.console import progress
from include.stack.down import bring_down
from include.stack.host import start_host
from include.stack.isolation import isolated_settings
from include.stack.java import find_java
from include.stack.running import remember
from include.warehouse.migrations import migrate

_START_SECONDS = 60.0


class Workbench:
    """A running broker and database; other processes of the pipeline are started on demand."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.controller: ServiceController = controller_from_settings(settings)

    def start(self, *names: str) -> None:
        """Start processes of the pipeline."""
        for name in names:
            self.controller.start(name, _START_SECONDS)

    def topic(self, name: str, partitions: int = 3) -> str:
        """A new, empty topic."""
        admin = AdminClient({"bootstrap.servers": self.settings.bootstrap_servers})
        admin.create_topics([NewTopic(name, partitions)])[name].result(10)
        return name


@contextmanager
def workbench(**overrides: Any) -> Iterator[Workbench]:
    """Kafka with the pipeline's topics and MySQL with its schema, taken down at the end."""
    with isolated_settings(**overrides) as settings:
        java = find_java(settings.cache)
        for group in GROUPS:
            fetch(settings, java, group, progress)
        mariadb.unpack(settings)
        remember(settings)
        start_host(settings)
        try:
            bench = Workbench(settings)
            bench.start(KAFKA, MYSQL)
            readiness.wait_until(lambda: readiness.kafka_answers(settings), _START_SECONDS, lambda: "Kafka")
            readiness.wait_until(lambda: readiness.mysql_answers(settings), _START_SECONDS, lambda: "MySQL")
            ensure_topics(settings.bootstrap_servers, expected_topics(settings))
            migrate(settings)
            yield bench
        finally:
            bring_down(settings)
