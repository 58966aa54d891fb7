"""Runs ``spark_jobs/repair_windows.py`` as a process of its own, with the Java and jars of the stream processor."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from typing import Any

from include.repair.errors import RepairError
from include.repair.model import Span
from include.settings import PREFIX, PROJECT_ROOT, Settings
from include.stack.errors import StackError
from include.stack.java import find_java
from include.stack.running import environment

_DEADLINE_SECONDS = 900.0
# Beside a running stream: a batch needs little memory, because only sums leave Spark's own, bounded, working memory.
_SMALL = {f"{PREFIX}SPARK_MASTER": "local[2]", f"{PREFIX}SPARK_DRIVER_MEMORY": "512m"}
_QUICK = "-XX:TieredStopAtLevel=1"  # it ends before code compiled at length could pay: half the time on two busy cores


def run_windows_job(settings: Settings, span: Span) -> dict[str, Any]:
    """Run it to its end (some ten seconds for Spark's start alone); its report.

    Raises :class:`RepairError` when it does not say that the tables are right.
    """
    try:
        options = f"{os.environ.get('JAVA_TOOL_OPTIONS', '')} {_QUICK}".strip()
        java = {"JAVA_HOME": str(find_java(settings.cache).home), "JAVA_TOOL_OPTIONS": options}
    except StackError as error:
        raise RepairError(str(error)) from error
    process = subprocess.Popen(
        [
            *(sys.executable, str(PROJECT_ROOT / "spark_jobs" / "repair_windows.py")),
            *("--from", span.start.isoformat(), "--to", span.end.isoformat(), "--symbols", ",".join(span.symbols)),
        ],
        env={**environment(settings), **java, **_SMALL},
        cwd=PROJECT_ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=_DEADLINE_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise RepairError(f"The recomputation has not ended within {_DEADLINE_SECONDS:g} s and was ended.") from error
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # its JVM as well
    report = _report(output)
    if process.returncode != 0:
        why = report.get("refused") or report.get("failed") or output[-600:]
        raise RepairError(f"The windows could not be recomputed (exit code {process.returncode}): {why}")
    return report


def _report(output: str) -> dict[str, Any]:
    """The last line that is a JSON object: what the JVM says may come behind it."""
    for line in reversed(output.splitlines()):
        if line.startswith("{"):
            with suppress(ValueError):
                report: dict[str, Any] = json.loads(line)
                return report
    return {}
