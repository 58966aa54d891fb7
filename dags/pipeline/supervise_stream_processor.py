"""Keep ``stream_processor`` running: it reads Kafka and writes the moving averages to MySQL."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import dag, task

from include.services.names import PROCESSOR
from playbook_airflow.dag_defaults import dag_defaults
from playbook_airflow.supervise import SuperviseOperator
from playbook_airflow.supervision_doc import supervision_doc
from playbook_airflow.tags import DagTag


@dag(
    dag_id="supervise_stream_processor",
    schedule="@continuous",
    max_active_runs=1,
    tags=[DagTag.PIPELINE, DagTag.SUPERVISION],
    description="Keeps the stream processor running",
    doc_md=supervision_doc(PROCESSOR, "Kafka → moving averages in MySQL", "The tasks `kafka` and `mysql`"),
    **dag_defaults(retry_seconds=10),
)
def supervise_stream_processor() -> None:
    @task(task_id="kafka", execution_timeout=timedelta(seconds=60))
    def look_at_kafka() -> dict[str, Any]:
        """Does the broker answer, and do the topics have their partitions?"""
        from playbook_airflow.dependencies import kafka_facts

        return kafka_facts()

    @task(task_id="mysql", execution_timeout=timedelta(seconds=60))
    def look_at_mysql() -> dict[str, Any]:
        """Does the database answer, and which version has its schema?"""
        from playbook_airflow.dependencies import mysql_facts

        return mysql_facts()

    SuperviseOperator(task_id="supervise", service=PROCESSOR)
    look_at_kafka()
    look_at_mysql()


supervise_stream_processor()
