"""``make down``: a clean stop from the deciders to the stores, and nothing left running. Safe to repeat."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from include.services.controller import ServiceController, ServiceOutcome
from include.services.factory import controller_from_settings
from include.services.names import EXCHANGE, KAFKA, MYSQL, PROCESSOR, PRODUCER
from include.settings import Settings
from include.stack.console import progress, step
from include.stack.host import stop_host
from include.stack.leftovers import end_leftovers
from include.stack.processes import AIRFLOW_PROCESSES, Process, processes
from include.stack.up import host_is_running

# Airflow first, or it would bring back what is stopped; then the writers, then what they write to.
_ORDER = (
    ("Airflow", AIRFLOW_PROCESSES),
    ("btc_producer and stream_processor (unfinished work is flushed)", (PRODUCER, PROCESSOR)),
    ("Kafka, MySQL, exchange", (EXCHANGE, KAFKA, MYSQL)),
)


def bring_down(settings: Settings) -> bool:
    """Stop everything. Returns whether anything was running."""
    was_running = host_is_running(settings)
    if was_running:
        controller = controller_from_settings(settings)
        known = {process.name: process for process in processes(settings)}
        for title, names in _ORDER:
            with step(f"Stopping {title}"):
                _stop_all(controller, [known[name] for name in names if name in known])
        stop_host(settings)
    ended = end_leftovers(settings)
    if ended:
        progress(f"ended {len(ended)} processes that had lost their host")
    return was_running or bool(ended)


def _stop_all(controller: ServiceController, group: list[Process]) -> None:
    with ThreadPoolExecutor() as pool:
        outcomes = pool.map(lambda process: controller.stop(process.name, process.stop_seconds), group)
        for process, outcome in zip(group, outcomes, strict=True):
            if outcome is ServiceOutcome.KILLED:
                progress(f"{process.name} did not end within {process.stop_seconds} s and was killed")
