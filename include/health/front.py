"""How far something had come, and when: tells since when another one is behind it."""

from __future__ import annotations

from collections import deque


class Front:
    """Newest position over time. Positions closer in time than ``spacing`` seconds are not all remembered. When there
    are more than ``size`` to remember, every second one is dropped and the spacing doubled: the memory stays bounded
    however long the other one stands still, and what is told is late by one spacing at most.
    """

    __slots__ = ("_shortest", "_size", "_spacing", "_steps", "at", "position")

    def __init__(self, spacing: float, size: int = 256) -> None:
        self._shortest = self._spacing = spacing
        self._size = size
        self._steps: deque[tuple[float, int]] = deque()
        self.position: int | None = None
        self.at = 0.0  # when ``position`` was first seen

    def advance(self, at: float, position: int) -> bool:
        """It is at ``position``; whether that is farther than before. One that fell back begins anew."""
        newest = self.position
        if newest is not None and position <= newest:
            if position < newest:
                self._steps.clear()
                self.position, self.at = position, at
            return False
        self.position, self.at = position, at
        steps = self._steps
        if not steps or at - steps[-1][0] >= self._spacing:
            if len(steps) >= self._size:
                self._steps = steps = deque(list(steps)[::2])
                self._spacing *= 2
            steps.append((at, position))
        return newest is not None

    def passed_at(self, position: int) -> float | None:
        """When it was first seen beyond ``position``; ``None`` if it is not."""
        if self.position is None or self.position <= position:
            return None
        found = self.at
        for at, step in reversed(self._steps):
            if step <= position:
                break
            found = at
        return found

    def forget_until(self, position: int) -> None:
        """Everything up to ``position`` will not be asked for again."""
        steps = self._steps
        while steps and steps[0][1] <= position:
            steps.popleft()
        if len(steps) < self._size // 4:
            self._spacing = self._shortest
