"""Post-incident reviews: drafted from the store, answered by a person, published."""

from __future__ import annotations

from collections.abc import Mapping

from include.incidents.model import Incident
from include.playbook.names import Severity
from include.review.model import PublishedReview, Review
from include.settings import Settings


class Reviews:
    """The reviews of the incidents in the store that the settings name. Calls block; ``close()`` it at the end."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def draft(self, incident_id: str) -> Review:
        """The review that waits for a person, made now unless there is one of the same facts. The incident goes from
        RESOLVED to IN_REVIEW. Raises :class:`ReviewError` if the incident is still open, merged or a false alarm.
        """
        raise NotImplementedError

    def answer(
        self, review_id: str, *, approved: bool, by: str, form: Mapping[str, str] | None = None, comment: str = ""
    ) -> Review:
        """A person's answer. Raises :class:`ReviewError` that says what is missing; nothing is changed then."""
        raise NotImplementedError

    def publish(self, review_id: str) -> PublishedReview:
        """Write an approved review as Markdown and HTML, and close its incident. Doing it again changes nothing."""
        raise NotImplementedError

    def latest(self, incident_id: str) -> Review | None:
        """The newest version, whatever its state."""
        raise NotImplementedError

    def waiting(self, mildest: Severity = Severity.SEV_3) -> tuple[Incident, ...]:
        """Incidents that are resolved and whose review nobody has drafted (or was sent back), oldest first."""
        raise NotImplementedError

    def close(self) -> None:
        """Give back all connections."""
