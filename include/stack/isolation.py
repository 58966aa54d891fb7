"""A stack of its own beside any other: temporary home, free ports, generated secrets. For tests and benchmarks."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from include.settings import Settings, load_settings
from include.stack.ports import free_ports
from include.stack.secrets import ensure_secrets

_PORTS = (
    "exchange_port",
    "exchange_control_port",
    "producer_health_port",
    "kafka_port",
    "kafka_controller_port",
    "mysql_port",
    "processor_health_port",
    "airflow_port",
)


@contextmanager
def isolated_settings(**overrides: Any) -> Iterator[Settings]:
    """Settings whose home is removed at the end.

    Its name is short, as unix sockets allow some 100 bytes, and has a space, as people's folders do.
    """
    home = Path(tempfile.mkdtemp(prefix="pipe line-"))
    values = {"home": home, **dict(zip(_PORTS, free_ports(len(_PORTS)), strict=True)), **overrides}
    try:
        ensure_secrets(load_settings(**values))
        yield load_settings(**values)
    finally:
        shutil.rmtree(home, ignore_errors=True)
