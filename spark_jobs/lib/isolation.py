"""Which parts of a whole make it fail: bisection, with everything accepted so far in each try.

Whether a row fits may depend on the others (a sum that overflows), so a part is never tried alone: it is accepted if it
fits on top of what was accepted before. What is accepted in the end has been tried as a whole.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass
class Isolated(Generic[T]):
    """``culprits`` with what was said about each; ``more``: the search was given up, as there are too many."""

    accepted: list[T] = field(default_factory=list)
    culprits: list[tuple[T, Exception]] = field(default_factory=list)
    more: bool = False


def isolate(
    parts: Sequence[T],
    error_of: Callable[[Sequence[T]], Exception | None],
    split: Callable[[T], Sequence[T]],
    most: int,
) -> Isolated[T]:
    """Find the parts at fault.

    ``error_of``: tries parts together; what stands in the way, or ``None``. ``split``: a part in smaller ones, or
    nothing when it cannot be split. Ends with ``more`` as soon as there are more than ``most`` culprits. When even
    nothing at all fails, no part is at fault. Takes about ``2 log2(n)`` tries for each culprit. Raises what
    ``error_of`` raises.
    """
    found: Isolated[T] = Isolated()
    waiting = [list(parts)] if parts and error_of([]) is None else []
    while waiting:
        part = waiting.pop()
        error = error_of([*found.accepted, *part])
        if error is None:
            found.accepted += part
        elif len(part) > 1:
            middle = len(part) // 2
            waiting += [part[middle:], part[:middle]]
        elif smaller := split(part[0]):
            waiting.append(list(smaller))
        elif len(found.culprits) == most:
            found.more = True
            return found
        else:
            found.culprits.append((part[0], error))
    return found
