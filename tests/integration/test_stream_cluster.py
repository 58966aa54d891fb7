"""The same job on a Spark cluster: the averages are exact although workers die in the middle of batches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from include.settings import Settings
from include.stack.ports import free_ports
from tests.support.averages import read_averages
from tests.support.reference import ReferenceTrade, reference_averages
from tests.support.servers import KafkaServer, MySQLServer
from tests.support.spark_cluster import EventLog, SparkMaster, SparkWorker, running_cluster
from tests.support.stream_job import StreamJob, TradeFeed, ledger, published_beside, running_job
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

SYMBOLS = tuple(f"C{number}USDT" for number in range(12))  # enough of them that each partition has some


@dataclass
class Cluster:
    """The job, those who work for it, and who did what."""

    job: StreamJob
    master: SparkMaster
    first: SparkWorker
    second: SparkWorker
    events: EventLog

    def await_work(self, executors: set[str]) -> None:
        """Wait until each of these has done tasks from now on."""
        before = self.events.tasks()

        def worked() -> bool:
            done = self.events.tasks()
            return all(done[executor] > before[executor] for executor in executors)

        wait_for(worked, 150, f"executors {sorted(executors)} do tasks; see {self.job.log}", interval=0.2)

    def executor_of(self, worker: SparkWorker) -> str:
        """Spark's id of the worker's executor, once it has one."""
        found = wait_for(worker.executor, 150, f"the worker has an executor; see {worker.log}")
        return found[0]


@pytest.fixture
def cluster(
    kafka: KafkaServer,
    mysql: MySQLServer,
    stack_settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Cluster]:
    """A job with small batches on a master and two workers."""
    events = EventLog(tmp_path / "events")
    (tmp_path / "events").mkdir()
    (tmp_path / "spark-defaults.conf").write_text(events.configuration)
    monkeypatch.setenv("SPARK_CONF_DIR", str(tmp_path))
    master_port, master_ui, worker_ui = free_ports(3)
    own = {
        "spark_master": f"spark://127.0.0.1:{master_port}",
        "spark_master_ui_port": master_ui,
        "spark_worker_ui_port": worker_ui,
        "spark_worker_memory": "600m",
        "mysql_database": "stream_cluster",
        "trades_topic": "stream-cluster",
        "symbols": SYMBOLS,
        "micro_batch_seconds": 0.1,
        "max_offsets_per_trigger": 3000,
    }
    settings = stack_settings.model_copy(update=own)
    with running_cluster(settings) as (master, first, second), running_job(settings, kafka, mysql) as job:
        yield Cluster(job, master, first, second, events)


def test_workers_are_killed_in_the_middle_of_batches(cluster: Cluster) -> None:
    job, feed = cluster.job, TradeFeed(cluster.job.settings)
    ledgers = [ledger(symbol, 3000, seed=number, rate=60) for number, symbol in enumerate(SYMBOLS)]
    trades: list[ReferenceTrade] = [trade for moment in zip(*ledgers, strict=True) for trade in moment]
    thirds = [trades[start : start + len(trades) // 3] for start in range(0, len(trades), len(trades) // 3)]
    pid = job.pid

    load = published_beside(feed, thirds[0], seconds=6)
    one, other = cluster.executor_of(cluster.first), cluster.executor_of(cluster.second)
    cluster.await_work({one, other})
    job.await_batch("aggregate")
    assert cluster.first.kill_with_executor() == one
    cluster.await_work({other})  # alone
    load.join()

    cluster.first.start()  # comes back, and is given work again
    load = published_beside(feed, thirds[1], seconds=6)
    third = cluster.executor_of(cluster.first)
    cluster.await_work({third, other})
    job.await_batch("aggregate")
    assert cluster.second.kill_with_executor() == other
    load.join()

    feed.publish(thirds[2])
    feed.flush()
    job.await_all_counted()
    assert read_averages(job.settings) == reference_averages(trades, job.settings.windows)
    assert cluster.master.workers == 1
    assert (job.pid, job.health()["status"]) == (pid, "running")
    assert "stream_query_restarts_total 0.0" in job.metrics()
    assert len({one, other, third}) == 3
