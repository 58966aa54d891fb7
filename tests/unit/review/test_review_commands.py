"""Reviews on the command line, with the sources that the settings name and MySQL away."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from typer.testing import CliRunner

from include.guardrails.factory import guardrails_from_settings
from include.guardrails.holders import this_process
from include.guardrails.model import Action, ActionRequest, ActionState, Limits
from include.incidents.factory import store_from_settings
from include.incidents.model import IncidentState
from include.playbook.ladder import RungId
from include.review import __main__ as command
from include.review import review_commands
from include.review.errors import ReviewError
from include.review.reviews import Reviews
from include.settings import Settings
from include.stack.ports import free_ports
from tests.support.reviewing import FORM, Desk, manual_clock, review_settings


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Of the command, with a home of its own."""
    made = review_settings(tmp_path / "home", mysql_port=free_ports(1)[0])
    monkeypatch.setattr(review_commands, "load_settings", lambda: made)
    return made


def run(*arguments: str) -> str:
    """What is printed. Raises what the command refuses with."""
    result = CliRunner().invoke(command.app, arguments, terminal_width=200)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.output


def _outage(settings: Settings) -> str:
    """Kafka was restarted under the guardrails' eyes, and it is over."""
    clock = manual_clock()
    with closing(store_from_settings(settings, clock)) as store, closing(guardrails_from_settings(settings)) as guard:
        desk = Desk(store, clock)
        incident = desk.open()
        limits = Limits(cooldown_seconds=0, hourly_budget=5)
        action = guard.begin(
            ActionRequest(
                *(incident.id, incident.scenario, RungId.RESTART_KAFKA, incident.target, "health", "run 1"),
                *(this_process(), limits, 60.0),
            )
        )
        assert isinstance(action, Action)
        guard.end(action.id, ActionState.SUCCEEDED, "The broker takes records again.")
        desk.walk(IncidentState.RESOLVED)
    return incident.id


def test_a_review_is_drafted_shown_listed_and_exported(settings: Settings, tmp_path: Path) -> None:
    incident = _outage(settings)
    assert f"{incident} waits to be drafted (SEV-1)." in run("list")
    assert f"{incident}-R1  drafted" in run("draft", incident)
    shown = run("show", incident)
    assert shown.startswith(f"# Post-incident review {incident}")
    assert "restart kafka on kafka: succeeded" in shown
    assert "The broker takes records again." in shown
    assert "*Not known:* Rows and trades that were late are not counted: the database did not answer" in shown
    assert run("show", incident, "--html").startswith("<!doctype html>")
    assert f"{incident}-R1  SEV-1     drafted" in run("list")
    with pytest.raises(ReviewError, match="has no published review"):
        run("export", incident, str(tmp_path / "examples"))
    with closing(Reviews(settings, manual_clock())) as reviews:
        reviews.answer(f"{incident}-R1", approved=True, by="ada", form=FORM)
        reviews.publish(f"{incident}-R1")
    assert run("export", incident, str(tmp_path / "examples")).split() == [
        str(tmp_path / "examples" / f"{incident}.md")
    ]
    assert "Approved by ada" in (tmp_path / "examples" / f"{incident}.md").read_text()


def test_what_cannot_be_shown_is_said(settings: Settings) -> None:
    assert run("list") == "There are no reviews.\n"
    with pytest.raises(ReviewError, match=r"has no review yet\. To draft it: python -m include\.review draft INC"):
        run("show", "INC-2026-0001")
    with pytest.raises(ReviewError, match="There is no incident INC-2026-0001"):
        run("draft", "INC-2026-0001")
