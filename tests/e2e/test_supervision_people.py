"""What a person does in Airflow, and what then becomes of the process."""

from __future__ import annotations

import time

import pytest
import requests

from include.services.controller import ServiceState
from include.services.names import PROCESSOR, PRODUCER
from include.services.supervision_store import SupervisionStore
from tests.support.pipeline import Pipeline
from tests.support.supervision import Supervised

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


@pytest.fixture
def producer(pipeline: Pipeline) -> Supervised:
    supervised = Supervised(pipeline, PRODUCER)
    supervised.serving()
    supervised.supervising_run()
    supervised.forget_history()
    return supervised


def test_pausing_leaves_the_process_alone_and_starts_nothing_until_unpaused(producer: Supervised) -> None:
    pid = producer.running()
    try:
        producer.pause(True)
        time.sleep(1)
        assert producer.pid == pid
        producer.kill()
        producer.wait_for_log(producer.supervising_run(), "This Dag is paused, so it is not started")
        time.sleep(2)
        assert producer.pid is None
    finally:
        producer.pause(False)
    producer.running(10, other_than=pid)


@pytest.mark.parametrize("way_back", ["clear the held task", "off and on"])
def test_a_run_marked_failed_stops_the_process_until_it_is_wanted_back(producer: Supervised, way_back: str) -> None:
    stack, run_id, pid = producer.stack, producer.supervising_run(), producer.running()
    producer.mark_failed(run_id)
    stack.wait_for(lambda: producer.pid is None, 30, "the process is stopped")
    # the host knows the exit code a moment after it has lost the process
    stack.wait_for(lambda: stack.controller.status(PRODUCER).exit_code is not None, 5, "the exit code is known")
    status = stack.controller.status(PRODUCER)
    assert (status.state, status.exit_code) == (ServiceState.STOPPED, 0), "gracefully"
    held = producer.supervising_run(60, other_than=run_id)
    producer.wait_for_log(held, "btc_producer is held")
    assert producer.pid is None
    if way_back == "off and on":
        producer.pause(True)
        store = SupervisionStore(PRODUCER, stack.settings.run_dir)
        stack.wait_for(lambda: (hold := store.load().hold) and hold.dag_paused, 30, "supervision has seen the pause")
        producer.pause(False)
    else:
        producer.clear(held)
    producer.running(30, other_than=pid)
    producer.supervising_run()


def test_clearing_the_task_supervises_anew_without_touching_the_process(producer: Supervised) -> None:
    run_id, pid = producer.supervising_run(), producer.running()
    before = producer.try_number(run_id)
    producer.clear(run_id)
    producer.stack.wait_for(lambda: producer.try_number(run_id) > before, 60, "the next try")
    producer.wait_for_log(run_id, "Supervision goes on", 60)
    assert producer.pid == pid


def test_the_checks_beside_the_supervision_report_what_they_found(pipeline: Pipeline) -> None:
    processor = Supervised(pipeline, PROCESSOR)
    run_id = processor.supervising_run()
    for task, keys in {"kafka": {"brokers", "partitions"}, "mysql": {"server_version", "schema_version"}}.items():
        path = f"{processor.dag}/dagRuns/{run_id}/taskInstances/{task}"
        pipeline.wait_for(lambda path=path: pipeline.airflow.get(path)["state"] == "success", 60, f"{task} succeeds")
        facts = pipeline.airflow.get(f"{path}/xcomEntries/return_value", deserialize=True, stringify=False)["value"]
        assert keys <= set(facts)


def test_the_process_log_is_one_click_away_for_those_who_are_logged_in(producer: Supervised) -> None:
    airflow, run_id = producer.stack.airflow, producer.supervising_run()
    links = airflow.get(f"{producer.dag}/dagRuns/{run_id}/taskInstances/supervise/links")["extra_links"]
    page = links["Process log"].removeprefix("/plugin/process_logs")
    assert requests.get(airflow.url + page, timeout=5).status_code == 401
    shown = requests.get(airflow.url + page, headers={"Authorization": f"Bearer {airflow._token}"}, timeout=5)
    assert shown.status_code == 200
    assert "btc_producer.log" in shown.text
