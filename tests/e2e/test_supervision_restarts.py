"""Supervision on the whole stack: what comes back, how fast, and that there is never a second copy."""
# ruff: noqa: T201 - the measured delays are shown to people

from __future__ import annotations

import os
import signal
import socket
import time
from datetime import UTC, datetime

import pytest

from include.services.names import PROCESSOR, PRODUCER
from include.services.processes import identify, is_alive
from tests.support.pipeline import Pipeline
from tests.support.supervision import Supervised, counting_copies

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


@pytest.fixture
def producer(pipeline: Pipeline) -> Supervised:
    return _supervised(pipeline, PRODUCER)


def _supervised(pipeline: Pipeline, name: str) -> Supervised:
    supervised = Supervised(pipeline, name)
    supervised.serving()
    supervised.supervising_run()
    supervised.forget_history()
    return supervised


def _works_again(pipeline: Pipeline, component: str, since: datetime) -> bool:
    """The component that was started anew does its work: it answers, or its heart has beaten since."""
    health = pipeline.airflow.get("/monitor/health")
    if component == "api-server":
        return True
    beat = health[component][f"latest_{component}_heartbeat"]
    return beat is not None and datetime.fromisoformat(beat) > since


@pytest.mark.parametrize("name", [PRODUCER, PROCESSOR])
def test_a_killed_process_is_back_within_a_second(pipeline: Pipeline, name: str) -> None:
    supervised = _supervised(pipeline, name)
    with counting_copies(supervised) as copies:
        delays = [supervised.kill_and_time()]
        begin = time.monotonic()
        supervised.serving()
        print(f"\n{name}: serves {time.monotonic() - begin:.1f} s after its restart")
        delays.append(supervised.kill_and_time())
        supervised.serving()
    print(f"\n{name}: running again {[f'{d * 1000:.0f} ms' for d in delays]} after SIGKILL")
    assert max(delays) < 1.0
    assert copies.most == 1
    run_id = supervised.supervising_run()
    supervised.wait_for_log(run_id, "has ended, exit code -1")
    supervised.wait_for_log(run_id, f"Started {name}: pid {supervised.pid}")


@pytest.mark.parametrize("component", ["triggerer", "scheduler", "api-server"])
def test_a_killed_airflow_component_costs_nothing(producer: Supervised, component: str) -> None:
    pipeline, run_id = producer.stack, producer.supervising_run()
    process = identify(producer.pid)
    assert process
    component_name = f"airflow-{component}"
    old = pipeline.pid(component_name)
    assert old
    before = producer.task_log(run_id).count("Supervision goes on")
    with counting_copies(producer) as copies:
        begin, since = time.monotonic(), datetime.now(UTC)
        os.kill(old, signal.SIGKILL)
        pipeline.wait_for(lambda: pipeline.pid(component_name) not in (None, old), 10, f"{component} is restarted")
        if component == "triggerer":
            producer.wait_for_log(run_id, "Supervision goes on", 60, times=before + 1)
            print(f"\ntriggerer: supervision goes on {time.monotonic() - begin:.1f} s after its SIGKILL")
        assert is_alive(process), "the process must not notice"
        delay = producer.kill_and_time()  # the scheduler or the API server is not up again by now
        pipeline.wait_for(lambda: _works_again(pipeline, component, since), 120, f"{component} works again")
    print(f"\n{component} killed: btc_producer, killed right afterwards, was back after {delay * 1000:.0f} ms")
    assert delay < 2.0
    assert copies.most == 1
    assert producer.supervising_run() == run_id, "the same run goes on"


def test_a_process_killed_while_there_is_no_triggerer_is_back_with_it(producer: Supervised) -> None:
    pipeline = producer.stack
    with counting_copies(producer) as copies:
        os.kill(pipeline.pid("airflow-triggerer") or 0, signal.SIGKILL)
        delay = producer.kill_and_time(90)
        producer.serving()
    print(f"\nkilled together with the triggerer: back after {delay:.1f} s")
    assert copies.most == 1


def test_a_crash_loop_fails_the_run_and_the_next_one_cools_down(producer: Supervised) -> None:
    pipeline, run_id = producer.stack, producer.supervising_run()
    with socket.socket() as squatter:  # the process cannot have its health port: it ends at every start
        squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        producer.kill()
        _bind(squatter, pipeline.settings.producer_health_port)
        pipeline.wait_for(lambda: producer.run_state(run_id) == "failed", 60, "the run fails")
        producer.wait_for_log(run_id, "btc_producer does not stay up")
        producer.wait_for_log(run_id, "exit code")
        following = producer.supervising_run(60, other_than=run_id)
        producer.wait_for_log(following, "cooling down, next try at")
        time.sleep(3)
        assert producer.pid is None, "it must not hammer"
    pipeline.controller.start(PRODUCER, 30)
    producer.wait_for_log(following, "Adopted btc_producer")


def _bind(squatter: socket.socket, port: int) -> None:
    deadline = time.monotonic() + 10
    while True:  # the killed process gives it up in a moment, the next one wants it a second later
        try:
            squatter.bind(("127.0.0.1", port))
            squatter.listen()
            return
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.001)
