"""Who must agree to what, what they are shown, and what becomes of every answer."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from include.incidents.model import EntryKind
from include.playbook.ladder import Risk, RungId
from include.playbook.names import ScenarioId
from include.remediation.model import Approval, Finding, Need, RungOutcome, RunRequest
from include.remediation.runner import Remediation
from tests.support.remediating import Bench, ScriptedRung

RUNG = RungId.RESTART_KAFKA
YES, NO = Approval(True, "bob", comment="go"), Approval(False, "bob", comment="wait for me")
NOBODY, OWN_YES = Approval(False, ""), Approval(True, "ada")
HEALTH: dict[str, Any] = {}
ADA, TRUSTED_ADA = {"requested_by": "ada"}, {"requested_by": "ada", "ask": False}


def with_risk(bench: Bench, risk: Risk) -> Remediation:
    """The playbook, but for the risk of this rung."""
    scenario = bench.tools.scenario(ScenarioId.KAFKA_DOWN)
    ladder = tuple(rung.model_copy(update={"risk": risk, "rollback": "Put back."}) for rung in scenario.ladder)
    changed = scenario.model_copy(update={"ladder": ladder})
    return Remediation(replace(bench.tools, scenario=lambda _: changed))


@pytest.mark.parametrize(
    ("risk", "wish", "answer", "outcome", "words"),
    [
        (Risk.SAFE, HEALTH, None, RungOutcome.DONE, ""),
        (Risk.SAFE, ADA, NO, RungOutcome.DONE, ""),
        (Risk.RISKY, HEALTH, None, RungOutcome.NOT_APPROVED, "nobody was asked"),
        (Risk.RISKY, {"ask": False}, None, RungOutcome.NOT_APPROVED, "nobody was asked"),  # health takes nothing on
        (Risk.RISKY, HEALTH, NOBODY, RungOutcome.NOT_APPROVED, "no answer is a no"),
        (Risk.RISKY, HEALTH, NO, RungOutcome.NOT_APPROVED, 'bob did not agree. It was not done. They said: "wait'),
        (Risk.RISKY, HEALTH, YES, RungOutcome.DONE, ""),
        (Risk.RISKY, ADA, OWN_YES, RungOutcome.DONE, ""),
        (Risk.RISKY, ADA, None, RungOutcome.NOT_APPROVED, "nobody was asked"),
        (Risk.RISKY, TRUSTED_ADA, None, RungOutcome.DONE, ""),
        (Risk.DESTRUCTIVE, HEALTH, YES, RungOutcome.DONE, ""),
        (Risk.DESTRUCTIVE, ADA, YES, RungOutcome.DONE, ""),
        (Risk.DESTRUCTIVE, ADA, OWN_YES, RungOutcome.NOT_APPROVED, "a second person"),
        (Risk.DESTRUCTIVE, TRUSTED_ADA, OWN_YES, RungOutcome.NOT_APPROVED, "a second person"),
        (Risk.DESTRUCTIVE, TRUSTED_ADA, None, RungOutcome.NOT_APPROVED, "nobody was asked"),
        (Risk.DESTRUCTIVE, ADA, NOBODY, RungOutcome.NOT_APPROVED, "no answer is a no"),
        (Risk.DESTRUCTIVE, HEALTH, replace(YES, by=""), RungOutcome.NOT_APPROVED, "no answer is a no"),
    ],
)
def test_answers(  # noqa: PLR0917 - one row of the table
    bench: Bench, risk: Risk, wish: dict[str, Any], answer: Approval | None, outcome: RungOutcome, words: str
) -> None:
    work, incident = ScriptedRung(), bench.incident()
    bench.use(RUNG, work)
    report = with_risk(bench, risk).run(bench.request(incident, **wish), RUNG, answer)
    assert report.outcome is outcome, report.text
    assert words in report.text
    assert ("do" in work.asked) is (outcome is RungOutcome.DONE)
    refused = bench.entries(incident, EntryKind.ACTION_REFUSED)
    assert len(refused) == (0 if outcome is RungOutcome.DONE else 1)
    agreed = bench.entries(incident, EntryKind.DECIDED)
    assert [bool(answer and answer.by in text and "agreed" in text) for text in agreed] == [True] * len(agreed)
    assert len(agreed) == (1 if outcome is RungOutcome.DONE and risk is not Risk.SAFE and answer else 0)


@pytest.mark.parametrize(
    ("risk", "wish", "finding", "asked"),
    [
        (Risk.SAFE, HEALTH, Need.NEEDED, Need.NOT_NEEDED),
        (Risk.RISKY, HEALTH, Need.NEEDED, Need.NEEDED),
        (Risk.RISKY, HEALTH, Need.NOT_NEEDED, Need.NOT_NEEDED),
        (Risk.RISKY, HEALTH, Need.UNKNOWN, Need.UNKNOWN),
        (Risk.RISKY, HEALTH, Need.FORBIDDEN, Need.FORBIDDEN),
        (Risk.RISKY, HEALTH, Need.BY_PEOPLE, Need.BY_PEOPLE),
        (Risk.RISKY, {"dry_run": True}, Need.NEEDED, Need.NOT_NEEDED),
        (Risk.RISKY, {"rungs": (RungId.VALIDATE_TOPICS,)}, Need.NEEDED, Need.NOT_NEEDED),
        (Risk.RISKY, TRUSTED_ADA, Need.NEEDED, Need.NOT_NEEDED),
        (Risk.RISKY, {**ADA, "rungs": (RUNG,)}, Need.NOT_NEEDED, Need.NEEDED),  # she wants it all the same
        (Risk.DESTRUCTIVE, TRUSTED_ADA, Need.NEEDED, Need.NEEDED),
    ],
)
def test_who_is_asked(bench: Bench, risk: Risk, wish: dict[str, Any], finding: Need, asked: Need) -> None:
    incident = bench.incident()
    bench.use(RUNG, ScriptedRung(finding=Finding(finding, "Seen.", {"exit_code": -9})))
    before = bench.store.timeline(incident.id)
    found = with_risk(bench, risk).asks(bench.request(incident, **wish), RUNG)
    assert found.need is asked, found.text
    assert found.facts.get("destructive") == ((risk is Risk.DESTRUCTIVE) if asked is Need.NEEDED else None)
    assert bench.store.timeline(incident.id) == before


def test_what_a_person_is_shown(bench: Bench) -> None:
    incident, rung_id = bench.incident(), RungId.MOVE_KAFKA_LOG_ASIDE
    facts = {"folder": "data/kafka", "size": "1.2 GiB", "line": "a | b\nc"}
    bench.use(rung_id, ScriptedRung(finding=Finding(Need.NEEDED, "The broker did not come up.", facts)))
    request = bench.request(incident, requested_by="ada", reason="a hunch")
    text = bench.remediation.asks(request, rung_id).text
    rung = bench.tools.scenario(ScenarioId.KAFKA_DOWN).rung(rung_id)
    assert rung is not None
    for expected in (
        *(
            f"### {rung.action}",
            rung.runs,
            rung.rollback,
            rung.verified_by,
            rung.by_hand,
            "The broker did not come up.",
        ),
        *("| size | 1.2 GiB |", r"| line | a \| b c |", "A second person must agree", "a hunch", "No answer is a no."),
    ):
        assert expected in text


def test_that_a_person_is_asked_stands_in_the_timeline(bench: Bench) -> None:
    incident = bench.incident()
    bench.remediation.asked(bench.request(incident), RungId.MOVE_KAFKA_LOG_ASIDE)
    (entry,) = [entry for entry in bench.store.timeline(incident.id) if entry.kind is EntryKind.DECIDED]
    assert entry.text.startswith("A person is asked whether to move the damaged Kafka log aside")
    assert (entry.data["rung"], entry.data["run"], entry.data["risk"]) == (
        "move_kafka_log_aside",
        "run-1",
        "destructive",
    )


def test_a_guardrail_says_no_even_after_a_yes(bench: Bench) -> None:
    bench.use(RUNG, ScriptedRung())
    remediation, incident = with_risk(bench, Risk.RISKY), bench.incident()
    bench.guardrails.pause("all", reason="maintenance", by="ada")
    request: RunRequest = bench.request(incident)
    assert remediation.run(request, RUNG, YES).outcome is RungOutcome.REFUSED
