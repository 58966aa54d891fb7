"""``make up``: everything on loopback, and rows in ``moving_averages`` before it says so. Safe to repeat."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from include.broker.topics import ensure_topics, expected_topics
from include.incidents.factory import store_from_settings
from include.services.controller import ServiceController
from include.services.factory import controller_from_settings
from include.services.names import EXCHANGE, KAFKA, MYSQL, PROCESSOR, PRODUCER
from include.services.supervision_store import SupervisionStore
from include.settings import PREFIX, Feed, ServiceAdapter, Settings
from include.stack import airflow_setup, mariadb, readiness
from include.stack.artifacts import GROUPS, fetch
from include.stack.console import progress, step
from include.stack.errors import StackError
from include.stack.host import is_listening, start_host
from include.stack.java import find_java
from include.stack.leftovers import end_leftovers
from include.stack.ports import check_ports
from include.stack.processes import AIRFLOW_PROCESSES, processes
from include.stack.running import check_feed, claim_feed, differences, remember, remembered
from include.warehouse.migrations import migrate

START_SECONDS = 60.0
_HOST_SECONDS = 15.0


def host_is_running(settings: Settings) -> bool:
    """Whether there is a process host for this run-time folder; a busy one gets time to answer.

    Raises :class:`~include.stack.errors.StartError` when it is there and does not answer: what it owns must not be
    taken for leftovers.
    """
    if not is_listening(settings.supervisor_socket):
        return False
    controller = controller_from_settings(settings)
    readiness.wait_until(controller.statuses, _HOST_SECONDS, lambda: "the process host is there, but does not answer.")
    return True


def bring_up(settings: Settings) -> None:
    """Start whatever is not running yet, in the order of dependence; Kafka, MySQL and Airflow start side by side.

    Raises :class:`StackError` and its kinds, with what to do.
    """
    _refuse_other_hosts(settings)
    if host_is_running(settings):
        _refuse_other_settings(settings)
    else:
        _start_host(settings)
    controller = controller_from_settings(settings)
    with ThreadPoolExecutor() as pool:
        parts = [pool.submit(part, settings, controller) for part in (_start_kafka, _start_mysql, _start_airflow)]
        if settings.feed is not Feed.LIVE:
            parts.append(pool.submit(_start_exchange, settings, controller))
        for part in parts:
            part.result()


def _refuse_other_hosts(settings: Settings) -> None:
    """What runs in containers or as units is not to get a second copy beside it."""
    if settings.service_adapter is not ServiceAdapter.SUPERVISORD:
        raise StackError(
            f"{PREFIX}SERVICE_ADAPTER: received {settings.service_adapter.value}; make up is the stack of this machine "
            f"alone, whose processes supervisord owns. Unset it for make up; with {settings.service_adapter.value} "
            "the processes are started there (docs/operations.md)."
        )


def _refuse_other_settings(settings: Settings) -> None:
    if changed := differences(settings, remembered(settings)):
        raise StackError("The stack is running with other settings. Run make down first.\n  " + "\n  ".join(changed))


def _start_host(settings: Settings) -> None:
    if ended := end_leftovers(settings):
        progress(f"ended {len(ended)} processes of an earlier run that had lost their host")
    check_ports(processes(settings))
    check_feed(settings)
    with step("Artifacts: Kafka, Spark's Kafka connector, embedded database"):
        java = find_java(settings.cache)
        for group in GROUPS:
            fetch(settings, java, group, progress)
        mariadb.unpack(settings)
    for name in (PRODUCER, PROCESSOR):  # up is a wish to have them: it ends earlier holds and exhausted budgets
        SupervisionStore(name, settings.run_dir).forget()
    claim_feed(settings)
    remember(settings)
    start_host(settings)


def _start_kafka(settings: Settings, controller: ServiceController) -> None:
    with step("Kafka answers, topics exist"):
        controller.start(KAFKA, START_SECONDS)
        _await(controller, KAFKA, lambda: readiness.kafka_answers(settings))
        ensure_topics(settings.bootstrap_servers, expected_topics(settings))


def _start_mysql(settings: Settings, controller: ServiceController) -> None:
    with step("MySQL answers, schema is current"):
        controller.start(MYSQL, START_SECONDS)
        _await(controller, MYSQL, lambda: readiness.mysql_answers(settings))
        migrate(settings)


def _start_exchange(settings: Settings, controller: ServiceController) -> None:
    with step("Stand-in exchange answers"):
        controller.start(EXCHANGE, START_SECONDS)
        _await(controller, EXCHANGE, lambda: readiness.exchange_answers(settings))


def _start_airflow(settings: Settings, controller: ServiceController) -> None:
    with step("Incident store is current"), contextlib.closing(store_from_settings(settings)) as store:
        store.open_incidents()  # the first use makes or changes its tables
    with step("Airflow is healthy: API server, scheduler, Dag processor, triggerer"):
        airflow_setup.prepare_airflow(settings)
        for name in AIRFLOW_PROCESSES:
            controller.start(name, START_SECONDS)
        _await(controller, AIRFLOW_PROCESSES[0], lambda: readiness.airflow_is_healthy(settings), 120)


def _await(
    controller: ServiceController, name: str, answers: Callable[[], bool], timeout: float = START_SECONDS
) -> None:
    def failure() -> str:
        tail: tuple[str, ...] = ()
        with contextlib.suppress(Exception):
            tail = controller.tail(name, 15)
        return f"{name} does not answer. End of its log:\n  " + "\n  ".join(tail) + "\n"

    readiness.wait_until(answers, timeout, failure)
