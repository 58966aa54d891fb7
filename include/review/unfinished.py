"""Publishing what a person has approved and whose run died before the files were there."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from include.incidents.commands import NOT_PUBLISHED
from include.incidents.model import EntryKind, NewEntry
from include.incidents.store import IncidentStore
from include.review.errors import ReviewError
from include.review.reviews import Reviews
from include.runtime.logging import get_logger

_log = get_logger("review.unfinished")


def publish_approved(reviews: Reviews, store: IncidentStore, names: Iterable[str], now: datetime) -> list[str]:
    """Publish these reviews, as their own run would have; what was done, in sentences. One that cannot be published is
    told in its incident's timeline, and the others are still seen to. Raises the store's errors.
    """
    said = []
    for name in names:
        try:
            reviews.publish(name)
            said.append(f"Review {name} is published; the run in which it was approved had died.")
        except ReviewError as error:  # it was published meanwhile in another version, or its incident came back
            said.append(str(error))
        except OSError as error:
            said.append(_put_off(reviews, store, name, error, now))
    return said


def _put_off(reviews: Reviews, store: IncidentStore, name: str, error: OSError, now: datetime) -> str:
    why = error.strerror or type(error).__name__  # the rest of its text names places of this machine
    text = (
        f"Review {name} is approved and cannot be published: its files cannot be written ({why}). Nothing is lost; it"
        " is tried again in some minutes."
    )
    _log.error("a review cannot be published", review=name, error=str(error))
    incident_id = reviews.review(name).incident_id
    data = {"review": name, "step": NOT_PUBLISHED}
    store.append(incident_id, NewEntry(EntryKind.DECIDED, "reconciler", text, now, data))
    return text
