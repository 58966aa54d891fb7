"""Reviews whose run died: who takes them up, and that what was approved is published whole and once."""

from __future__ import annotations

import itertools
import os
import signal
from contextlib import closing

import pytest

from include.incidents.model import IncidentState
from include.playbook.names import Severity
from include.remediation.reconcile import Case, RunState, work_for
from include.review import commands, publishing
from include.review.model import ReviewState
from include.review.unfinished import publish_approved
from tests.support.review_office import Office
from tests.support.reviewing import outage

S = IncidentState


def killed(office: Office, name: str, part: object, attribute: str, call: int) -> None:
    """A process of its own publishes, and is killed (SIGKILL) when it comes to the ``call``-th use of a part."""
    child = os.fork()
    if not child:
        calls, work = itertools.count(1), getattr(part, attribute)

        def die(*args: object, **kwargs: object) -> object:
            if next(calls) == call:
                os.kill(os.getpid(), signal.SIGKILL)
            return work(*args, **kwargs)

        setattr(part, attribute, die)
        try:
            with closing(office.another()) as reviews:
                reviews.publish(name)
        finally:
            os._exit(1)  # it lived
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)


@pytest.mark.parametrize(
    ("part", "attribute", "call", "left"),
    [
        (publishing, "write_whole", 1, ReviewState.APPROVED),  # the Markdown
        (publishing, "write_whole", 2, ReviewState.APPROVED),  # the HTML
        (publishing, "write_whole", 3, ReviewState.APPROVED),  # the timeline
        (commands, "put_published", 1, ReviewState.APPROVED),
        (publishing, "write_whole", 4, ReviewState.APPROVED),  # the index, of either kind
        (publishing, "write_whole", 5, ReviewState.APPROVED),
        (publishing.Reports, "published", 1, ReviewState.PUBLISHED),  # all was done
    ],
)
def test_publishing_that_died_is_finished_later(
    office: Office, part: object, attribute: str, call: int, left: ReviewState
) -> None:
    incident = outage(office.desk)
    name, store = office.approve(incident), office.desk.store
    killed(office, name, part, attribute, call)
    assert office.reviews.review(name).state is left
    assert office.state(incident) is (S.CLOSED if left is ReviewState.PUBLISHED else S.IN_REVIEW)
    assert [each.id for each in office.reviews.approved()] == [name] * (left is ReviewState.APPROVED)
    office.desk.clock.advance(60)

    cases = [
        Case(store.incident(each.incident_id), (), store.timeline(each.incident_id), approved=each.id)
        for each in office.reviews.approved()
    ]
    names = [work.review for work in work_for(office.desk.now(), cases, [], lambda *_: RunState.UNKNOWN)]
    publish_approved(office.reviews, store, names, office.desk.now())
    assert office.state(incident) is S.CLOSED
    assert office.steps(incident) == ["drafted", "approved", "published"]
    reports = office.home / "reports"
    files = {path.name: path.read_text() for path in (reports / incident.id).iterdir() if path.name[0] != "."}
    assert sorted(files) == [f"{incident.id}-{end}" for end in ("review.html", "review.md", "timeline.md")]
    assert all(incident.id in (reports / f"index.{kind}").read_text() for kind in ("md", "html"))
    assert office.reviews.approved() == ()
    assert store.verify() == ()

    publish_approved(office.reviews, store, [name], office.desk.now())  # twice is as good as once
    assert {path.name: path.read_text() for path in (reports / incident.id).iterdir() if path.name[0] != "."} == files
    assert office.steps(incident) == ["drafted", "approved", "published"]


def test_files_that_cannot_be_written_are_told_and_put_off(office: Office) -> None:
    first = outage(office.desk)
    name = office.approve(first)
    office.home.mkdir(exist_ok=True)
    (office.home / "reports").write_text("a file where a folder should be")
    store, now = office.desk.store, office.desk.now()
    (said,) = publish_approved(office.reviews, store, [name], now)
    assert said.startswith(f"Review {name} is approved and cannot be published: its files cannot be written (")
    assert str(office.home) not in said
    assert store.timeline(first.id)[-1].text == said
    assert office.state(first) is S.IN_REVIEW
    cases = [Case(store.incident(first.id), (), store.timeline(first.id), approved=name)]
    office.desk.clock.advance(500)
    assert work_for(office.desk.now(), cases, [], lambda *_: RunState.UNKNOWN) == ()
    office.desk.clock.advance(200)
    assert [each.review for each in work_for(office.desk.now(), cases, [], lambda *_: RunState.UNKNOWN)] == [name]


def test_what_waits_for_whom(office: Office) -> None:
    """Each incident that is over is in one place: to be drafted, to be answered, or to be published."""

    def places() -> list[int]:
        reviews = office.reviews
        return [len(each) for each in (reviews.waiting(), reviews.unanswered(), reviews.approved())]

    incident = outage(office.desk)
    assert places() == [1, 0, 0]
    draft = office.reviews.draft(incident.id)
    assert places() == [0, 1, 0]
    assert [each.id for each in office.reviews.unanswered()] == [incident.id]
    assert office.reviews.unanswered(Severity.SEV_1) == office.reviews.unanswered()
    office.reviews.answer(draft.id, approved=False, by="ada", comment="More.")
    assert places() == [1, 0, 0]
    name = office.approve(incident)
    assert places() == [0, 0, 1]
    office.desk.walk(S.REOPENED)
    assert places() == [0, 0, 0]  # it came back: what was approved is out of date
    office.desk.walk(S.RESOLVED)
    assert places() == [1, 0, 0]
    assert office.approve(incident) != name
    assert places() == [0, 0, 1]
