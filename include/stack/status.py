"""``make status``: processes, positions at each hop, rates, lag and freshness as tables, refreshed each second."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import psutil
from rich import box
from rich.console import Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from include.health.positions import PositionReader, Positions, SymbolPosition
from include.services.controller import ServiceController, ServiceState, ServiceStatus
from include.services.errors import HostUnreachableError
from include.services.factory import controller_from_settings
from include.services.process_table import processes_are_here
from include.settings import Settings
from include.stack import airflow
from include.stack.console import console
from include.stack.incident_lines import incident_lines

_REFRESH_SECONDS = 1.0
_COLOURS = {ServiceState.RUNNING: "green", ServiceState.STARTING: "yellow", ServiceState.STOPPING: "yellow"}
_HOPS = {"exchange": "exchange", "received": "producer", "acknowledged": "Kafka", "counted": "MySQL"}


def show(settings: Settings, live: bool) -> None:
    """Print the tables once, or keep them fresh until interrupted."""
    view = StatusView(settings)
    try:
        if not live:
            view.render()  # rates need two readings
            time.sleep(_REFRESH_SECONDS)
            console.print(view.render())
            return
        with Live(view.render(), console=console, auto_refresh=False, screen=False) as screen:
            while True:
                time.sleep(_REFRESH_SECONDS)
                screen.update(view.render(), refresh=True)
    finally:
        view.close()


class StatusView:
    """Renders the present state; keeps the last reading to tell rates."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._controller = controller_from_settings(settings)
        self._positions = PositionReader(settings)
        self._processes: dict[int, psutil.Process] = {}
        self._last: Positions | None = None

    def render(self) -> Group:
        """Processes, symbols, partitions, open incidents, problems."""
        positions = self._positions.read()
        last, self._last = self._last, positions
        parts = [self._process_table(), _symbol_table(positions, last), _partition_table(positions, last)]
        footer = Text(f"Airflow: {airflow.public_url(self._settings)}   {_freshness(positions)}", style="bold")
        problems = [Text(f"{name}: {reason}", style="red") for name, reason in sorted(positions.problems.items())]
        return Group(*parts, footer, *incident_lines(self._settings), *problems)

    def close(self) -> None:
        """Free connections."""
        self._positions.close()

    def _process_table(self) -> Table:
        table = _table("Processes", "process", "state", "pid", "up for", "memory MiB", "CPU %")
        for status in _statuses(self._controller):
            memory, cpu = self._usage(status.pid)
            state = Text(status.state.value, style=_COLOURS.get(status.state, "red"))
            table.add_row(status.name, state, str(status.pid or "–"), _age(status), memory, cpu)
        return table

    def _usage(self, pid: int | None) -> tuple[str, str]:
        """Memory and CPU since the last look, with children (workers, a JVM); not of containers (docker stats)."""
        if not processes_are_here(self._settings):
            return "–", "–"
        try:
            family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)] if pid else []
            known = [self._processes.setdefault(process.pid, process) for process in family]
            memory = sum(_own_memory(process) for process in known)
            return f"{memory / 2**20:.0f}", f"{sum(process.cpu_percent() for process in known):.0f}"
        except psutil.Error:
            return "–", "–"


def _own_memory(process: psutil.Process) -> int:
    """Proportional share where the kernel tells it: forked workers share most of their pages."""
    info = process.memory_full_info()
    return int(getattr(info, "pss", info.rss))


def _statuses(controller: ServiceController) -> tuple[ServiceStatus, ...]:
    try:
        return controller.statuses()
    except HostUnreachableError:
        return ()


def _age(status: ServiceStatus) -> str:
    if status.pid is None or status.started_at is None:
        return "–"
    seconds = int((datetime.now(UTC) - status.started_at).total_seconds())
    return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def _symbol_table(positions: Positions, last: Positions | None) -> Table:
    table = _table("Newest trade id at each hop", "symbol", *_HOPS.values(), "trades/s", "minute")
    before = {position.symbol: position for position in last.symbols} if last else {}
    for position in positions.symbols:
        hops = [_number(getattr(position, hop)) for hop in _HOPS]
        rate = _rate(position, before.get(position.symbol), positions, last)
        end = f"to {position.newest_window_end:%H:%M}" if position.newest_window_end else "–"
        table.add_row(position.symbol, *hops, rate, end)
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    for column in columns:
        table.add_column(column, no_wrap=True)
    return table


def _rate(now: SymbolPosition, before: SymbolPosition | None, positions: Positions, last: Positions | None) -> str:
    if last is None or before is None or now.counted is None or before.counted is None:
        return "–"
    seconds = (positions.taken_at_ms - last.taken_at_ms) / 1000
    return f"{(now.counted - before.counted) / seconds:.0f}" if seconds > 0 else "–"


def _partition_table(positions: Positions, last: Positions | None) -> Table:
    table = _table("crypto-trades", "partition", "log end", "finished", "lag", "records/s")
    before = {partition.partition: partition.end for partition in last.partitions} if last else {}
    seconds = (positions.taken_at_ms - last.taken_at_ms) / 1000 if last else 0
    for partition in positions.partitions:
        grown = partition.end - before.get(partition.partition, partition.end)
        rate = f"{grown / seconds:.0f}" if seconds > 0 else "–"
        cells = (partition.partition, partition.end, partition.finished, partition.lag)
        table.add_row(*(_number(cell) for cell in cells), rate)
    return table


def _number(value: int | None) -> str:
    return "–" if value is None else f"{value}"


def _freshness(positions: Positions) -> str:
    if positions.freshest_row_at is None:
        return "moving_averages: no rows yet"
    age = positions.taken_at_ms / 1000 - positions.freshest_row_at.timestamp()
    return f"lag {positions.lag}   newest row written {max(age, 0):.1f} s ago"
