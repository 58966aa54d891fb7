"""The guardrails on the command line: what a person sees at night, and the switches."""

from __future__ import annotations

import getpass
from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner

from include.guardrails import factory as guardrail_factory
from include.guardrails.memory import MemoryGuardrails
from include.guardrails.model import Action, ActionRequest, ActionState, Limits, Refusal, Refused
from include.incidents import factory as store_factory
from include.incidents.memory_store import MemoryIncidentStore
from include.incidents.model import NewIncident
from include.playbook.ladder import RungId
from include.playbook.names import Cause, Component, ScenarioId, Severity
from include.playbook.playbook import get_playbook
from include.playbook_command import __main__ as command
from include.playbook_command import guardrail_commands
from include.playbook_command.guardrail_view import Wait, waits
from include.runtime.clock import ManualClock

S, C, R = ScenarioId, Component, RungId
BEGIN = datetime(2026, 3, 4, 3, 0, tzinfo=UTC)


class Night:
    """Guardrails and incidents in memory, on a clock that a test moves."""

    def __init__(self) -> None:
        self.clock = ManualClock(int(BEGIN.timestamp() * 1000))
        self.store = MemoryIncidentStore(clock=self.clock)
        self.guardrails = MemoryGuardrails(self.clock, self.store, alive=lambda holder: True)

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.clock.time_ms() / 1000, UTC)

    def incident(self, scenario: ScenarioId = S.KAFKA_DOWN, target: Component = C.KAFKA) -> str:
        incident, _ = self.store.open(
            NewIncident(
                scenario=scenario,
                target=target,
                cause=Cause.PROCESS_GONE,
                severity=Severity.SEV_1,
                summary="It is away",
                onset_at=self.now(),
                reported_by="watch",
                reason="the process is gone",
            )
        )
        return incident.id

    def begin(self, incident: str, rung: RungId = R.RESTART_KAFKA, by: str = "health") -> Action:
        found = self.guardrails.begin(
            ActionRequest(
                incident_id=incident,
                scenario=self.store.incident(incident).scenario,
                rung=rung,
                target=C.KAFKA,
                requested_by=by,
                run=f"run-{self.clock.time_ms()}",
                holder="this process",
                limits=Limits(120, 4),
                lease_seconds=60,
                services=("kafka",),
            )
        )
        assert not isinstance(found, Refused), found.text
        return found


@pytest.fixture
def night(monkeypatch: pytest.MonkeyPatch) -> Night:
    night = Night()
    monkeypatch.setattr(store_factory, "store_from_settings", lambda settings: night.store)
    monkeypatch.setattr(guardrail_factory, "guardrails_from_settings", lambda settings: night.guardrails)
    monkeypatch.setattr(guardrail_commands, "_now", night.now)
    monkeypatch.setattr(getpass, "getuser", lambda: "ada")
    monkeypatch.setattr(command.console, "width", 250)
    return night


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(command.app, list(arguments))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


def off(night: Night) -> dict[str, datetime | None]:
    return {switch.scope: switch.until for switch in night.guardrails.switches()}


# --- The switches ------------------------------------------------------------------------------------------------
def test_the_kill_switch_stays_off_until_somebody_resumes(night: Night) -> None:
    code, output = run("pause", "--reason", "the disk [is] being replaced")
    assert code == 0
    assert "All automation is off until it is resumed." in output
    assert "bin/playbook resume\n" in output
    assert [(s.scope, s.by, s.reason) for s in night.guardrails.switches()] == [
        ("all", "ada", "the disk [is] being replaced")
    ]
    assert run("resume") == (0, "All automation is switched on again.\n")
    assert off(night) == {}
    assert [(change.off, change.by) for change in night.guardrails.switch_changes()] == [(False, "ada"), (True, "ada")]


@pytest.mark.parametrize(
    ("length", "seconds"),
    [("90s", 90), ("30m", 1800), ("2h", 7200), ("1d", 86_400), ("1h30m", 5400), (" 2H ", 7200), ("365d", 31_536_000)],
)
def test_a_pause_ends_by_itself(night: Night, length: str, seconds: int) -> None:
    code, output = run("pause", "--scenario", "kafka_lag", "--reason", "a drill", "--for", length, "--by", "grace")
    assert code == 0
    end = BEGIN + timedelta(seconds=seconds)
    assert f"Automation of kafka_lag is off until {end:%Y-%m-%d %H:%M:%S} UTC." in output
    assert "bin/playbook resume --scenario kafka_lag" in output
    assert off(night) == {"kafka_lag": end}
    assert night.guardrails.switches()[0].by == "grace"
    night.clock.advance(seconds)
    assert off(night) == {}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("pause", "--reason", "x", "--for", "soon"), "--for soon: not a length of time. Allowed: numbers with"),
        (("pause", "--reason", "x", "--for", "2"), "--for 2: not a length"),
        (("pause", "--reason", "x", "--for", "2h or so"), "--for 2h or so: not a length"),
        (("pause", "--reason", "x", "--for", "-1h"), "--for -1h: not a length"),
        (("pause", "--reason", "x", "--for", "0m"), "more than nothing and at most 365 days"),
        (("pause", "--reason", "x", "--for", "366d"), "more than nothing and at most 365 days"),
        (("pause", "--reason", "x", "--for", "9999999999999d"), "more than nothing and at most 365 days"),
        (("pause", "--reason", "  "), "a reason must be said"),
        (("pause",), "--reason"),
        (("actions", "--incident", "INC-2026-0009"), "There is no incident INC-2026-0009."),
        (("actions", "--limit", "0"), "--limit"),
    ],
)
def test_what_makes_no_sense_is_refused_in_words_and_changes_nothing(
    night: Night, arguments: tuple[str, ...], words: str
) -> None:
    code, output = run(*arguments)
    assert code == 2
    assert words in output
    assert off(night) == {}


def test_an_unknown_scenario_is_not_taken_for_everything(night: Night) -> None:
    for verb in (["pause", "--reason", "x"], ["resume"]):
        with pytest.raises(command.PlaybookError, match="no scenario 'kafka_lagg'"):  # main() makes a message of it
            run(*verb, "--scenario", "kafka_lagg")
    assert off(night) == {}


def test_somebody_without_a_login_must_say_who_they_are(night: Night, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise OSError("no such user")

    monkeypatch.setattr(getpass, "getuser", nobody)
    code, output = run("pause", "--reason", "a drill")
    assert (code, output) == (2, "✗ Nobody knows your login here. Say who you are: --by NAME\n")
    assert run("pause", "--reason", "a drill", "--by", "ada")[0] == 0


def test_a_pause_says_what_has_begun_already(night: Night) -> None:
    incident = night.incident()
    night.guardrails.end(night.begin(incident, R.VALIDATE_TOPICS).id, ActionState.SUCCEEDED, "all there")
    night.begin(incident)
    told = f"What has begun is finished first: restart_kafka on kafka for {incident}."
    output = run("pause", "--reason", "a drill")[1]
    assert told in output
    assert output.count("finished first") == 1
    assert told in run("pause", "--scenario", "kafka_down", "--reason", "a drill")[1]
    assert "finished first" not in run("pause", "--scenario", "kafka_lag", "--reason", "a drill")[1]


def test_resume_says_what_is_still_off(night: Night) -> None:
    run("pause", "--scenario", "kafka_lag", "--reason", "a drill")
    code, output = run("resume")
    assert code == 0
    assert "All automation was not switched off." in output
    assert "Still off:" in output
    assert all(words in output for words in ("kafka_lag", "it is resumed", "ada", "a drill"))
    assert run("resume", "--scenario", "kafka_lag") == (0, "Automation of kafka_lag is switched on again.\n")


# --- What is seen ------------------------------------------------------------------------------------------------
def test_a_quiet_night(night: Night) -> None:
    code, output = run("guardrails")
    assert code == 0
    assert output.splitlines() == [
        "Automation is on, for every scenario.",
        "No action is running.",
        "No process is in anybody's hands.",
        "No step has to wait.",
    ]
    assert run("actions") == (0, "Nothing was done.\n")


def test_guardrails_shows_what_is_off_what_runs_and_what_must_wait(night: Night) -> None:
    incident = night.incident()
    night.begin(incident)
    run("pause", "--reason", "the disk [is] being replaced", "--for", "2h")
    night.clock.advance(30)
    code, output = run("guardrails")
    assert code == 0
    flat = " ".join(output.split())
    for words in (
        "everything 2026-03-04 03:00:00 2026-03-04 05:00:00 ada the disk [is] being replaced",
        f"1 2026-03-04 03:00:00 restart_kafka kafka {incident} health running",
        f"kafka 2026-03-04 03:01:00 restart_kafka of {incident} this process",
        "restart_kafka kafka 2026-03-04 03:02:00, in 90 s it was done a moment ago (cooldown)",
        "Switched lately",
        "everything off ada the disk [is] being replaced",
    ):
        assert words in flat, words
    assert "Automation is on" not in output


def test_actions_tells_what_was_done_newest_first_and_of_one_incident(night: Night) -> None:
    kafka = night.incident()
    night.guardrails.end(night.begin(kafka).id, ActionState.SUCCEEDED, "Kafka [answers] again")
    night.clock.advance(4.2)
    night.guardrails.end(night.begin(kafka, R.VALIDATE_TOPICS, by="grace").id, ActionState.FAILED, "a topic is missing")
    code, output = run("actions")
    assert code == 0
    assert output.index("validate_topics") < output.index("restart_kafka")
    for words in ("grace", "failed", "a topic is missing", "health", "succeeded", "Kafka [answers] again", kafka):
        assert words in output
    assert "restart_kafka" not in run("actions", "--limit", "1")[1]
    other = night.incident(S.MYSQL_NOT_WRITING, C.MYSQL)
    assert run("actions", "--incident", other) == (0, f"Nothing was done for {other}.\n")
    assert "restart_kafka" in run("actions", "--incident", kafka)[1]


# --- What must wait: restart_kafka may begin 4 times an hour, 120 s apart; 3 failures in a row open its breaker
# for half an hour from the end of the last one.
OK, BAD, GONE = ActionState.SUCCEEDED, ActionState.FAILED, ActionState.ABANDONED
AGO = lambda minutes: BEGIN - timedelta(minutes=minutes)  # noqa: E731


@pytest.mark.parametrize(
    ("done", "expected"),  # done: (minutes ago, how it ended), newest first
    [
        ([], None),
        ([(1, OK)], (Refusal.COOLDOWN, AGO(-1))),
        ([(2, OK)], None),
        ([(3, OK), (20, OK), (30, OK)], None),
        ([(3, OK), (20, OK), (30, OK), (50, OK)], (Refusal.BUDGET, AGO(-10))),
        ([(1, OK), (20, OK), (30, OK), (50, OK)], (Refusal.BUDGET, AGO(-10))),  # the longer wait is told
        ([(3, BAD), (20, BAD), (30, OK)], None),
        ([(3, BAD), (20, GONE), (90, BAD)], (Refusal.BREAKER_OPEN, AGO(-27))),
        ([(3, BAD), (20, OK), (30, BAD), (90, BAD)], None),
        ([(31, BAD), (35, BAD), (90, BAD)], None),
    ],
)
def test_what_must_wait(done: list[tuple[float, ActionState]], expected: tuple[Refusal, datetime] | None) -> None:
    actions = [
        Action(
            id=len(done) - number,
            incident_id="INC-2026-0001",
            scenario=S.KAFKA_DOWN,
            rung=R.RESTART_KAFKA,
            target=C.KAFKA,
            requested_by="health",
            run="run",
            holder="holder",
            state=state,
            started_at=AGO(minutes),
            expires_at=AGO(minutes - 5),
            ended_at=AGO(minutes),
        )
        for number, (minutes, state) in enumerate(done)
    ]
    found = waits(actions, get_playbook(), BEGIN)
    assert found == (() if expected is None else (Wait(R.RESTART_KAFKA, C.KAFKA, *expected),))


@pytest.mark.parametrize("minutes", [0.5, 1, 3, 19, 21])
def test_what_is_said_to_wait_is_what_the_guardrails_refuse(night: Night, minutes: float) -> None:
    incident = night.incident()
    for _ in range(4):
        night.guardrails.end(night.begin(incident).id, OK, "done")
        night.clock.advance(150)
    night.clock.advance(minutes * 60)
    request = ActionRequest(
        incident, S.KAFKA_DOWN, R.RESTART_KAFKA, C.KAFKA, "health", "next", "holder", Limits(120, 4), 60
    )
    refused = night.guardrails.check(request)
    found = waits(night.guardrails.actions(), get_playbook(), night.now())
    assert [(each.limit, each.until) for each in found] == ([(refused.refusal, refused.until)] if refused else [])
