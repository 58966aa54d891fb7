"""That evidence was collected, with its hash, in the incident's timeline: so that it cannot be exchanged unseen."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TooLateError
from datetime import UTC, datetime
from typing import Any

from include.incidents.errors import IncidentStoreError
from include.incidents.model import EntryKind, NewEntry
from include.incidents.store import IncidentStore
from include.review.evidence import Manifest
from include.settings import Settings

ACTOR = "diagnose"
_LONGEST_NOTE = 200


class Timeline:
    """The incident store, opened meanwhile if none was given: a store that is away holds nobody up."""

    def __init__(self, settings: Settings, store: IncidentStore | None) -> None:
        self._own = store is None
        self._store: Future[IncidentStore] = _in_thread(lambda: store or _opened(settings))

    def tell(self, manifest: Manifest, seconds: float) -> str:
        """Append the entry, if it is not there yet. Empty, or why it is not known to be there after ``seconds``."""
        work = _in_thread(lambda: self._tell(manifest))
        try:
            work.result(seconds)
        except TooLateError:
            return f"the incident store did not answer within {seconds:g} s"
        except (IncidentStoreError, OSError) as error:
            return str(error)
        return ""

    def _tell(self, manifest: Manifest) -> None:
        store = self._store.result()
        try:
            if manifest.sha256 not in recorded(store, manifest.incident_id).values():
                store.append(manifest.incident_id, entry(manifest))
        finally:
            if self._own:
                store.close()


def recorded(store: IncidentStore, incident_id: str) -> dict[int, str]:
    """The hash of each collection's manifest, as the timeline has it."""
    return {
        int(each.data["number"]): str(each.data["sha256"])
        for each in store.timeline(incident_id)
        if each.kind is EntryKind.EVIDENCE_COLLECTED
    }


def entry(manifest: Manifest) -> NewEntry:
    """What the timeline is told."""
    gone = {block.name: block.note[:_LONGEST_NOTE] for block in manifest.blocks if not block.available}
    data: dict[str, Any] = {
        "number": manifest.number,
        "folder": manifest.folder,
        "sha256": manifest.sha256,
        "seconds": manifest.seconds,
        "blocks": [block.name for block in manifest.blocks],
        "not_available": gone,
        "highlights": {block.name: list(block.highlights) for block in manifest.blocks if block.highlights},
    }
    count = len(manifest.blocks) - len(gone)
    text = f"Evidence {manifest.number} was collected in {manifest.seconds:.1f} s: {count} blocks"
    text += f"; not available: {', '.join(gone)}." if gone else "."
    return NewEntry(EntryKind.EVIDENCE_COLLECTED, ACTOR, text, datetime.now(UTC), data)


def _opened(settings: Settings) -> IncidentStore:
    from include.incidents.factory import store_from_settings  # its libraries take a moment

    return store_from_settings(settings)


def _in_thread(work: Callable[[], Any]) -> Future[Any]:
    future: Future[Any] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except Exception as error:
            future.set_exception(error)

    threading.Thread(target=run, name="evidence-timeline", daemon=True).start()
    return future
