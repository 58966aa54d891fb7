"""How the tests of several pytest runs ended, as one line: ``python -m tests.support.total fast.xml services.xml``."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree


def total(results: Iterable[Path]) -> str:
    """The sum of what pytest's ``--junit-xml`` wrote down."""
    counts: Counter[str] = Counter()
    for result in results:
        for suite in ElementTree.parse(result).getroot().iter("testsuite"):  # noqa: S314 - our own file
            counts.update({name: int(suite.get(name, 0)) for name in ("tests", "failures", "errors", "skipped")})
    failed = counts["failures"] + counts["errors"]
    passed = counts["tests"] - failed - counts["skipped"]
    return f"{passed} passed, {failed} failed, {counts['skipped']} skipped"


if __name__ == "__main__":
    sys.stdout.write(total(map(Path, sys.argv[1:])) + "\n")
