"""Prepare one process of the stack and become it: ``python -m include.stack.launch kafka``.

The process host starts every process through here, so that configuration and secrets are read anew at each start, the
host's own configuration holds none, and the pid that the host knows is the process itself.
"""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from include.runtime.temporary_settings import TemporarySettings
from include.services.names import EXCHANGE, KAFKA, MYSQL, PROCESSOR, PRODUCER
from include.settings import PROJECT_ROOT, Settings, load_settings
from include.settings_errors import SettingsError
from include.stack import airflow, kafka, mariadb, spark_cluster
from include.stack.errors import StackError
from include.stack.java import find_java
from include.stack.leftovers import MARK_HOME, MARK_PROCESS, end_leftovers
from include.stack.processes import AIRFLOW_PROCESSES, python_command

NAMES = (KAFKA, MYSQL, EXCHANGE, PRODUCER, PROCESSOR, *AIRFLOW_PROCESSES, *spark_cluster.PROCESSES)


def prepare(settings: Settings, name: str) -> tuple[list[str], dict[str, str]]:
    """Command line and extra environment of ``name``. Raises :class:`StackError`."""
    if name == KAFKA:
        return kafka.prepare(settings, find_java(settings.cache)), {}
    if name == MYSQL:
        return mariadb.prepare(settings), {}
    if name in spark_cluster.PROCESSES:
        return spark_cluster.prepare(settings, find_java(settings.cache), name)
    if name in AIRFLOW_PROCESSES:
        return airflow.command(name.removeprefix("airflow-")), airflow.environment(settings)
    java = {"JAVA_HOME": str(find_java(settings.cache).home)} if name == PROCESSOR else {}
    return python_command(name), {"PYTHONPATH": str(PROJECT_ROOT), "PYTHONUNBUFFERED": "1", **java}


def _bytecode(settings: Settings) -> dict[str, str]:
    """Where Python keeps what it compiled. A read-only cache cannot: there the image has it beside the code."""
    return {"PYTHONPYCACHEPREFIX": str(settings.cache / "bytecode")} if os.access(settings.cache, os.W_OK) else {}


def main(arguments: list[str]) -> NoReturn:
    """Become the process named by the only argument; returns only when that cannot be done."""
    if len(arguments) != 1 or arguments[0] not in NAMES:
        print(f"usage: python -m include.stack.launch NAME, where NAME is one of: {', '.join(NAMES)}", file=sys.stderr)
        sys.exit(2)
    name = arguments[0]
    try:
        settings = load_settings()
        if name != spark_cluster.WORKER:  # of which there may be several
            # a killed scheduler leaves its workers behind, which do not heed SIGTERM
            end_leftovers(settings, name, grace=1.0)
        command, extra = prepare(settings, name)
    except (SettingsError, StackError) as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    marks = {MARK_HOME: str(settings.home), MARK_PROCESS: name}
    changed = TemporarySettings(settings.run_dir).environment() if name in (PRODUCER, PROCESSOR) else {}
    # each Airflow task is a process of its own, which would compile all it imports anew: a second for each remedy
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    bytecode = _bytecode(settings)
    os.chdir(PROJECT_ROOT)
    os.execvpe(command[0], command, {**os.environ, **bytecode, **changed, **extra, **marks})  # noqa: S606 - no shell: this is the point


if __name__ == "__main__":
    main(sys.argv[1:])
