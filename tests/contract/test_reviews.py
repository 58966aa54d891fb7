"""Reviews from draft to publication, on SQLite and PostgreSQL."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from include.incidents.errors import StoreUnavailableError, UnknownIncidentError
from include.incidents.model import EntryKind, IncidentState
from include.playbook.names import Component, ScenarioId, Severity
from include.review.errors import ReviewError
from include.review.model import ReviewState
from include.review.reviews import Reviews
from tests.support.review_office import Office
from tests.support.reviewing import FORM, healed, mysql_away, outage, review_settings

S = IncidentState


# --- the way of a review


def test_from_resolved_to_closed(office: Office) -> None:
    incident = outage(office.desk)
    assert [each.id for each in office.reviews.waiting()] == [incident.id]
    draft = office.reviews.draft(incident.id)
    assert (draft.id, draft.state) == ("INC-2026-0001-R1", ReviewState.DRAFTED)
    assert office.state(incident) is S.IN_REVIEW
    assert office.reviews.waiting() == ()
    approved = office.reviews.answer(draft.id, approved=True, by="ada", form=FORM, comment="Thanks.")
    assert approved.state is ReviewState.APPROVED
    assert office.state(incident) is S.IN_REVIEW
    assert [each.id for each in office.reviews.approved()] == [draft.id]
    published = office.reviews.publish(draft.id)
    assert published.markdown == office.home / "reports" / incident.id / f"{incident.id}-review.md"
    assert "Approved by ada" in published.markdown.read_text()
    assert "Approved by ada" in published.html.read_text()
    assert incident.id in (office.home / "reports" / "index.html").read_text()
    assert office.state(incident) is S.CLOSED
    assert office.steps(incident) == ["drafted", "approved", "published"]
    assert office.desk.store.verify() == ()
    latest = office.reviews.latest(incident.id)
    assert latest is not None
    assert (latest.state, latest.markdown) == (ReviewState.PUBLISHED, f"{incident.id}/{incident.id}-review.md")
    assert office.reviews.published(incident.id) == published
    assert office.reviews.approved() == ()


def test_what_was_agreed_on_is_on_record(office: Office) -> None:
    office.approve(outage(office.desk), preventive_actions="Later | ada | 2026-12-24\nSoon | bob | 2026-12-01")
    found = office.reviews.open_actions()
    assert [(each.number, each.item.what, each.item.owner, each.item.due) for each in found] == [
        (2, "Soon", "bob", "2026-12-01"),
        (1, "Later", "ada", "2026-12-24"),
    ]
    assert {each.review_id for each in found} == {"INC-2026-0001-R1"}


def test_a_draft_is_made_within_a_second(office: Office) -> None:
    incident = outage(office.desk)
    for number in range(300):
        office.desk.tell(EntryKind.NOTE, f"note {number} " + "x" * 200)
    began = time.monotonic()
    office.reviews.draft(incident.id)
    assert time.monotonic() - began < 1


# --- idempotence


def test_the_same_facts_make_no_second_draft(office: Office) -> None:
    incident = outage(office.desk)
    first = office.reviews.draft(incident.id)
    office.desk.clock.advance(60)
    assert office.reviews.draft(incident.id) == first
    assert office.steps(incident) == ["drafted"]


def test_other_facts_replace_the_draft(office: Office) -> None:
    incident = outage(office.desk)
    first = office.reviews.draft(incident.id)
    office.desk.repaired(missing=5)
    second = office.reviews.draft(incident.id)
    assert (second.id, second.document.version) == ("INC-2026-0001-R2", 2)
    assert office.reviews.review(first.id).state is ReviewState.SUPERSEDED
    with pytest.raises(ReviewError, match=r"R1 is out of date: the facts have changed\. The newest version is .*-R2"):
        office.reviews.answer(first.id, approved=True, by="ada", form=FORM)
    office.reviews.answer(second.id, approved=True, by="ada", form=FORM)
    assert office.reviews.draft(incident.id).id == second.id  # approved: no new draft takes its place


def test_words_on_a_draft_that_was_replaced_are_not_lost(office: Office) -> None:
    incident = outage(office.desk)
    first = office.reviews.draft(incident.id)
    office.desk.repaired(missing=5)
    office.reviews.draft(incident.id)
    office.reviews.answer(first.id, approved=False, by="ada", form=FORM, comment="too late")
    third = office.reviews.draft(incident.id)
    assert third.version == 3
    assert third.form_values()["root_cause"] == FORM["root_cause"]


def test_the_same_answer_again_changes_nothing(office: Office) -> None:
    incident = outage(office.desk)
    name = office.approve(incident)
    office.desk.clock.advance(60)
    again = office.reviews.answer(name, approved=True, by="ada", form=FORM)
    assert (again.state, office.steps(incident)) == (ReviewState.APPROVED, ["drafted", "approved"])
    assert len(office.reviews.open_actions()) == 1
    with pytest.raises(ReviewError, match="was answered already: it is approved by ada"):
        office.reviews.answer(name, approved=False, by="bob")


def test_publishing_again_changes_nothing_and_brings_lost_files_back(office: Office) -> None:
    incident = outage(office.desk)
    name = office.approve(incident)
    published = office.reviews.publish(name)
    text = published.markdown.read_text()
    published.markdown.unlink()
    (office.home / "reports" / "index.md").unlink()
    assert office.reviews.publish(name) == published
    assert published.markdown.read_text() == text
    assert (office.home / "reports" / "index.md").exists()
    assert office.steps(incident) == ["drafted", "approved", "published"]
    assert office.state(incident) is S.CLOSED


def test_the_files_are_those_whose_hashes_the_timeline_has(office: Office) -> None:
    import hashlib

    incident = outage(office.desk)
    published = office.reviews.publish(office.approve(incident))
    told = next(e for e in office.desk.store.timeline(incident.id) if e.data.get("step") == "published")
    assert told.data["sha256"]["markdown"] == hashlib.sha256(published.markdown.read_bytes()).hexdigest()
    assert told.data["sha256"]["html"] == hashlib.sha256(published.html.read_bytes()).hexdigest()


# --- what is missing


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"root_cause": ""}, "Root cause: it is empty"),
        ({"preventive_actions": ""}, "Preventive actions: at least one for SEV-1"),
        ({"preventive_actions": "x | ada | soon"}, "Preventive actions, line 1: a due date is missing"),
    ],
)
def test_an_incomplete_review_of_an_outage_is_not_approved(office: Office, changes: dict[str, str], said: str) -> None:
    incident = outage(office.desk)
    draft = office.reviews.draft(incident.id)
    with pytest.raises(ReviewError, match=said):
        office.reviews.answer(draft.id, approved=True, by="ada", form=FORM | changes)
    assert office.reviews.draft(incident.id) == draft
    assert office.steps(incident) == ["drafted"]
    with pytest.raises(ReviewError, match="is drafted; a review is published when a person has approved it"):
        office.reviews.publish(draft.id)
    assert office.state(incident) is S.IN_REVIEW


def test_nobody_cannot_approve(office: Office) -> None:
    draft = office.reviews.draft(outage(office.desk).id)
    with pytest.raises(ReviewError, match="approved by a person, who is named"):
        office.reviews.answer(draft.id, approved=True, by=" ", form=FORM)


def test_a_minor_incident_may_be_approved_without_words(office: Office) -> None:
    incident = healed(office.desk)
    draft = office.reviews.draft(incident.id)
    office.reviews.answer(draft.id, approved=True, by="ada")
    office.reviews.publish(draft.id)
    assert office.state(incident) is S.CLOSED


# --- sent back, and returns


def test_a_review_that_is_sent_back_returns_with_the_comment_and_the_words(office: Office) -> None:
    incident = outage(office.desk)
    first = office.reviews.draft(incident.id)
    assert first.form_values() == {}
    sent = office.reviews.answer(first.id, approved=False, by="grace", form=FORM, comment="Which host?")
    assert sent.state is ReviewState.SENT_BACK
    assert office.state(incident) is S.IN_REVIEW
    assert [each.id for each in office.reviews.waiting()] == [incident.id]
    second = office.reviews.draft(incident.id)
    back = second.document.sent_back
    assert back is not None
    assert (second.version, back.version, back.by, back.comment) == (2, 1, "grace", "Which host?")
    assert second.form_values() == FORM
    assert office.reviews.draft(incident.id) == second
    office.reviews.answer(second.id, approved=True, by="ada", form=FORM)
    office.reviews.publish(second.id)
    assert office.steps(incident) == ["drafted", "sent_back", "drafted", "approved", "published"]
    assert office.state(incident) is S.CLOSED


def test_without_an_answer_in_time_it_is_sent_back_by_nobody(office: Office) -> None:
    draft = office.reviews.draft(outage(office.desk).id)
    sent = office.reviews.answer(draft.id, approved=False, by="")
    assert sent.answer is not None
    assert sent.answer.by == "nobody in time"


def test_an_incident_that_comes_back_gets_another_review(office: Office) -> None:
    incident = outage(office.desk)
    first = office.reviews.draft(incident.id)
    office.desk.walk(S.REOPENED)
    with pytest.raises(ReviewError, match="is reopened; it can be reviewed when it is resolved"):
        office.reviews.draft(incident.id)
    with pytest.raises(ReviewError, match="came back and is reopened"):
        office.reviews.answer(first.id, approved=True, by="ada", form=FORM)
    office.desk.walk(S.RESOLVED, 20)
    assert [each.id for each in office.reviews.waiting()] == [incident.id]
    second = office.reviews.draft(incident.id)
    assert second.version == 2
    assert office.state(incident) is S.IN_REVIEW
    assert office.reviews.review(first.id).state is ReviewState.SUPERSEDED


def test_an_approved_review_of_an_incident_that_came_back_is_not_published(office: Office) -> None:
    incident = outage(office.desk)
    name = office.approve(incident)
    office.desk.walk(S.REOPENED)
    with pytest.raises(ReviewError, match="it came back after INC-2026-0001-R1 was drafted"):
        office.reviews.publish(name)
    office.desk.walk(S.RESOLVED)
    second = office.reviews.draft(incident.id)
    assert (second.version, second.state) == (2, ReviewState.DRAFTED)
    assert second.document.sent_back is None  # nobody sent it back
    assert not (office.home / "reports").exists()


# --- what is not reviewed


def test_what_is_open_merged_or_false_has_no_review(office: Office) -> None:
    desk = office.desk
    child = desk.open(scenario=ScenarioId.KAFKA_LAG, target=Component.LAG)
    root = desk.open()
    with pytest.raises(ReviewError, match="is detected; it can be reviewed when it is resolved"):
        office.reviews.draft(root.id)
    desk.store.merge(child.id, root.id, actor="watch", reason="same", event_at=desk.now())
    with pytest.raises(ReviewError, match=f"was merged into {root.id}, whose review tells of it"):
        office.reviews.draft(child.id)
    desk.walk(S.FALSE_POSITIVE)
    with pytest.raises(ReviewError, match="was a false alarm"):
        office.reviews.draft(root.id)
    with pytest.raises(UnknownIncidentError):
        office.reviews.draft("INC-2026-0099")
    assert office.reviews.latest("INC-2026-0099") is None


@pytest.mark.parametrize(
    ("name", "said"), [("INC-2026-0001-R9", "There is no review"), ("x", "names no review"), ("a-Rb", "names no")]
)
def test_a_name_that_is_none_is_refused(office: Office, name: str, said: str) -> None:
    outage(office.desk)
    for work in (office.reviews.review, office.reviews.publish):
        with pytest.raises(ReviewError, match=said):
            work(name)


def test_records_do_not_wait_for_a_review_and_may_get_one(office: Office) -> None:
    record = office.desk.open(severity=Severity.SEV_4)
    office.desk.walk(S.RESOLVED)
    assert office.reviews.waiting() == ()
    assert [each.id for each in office.reviews.waiting(Severity.SEV_4)] == [record.id]
    office.reviews.draft(record.id)
    assert office.state(record) is S.IN_REVIEW


def test_an_incident_that_was_closed_without_a_review_can_still_be_reviewed(office: Office) -> None:
    incident = healed(office.desk)
    office.desk.walk(S.CLOSED)
    assert office.reviews.waiting() == ()
    draft = office.reviews.draft(incident.id)
    office.reviews.answer(draft.id, approved=True, by="ada")
    office.reviews.publish(draft.id)
    assert office.state(incident) is S.CLOSED
    assert office.desk.store.verify() == ()


# --- many at once, and trouble


def test_of_many_drafts_at_once_there_is_one(office: Office) -> None:
    incident = outage(office.desk)
    many, start = [office.another() for _ in range(6)], threading.Barrier(6)

    def draft(reviews: Reviews) -> str:
        with closing(reviews):
            start.wait()
            return reviews.draft(incident.id).id

    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(draft, many)) == {"INC-2026-0001-R1"}
    assert office.steps(incident) == ["drafted"]
    assert office.desk.store.verify() == ()


def test_of_two_answers_at_once_one_is_taken(office: Office) -> None:
    draft = office.reviews.draft(outage(office.desk).id)
    many, start = {name: office.another() for name in ("ada", "bob", "eve")}, threading.Barrier(3)

    def answer(by: str) -> bool:
        with closing(many[by]) as reviews:
            start.wait()
            try:
                reviews.answer(draft.id, approved=True, by=by, form=FORM)
            except ReviewError:
                return False
            return True

    with ThreadPoolExecutor(3) as pool:
        assert sorted(pool.map(answer, many)) == [False, False, True]
    assert len(office.reviews.open_actions()) == 1


def test_a_timeline_that_goes_on_meanwhile_is_in_the_draft(office: Office) -> None:
    incident = outage(office.desk)
    sources, told = office.desk.fake.sources(), []

    def late(incident_id: str) -> tuple[object, ...]:
        if not told:
            told.append(incident_id)
            office.desk.tell(EntryKind.NOTE, "It was the disk.")
        return ()

    object.__setattr__(sources, "collections", late)
    with closing(Reviews(office.settings, office.backend.clock, sources)) as reviews:
        draft = reviews.draft(incident.id)
    assert draft.document.timeline[-1].text == "It was the disk."
    assert office.steps(incident) == ["drafted"]


def test_mysql_may_be_away(office: Office) -> None:
    incident = outage(office.desk)
    office.desk.fake.rows = mysql_away()
    first = office.reviews.draft(incident.id)
    office.desk.fake.rows = type(office.desk.fake)().rows
    assert office.reviews.draft(incident.id).version == first.version + 1


def test_a_store_that_is_away_is_said(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where a folder should be")
    with closing(Reviews(review_settings(tmp_path))) as reviews, pytest.raises(StoreUnavailableError):
        reviews.waiting()
