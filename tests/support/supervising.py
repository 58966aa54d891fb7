"""What stands around a supervision in tests: the Dag's switch and the log."""

from __future__ import annotations

from dataclasses import dataclass, field

from include.services.dag_switch import DagSwitch


@dataclass
class Switch:
    """A Dag switch under the test's hand."""

    position: DagSwitch = DagSwitch.ON

    async def ask(self) -> DagSwitch:
        return self.position


@dataclass
class Lines:
    """A log under the test's eye."""

    lines: list[str] = field(default_factory=list)

    def info(self, message: str) -> None:
        self.lines.append(message)

    warning = info

    def __contains__(self, text: str) -> bool:
        return any(text in line for line in self.lines)

    def count(self, text: str) -> int:
        return sum(text in line for line in self.lines)
