"""KAFKA_METADATA: brokers, controller, and whether the pipeline's topics are what they must be."""

from __future__ import annotations

import time

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._metadata import ClusterMetadata

from include.broker.topics import TopicSpec, differences
from include.health.observations import ClusterFacts, Observation, Outcome
from include.health.observations import Probe as ProbeName
from include.health.probes.base import seen_well
from include.health.probes.kafka_client import REFUSED_AFTER_SECONDS, Look, client_config

_LOOK_SECONDS = 1.8


class KafkaMetadata:
    """One metadata request, on a connection of its own."""

    name, every, deadline, overrun = ProbeName.KAFKA_METADATA, 2.0, 2.0, Outcome.FAILED

    def __init__(self, bootstrap_servers: str, specs: tuple[TopicSpec, ...]) -> None:
        self._specs, self._look = specs, Look(_LOOK_SECONDS)
        self._admin = AdminClient(client_config(bootstrap_servers, self._look))

    def look(self) -> Observation:
        """See :class:`include.health.probes.base.Probe`."""
        self._admin.poll(0)  # what was reported since the last look
        self._look.begin()
        began = time.monotonic()
        try:
            cluster = self._ask()
        except KafkaException as error:
            return self._look.failure(self.name, error.args[0], "metadata")
        self._look.good()
        facts = ClusterFacts(
            brokers=len(cluster.brokers),
            controller=cluster.controller_id if cluster.controller_id >= 0 else None,
            topic_problems=differences(cluster.topics, self._specs),
            seconds=round(time.monotonic() - began, 6),
        )
        return seen_well(self.name, facts)

    def close(self) -> None:
        """The client is freed with this object."""

    def _ask(self) -> ClusterMetadata:
        """Without a connection the request just waits: look after a while whether anybody listens at all."""
        try:
            return self._admin.list_topics(timeout=REFUSED_AFTER_SECONDS + 0.05)
        except KafkaException:
            self._admin.poll(0)
            if self._look.nobody_listens:
                raise
            return self._admin.list_topics(timeout=max(0.1, self._look.left))
