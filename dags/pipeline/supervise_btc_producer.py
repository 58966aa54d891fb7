"""Keep ``btc_producer`` running: it reads the exchange and writes every trade to Kafka."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import dag, task

from include.services.names import PRODUCER
from playbook_airflow.dag_defaults import dag_defaults
from playbook_airflow.supervise import SuperviseOperator
from playbook_airflow.supervision_doc import supervision_doc
from playbook_airflow.tags import DagTag


@dag(
    dag_id="supervise_btc_producer",
    schedule="@continuous",
    max_active_runs=1,
    tags=[DagTag.PIPELINE, DagTag.SUPERVISION],
    description="Keeps the producer running",
    doc_md=supervision_doc(PRODUCER, "exchange → Kafka", "The task `kafka`"),
    **dag_defaults(retry_seconds=10),
)
def supervise_btc_producer() -> None:
    @task(task_id="kafka", execution_timeout=timedelta(seconds=60))
    def look_at_kafka() -> dict[str, Any]:
        """Does the broker answer, and do the topics have their partitions?"""
        from playbook_airflow.dependencies import kafka_facts

        return kafka_facts()

    SuperviseOperator(task_id="supervise", service=PRODUCER)
    look_at_kafka()


supervise_btc_producer()
