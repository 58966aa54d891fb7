"""``make bench``: measure, and write ``docs/benchmarks.md``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from include.drills.benchmarks import latency, producer_path, sink, startup, stream_path
from include.drills.benchmarks.report import DETECTION, RECOVERY, Section, save, write_page
from include.settings import load_settings
from include.stack.console import console, step

BENCHMARKS: dict[str, Callable[[], Section]] = {
    "producer": producer_path.run,
    "stream": stream_path.run,
    "sink": sink.run,
    "latency": latency.run,
    "startup": startup.run,
}


def main(
    only: Annotated[str, typer.Option(help=f"One benchmark: {', '.join(BENCHMARKS)}.")] = "",
) -> None:
    """Measure the hot paths against bare baselines; results are kept, so that one part can be measured anew."""
    if only and only not in BENCHMARKS:
        raise typer.BadParameter(f"received {only!r}; there are: {', '.join(BENCHMARKS)}", param_hint="--only")
    folder = load_settings().home / "bench"
    for name, run in BENCHMARKS.items():
        if only in ("", name):
            with step(f"Benchmark {name}"):
                section = run()
            save(name, section, folder)
            console.print(section.markdown(), markup=False)
            write_page([*BENCHMARKS, *DETECTION, RECOVERY], folder)


if __name__ == "__main__":
    typer.run(main)
