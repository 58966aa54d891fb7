"""Published reviews as files: ``<reports>/<incident>/<incident>-review.md`` and ``.html``, and an index of all."""

from __future__ import annotations

import fcntl
import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from include.review.markdown import escaped
from include.review.model import PublishedReview, Review
from include.review.pages import page
from include.review.render import render_html, render_markdown, render_timeline
from include.review.words import moment
from include.runtime.files import write_whole

_TITLE = "Post-incident reviews"


@dataclass(frozen=True, slots=True)
class Written:
    """Files relative to the reports folder, and their hashes; by ``markdown`` and ``html``."""

    files: dict[str, str]
    hashes: dict[str, str]


class Reports:
    """The folder of published reviews. Each file is whole or not there; the same review makes the same files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, review: Review) -> Written:
        """Write an approved review."""
        texts = {"markdown": render_markdown(review), "html": render_html(review)}
        files = _names(review)
        (self.folder / review.incident_id).mkdir(parents=True, exist_ok=True)
        for kind, text in texts.items():
            write_whole(self.folder / files[kind], text)
        write_whole(self.folder / review.incident_id / f"{review.incident_id}-timeline.md", render_timeline(review))
        return Written(files, {kind: hashlib.sha256(text.encode()).hexdigest() for kind, text in texts.items()})

    @contextmanager
    def writing_index(self) -> Iterator[Callable[[Iterable[Review]], None]]:
        """Within it, nobody else writes the index; what it gives writes it, of all published reviews."""

        def write(published: Iterable[Review]) -> None:
            reviews = tuple(published)
            write_whole(self.folder / "index.md", _index(reviews, "markdown"))
            write_whole(self.folder / "index.html", page(_TITLE, _index(reviews, "html")))

        with self._locked():
            yield write

    def published(self, review: Review) -> PublishedReview:
        """Where its files are."""
        names = _names(review)
        return PublishedReview(self.folder / names["markdown"], self.folder / names["html"])

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / ".index.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _names(review: Review) -> dict[str, str]:
    stem = f"{review.incident_id}/{review.incident_id}-review"
    return {"markdown": f"{stem}.md", "html": f"{stem}.html"}


def _index(reviews: Iterable[Review], kind: str) -> str:
    lines = [f"# {_TITLE}", "", "| Incident | Severity | First sign | What | Approved by |"]
    lines.append("|---|---|---|---|---|")
    for review in reviews:
        document = review.document
        link = f"[{review.incident_id}]({_names(review)[kind]})"
        what = document.summary[0]
        said = escaped(getattr(what, "text", document.scenario_title), 200)
        by = escaped(review.answer.by) if review.answer else ""
        lines.append(f"| {link} | {document.severity.label} | {moment(document.onset_at)} | {said} | {by} |")
    return "\n".join(lines) + "\n"
