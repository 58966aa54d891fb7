"""What supervision does while an incident is open, in that incident's timeline.

Best effort, in a thread of its own: a restart never waits for the store. The incident about a process that died is
opened some moments after supervision has started it again, so the news is kept until then.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from queue import Empty, Full, Queue
from typing import Any

from include.health.probes.base import one_line
from include.incidents.model import EntryKind, Incident, NewEntry
from include.incidents.store import IncidentStore
from include.playbook.names import Component
from include.services.supervision_report import Deed
from include.settings import Settings

ACTOR = "supervision"
_AGAIN_AFTER = (1.0, 2.0, 4.0, 8.0)  # seconds between the looks for incidents that it belongs to
_BEFORE_ONSET = timedelta(seconds=10)  # what happened earlier has nothing to do with an incident
_MOST_WAITING = 50


@dataclass
class _News:
    service: str
    entry: NewEntry
    told: set[str] = field(default_factory=set)  # incidents
    looks: int = 0
    due: float = 0.0


class IncidentNews:
    """Appends to every open incident that is about the service, or has a symptom of it attached.

    ``failed`` is told, once until it works again, why the store did not take it.
    """

    def __init__(self, store: Callable[[], IncidentStore], failed: Callable[[str], object] = lambda _: None) -> None:
        self._make, self._failed = store, failed
        self._queue: Queue[_News | None] = Queue(_MOST_WAITING)
        self._thread = threading.Thread(target=self._run, name="supervision-news", daemon=True)
        self._said = ""

    def tell(self, service: str, deed: Deed, text: str, data: dict[str, Any]) -> None:
        """See :class:`~include.services.supervision_report.SupervisionNews`."""
        facts = {"service": service, "deed": deed.value, **data}
        news = _News(service, NewEntry(EntryKind.SUPERVISED, ACTOR, text, datetime.now(UTC), facts))
        if self._thread.ident is None:
            self._thread.start()
        try:
            self._queue.put_nowait(news)
        except Full:
            self._failed("too much news of supervision waits for the incident store; this one is left out")

    def close(self) -> None:
        """See :class:`~include.services.supervision_report.SupervisionNews`."""
        try:
            self._queue.put_nowait(None)
        except Full:  # the thread is a daemon
            return

    def _run(self) -> None:
        store, waiting = self._make(), list[_News]()
        while True:
            news = self._next(waiting)
            if news is None:
                break
            waiting = [each for each in (*waiting, *news) if not self._over(each, store)]
        store.close()

    def _next(self, waiting: list[_News]) -> list[_News] | None:
        """New ones, or none when one that waits is due; ``None`` at the end."""
        timeout = max(0.0, min(each.due for each in waiting) - time.monotonic()) if waiting else None
        try:
            news = self._queue.get(timeout=timeout)
        except Empty:
            return []
        return None if news is None else [news]

    def _over(self, news: _News, store: IncidentStore) -> bool:
        """Whether nothing more is to be done about it."""
        if news.due > time.monotonic():
            return False
        try:
            for incident in _concerned(store, news.service):
                if incident.id not in news.told and news.entry.event_at >= incident.onset_at - _BEFORE_ONSET:
                    store.append(incident.id, news.entry)
                    news.told.add(incident.id)
            self._said = ""
        except Exception as error:  # also a fault of our own: the next news must find its teller
            if (why := one_line(error)) != self._said:
                self._said = why
                self._failed(f"What supervision did is not in the timeline yet: {why}")
        if news.looks >= len(_AGAIN_AFTER):
            return True
        news.due = time.monotonic() + _AGAIN_AFTER[news.looks]
        news.looks += 1
        return False


def news_from_settings(settings: Settings, failed: Callable[[str], object]) -> IncidentNews:
    """To the incident store that the settings name, which is opened with the first news."""
    from include.incidents.factory import store_from_settings

    return IncidentNews(lambda: store_from_settings(settings), failed)


def _concerned(store: IncidentStore, service: str) -> list[Incident]:
    """The open incidents that the service belongs to."""
    target = next((component for component in Component if component == service), None)
    return [
        incident
        for incident in store.open_incidents()
        if incident.target is target
        or any(each.target is target and each.cleared_at is None for each in store.symptoms(incident.id))
    ]
