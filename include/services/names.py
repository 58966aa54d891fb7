"""The processes of the pipeline by the names that the playbook uses."""

from __future__ import annotations

KAFKA, MYSQL, EXCHANGE = "kafka", "mysql", "exchange"
PRODUCER, PROCESSOR = "btc_producer", "stream_processor"

SERVICES = (EXCHANGE, PRODUCER, KAFKA, PROCESSOR, MYSQL)  # in the order of the flow
