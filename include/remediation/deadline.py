"""A call that is not waited for longer than it may take."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class DeadlineExceededError(Exception):
    """The call goes on, and nobody waits for it any more."""


class Call(Generic[T]):
    """``work`` in a thread of its own, which does not keep the process alive."""

    def __init__(self, work: Callable[[], T], name: str) -> None:
        self._work, self._over = work, threading.Event()
        self._result: list[T] = []
        self._error: BaseException | None = None
        self._afterwards: Callable[[], None] | None = None
        self._lock = threading.Lock()
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def result(self, seconds: float) -> T:
        """What the call returned or raised; :class:`DeadlineExceededError` when it is not over by then."""
        if not self._over.wait(seconds):
            raise DeadlineExceededError
        if self._error is not None:
            raise self._error
        return self._result[0]

    def when_over(self, then: Callable[[], None]) -> None:
        """Have ``then`` called when the call ends; at once if it has ended."""
        with self._lock:
            if not self._over.is_set():
                self._afterwards = then
                return
        then()

    def _run(self) -> None:
        try:
            self._result.append(self._work())
        except BaseException as error:  # whatever it is, it belongs to whoever waits
            self._error = error
        with self._lock:
            self._over.set()
            then = self._afterwards
        if then is not None:
            then()
