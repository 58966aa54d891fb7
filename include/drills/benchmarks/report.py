"""Results as data, and the page made of them."""

from __future__ import annotations

import json
import os
import platform
import statistics
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import psutil

from include.settings import PROJECT_ROOT

PAGE = PROJECT_ROOT / "docs" / "benchmarks.md"
DETECTION = ("detection", "detection-stories")  # kept by ``make bench-detect``, sections behind the others
RECOVERY = "recovery"  # kept by ``make bench-recovery``, the last section


@dataclass
class Section:
    """One benchmark: what was measured, a table, and what it says beside its aim."""

    title: str
    method: str
    columns: list[str]
    rows: list[list[str]]
    findings: list[str] = field(default_factory=list)
    measured_at: str = field(default_factory=lambda: f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC")

    def markdown(self) -> str:
        """The section of the page."""
        header = f"| {' | '.join(self.columns)} |\n|{'---|' * len(self.columns)}"
        table = "\n".join(f"| {' | '.join(row)} |" for row in self.rows)
        findings = "\n".join(f"- {finding}" for finding in self.findings)
        return f"## {self.title}\n\n{self.method}\n\n{header}\n{table}\n\n{findings}\n\nMeasured {self.measured_at}.\n"


def ratio_rows(rates: dict[str, list[float]]) -> list[list[str]]:
    """Name, median rate, range, and the median's share of the first entry's, which is the baseline."""
    medians = {name: statistics.median(values) for name, values in rates.items()}
    baseline = next(iter(medians.values()))
    return [
        [name, f"{median:,.0f}", f"{min(rates[name]):,.0f} – {max(rates[name]):,.0f}", f"{median / baseline:.0%}"]
        for name, median in medians.items()
    ]


def save(name: str, section: Section, folder: Path) -> None:
    """Keep the newest result of one benchmark and write the page from all that are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(asdict(section), indent=1))


def write_page(names: list[str], folder: Path, page: Path = PAGE) -> None:
    """Write the page from the kept results, in the order of ``names``."""
    kept = [folder / f"{name}.json" for name in names]
    sections = [Section(**json.loads(path.read_text())).markdown() for path in kept if path.is_file()]
    page.write_text(_HEAD.format(machine=machine()) + "\n".join(sections))


def put_sections(sections: list[Section], page: Path = PAGE) -> None:
    """Put sections into the page that is there, in the place of those with the same title or at its end."""
    head, *blocks = (
        page.read_text().split("\n## ") if page.is_file() else [_HEAD.format(machine=machine()).rstrip("\n")]
    )
    titles = [block.split("\n", 1)[0] for block in blocks]
    for section in sections:
        block = section.markdown().removeprefix("## ")
        if section.title in titles:
            blocks[titles.index(section.title)] = block
        else:
            blocks.append(block)
            titles.append(section.title)
    page.write_text("\n\n## ".join(part.strip("\n") for part in (head, *blocks)) + "\n")


def machine() -> str:
    """The machine in a line."""
    memory = psutil.virtual_memory().total / 2**30
    system = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, {memory:.0f} GiB"
    return f"{system}, Python {platform.python_version()}"


_HEAD = """# Benchmarks

Written by `make bench` (one part: `make bench ONLY=producer`) and, for detection, by `make bench-detect`. Every figure
stands beside a baseline of the same run, on the same machine, with the same data: the ratios travel, the absolute
figures do not. Everything runs on loopback, broker, database, Spark and the measured code sharing the cores.

Machine: {machine}.

"""
