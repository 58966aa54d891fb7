"""The incident under a rung: how its state goes on, whose cause counts, and what is still done once it is over."""

from __future__ import annotations

from typing import Any

import pytest

from include.incidents.model import IncidentState
from include.playbook.ladder import RungId
from include.playbook.names import Cause, Component, ScenarioId, Severity
from include.remediation.errors import RungError
from include.remediation.model import RungOutcome
from tests.support.remediating import Bench, ScriptedRung, run

R, Ended = RungId.RESTART_KAFKA, RungOutcome


@pytest.mark.parametrize(
    ("before", "during", "after"),
    [
        ((), IncidentState.MITIGATING, IncidentState.MITIGATED),
        (("acknowledged",), IncidentState.MITIGATING, IncidentState.MITIGATED),
        (("acknowledged", "mitigating"), IncidentState.MITIGATING, IncidentState.MITIGATED),
        (("acknowledged", "mitigating", "mitigated"), IncidentState.MITIGATING, IncidentState.MITIGATED),
        (("verifying",), IncidentState.VERIFYING, IncidentState.VERIFYING),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, tuple) else str(value),
)
def test_the_incident_goes_on(
    bench: Bench, before: tuple[str, ...], during: IncidentState, after: IncidentState
) -> None:
    incident = bench.incident()
    for state in before:
        incident = _moved(bench, incident.id, IncidentState(state))
    seen: list[IncidentState] = []
    work = ScriptedRung(on_proof=lambda: seen.append(bench.store.incident(incident.id).state))
    run(bench, work)
    assert (seen, bench.store.incident(incident.id).state) == ([during], after)


def test_the_watch_is_faster_and_keeps_its_word(bench: Bench) -> None:
    incident = bench.incident()

    def watch() -> None:
        for state in (IncidentState.MITIGATED, IncidentState.VERIFYING, IncidentState.RESOLVED):
            _moved(bench, incident.id, state)

    assert run(bench, ScriptedRung(on_proof=watch)).outcome is Ended.DONE
    assert bench.store.incident(incident.id).state is IncidentState.RESOLVED


def test_a_failed_rung_leaves_the_incident_mitigating(bench: Bench) -> None:
    run(bench, ScriptedRung(work=RungError("no room")))
    (incident,) = bench.store.open_incidents()
    assert incident.state is IncidentState.MITIGATING


def test_a_lost_race_for_the_incident_is_tried_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    incident, move = bench.incident(), bench.store.move
    raced: list[str] = []

    def racing(incident_id: str, to: IncidentState, **told: Any) -> Any:
        if not raced:
            raced.append(incident_id)
            acknowledged = {"version": told["version"], "actor": "ada", "reason": "mine", "event_at": told["event_at"]}
            move(incident_id, IncidentState.ACKNOWLEDGED, **acknowledged)
        return move(incident_id, to, **told)

    monkeypatch.setattr(bench.store, "move", racing)
    seen: list[IncidentState] = []
    run(bench, ScriptedRung(on_proof=lambda: seen.append(bench.store.incident(incident.id).state)))
    assert raced
    assert seen == [IncidentState.MITIGATING]
    assert bench.store.incident(incident.id).state is IncidentState.MITIGATED


def test_the_cause_is_the_one_of_now(bench: Bench) -> None:
    incident = bench.incident()
    request = bench.request(incident)
    bench.store.set_cause(incident.id, Cause.DISK_FULL, actor="watch", reason="df", event_at=bench.tools.now())
    bench.use(R, ScriptedRung())
    report = bench.remediation.run(request, R)
    assert (report.outcome, report.facts["cause"]) == (Ended.BY_PEOPLE, "disk_full")
    assert "Seen now: The broker is gone." in report.text


def test_another_scenarios_incident_is_judged_by_the_runs_own_diagnosis(bench: Bench) -> None:
    """A symptom that outlived its root is worked on under the root's incident."""
    incident = bench.incident(
        scenario=ScenarioId.MYSQL_NOT_WRITING, target=Component.MYSQL, cause=Cause.DISK_FULL, severity=Severity.SEV_2
    )
    bench.use(R, ScriptedRung())
    request = bench.request(incident, scenario=ScenarioId.KAFKA_DOWN, cause=Cause.PROCESS_GONE)
    assert bench.remediation.run(request, R).outcome is Ended.DONE


def test_what_puts_things_back_runs_after_the_end_and_whatever_the_cause(bench: Bench) -> None:
    told = {"scenario": ScenarioId.KAFKA_LAG, "target": Component.LAG, "severity": Severity.SEV_2}
    left = bench.tools.scenario(ScenarioId.KAFKA_LAG).by_people[0]
    incident = bench.incident(**told, cause=left.cause)
    for state in (IncidentState.VERIFYING, IncidentState.RESOLVED):
        _moved(bench, incident.id, state)
    bench.use(RungId.PUT_BACK, ScriptedRung())
    report = bench.remediation.run(bench.request(incident), RungId.PUT_BACK)
    assert report.outcome is Ended.DONE, report.text
    assert bench.store.incident(incident.id).state is IncidentState.RESOLVED
    bench.use(RungId.RAISE_INTERVAL, ScriptedRung())
    assert bench.remediation.run(bench.request(incident), RungId.RAISE_INTERVAL).outcome is Ended.BY_PEOPLE


@pytest.mark.parametrize(
    ("wish", "outcome"),
    [
        ({"requested_by": "ada", "rungs": (R,)}, Ended.DONE),
        ({"requested_by": "ada"}, Ended.REFUSED),
        ({"rungs": (R,)}, Ended.REFUSED),
    ],
)
def test_only_what_a_person_named_is_done_for_an_incident_that_is_over_meanwhile(
    bench: Bench, wish: dict[str, Any], outcome: Ended
) -> None:
    incident = bench.incident()
    for state in (IncidentState.VERIFYING, IncidentState.RESOLVED):
        _moved(bench, incident.id, state)
    bench.use(R, ScriptedRung())
    report = bench.remediation.run(bench.request(incident, **wish), R)
    assert report.outcome is outcome, report.text
    assert bench.store.incident(incident.id).state is IncidentState.RESOLVED


def _moved(bench: Bench, incident_id: str, to: IncidentState) -> Any:
    version = bench.store.incident(incident_id).version
    return bench.store.move(incident_id, to, version=version, actor="watch", reason="seen", event_at=bench.tools.now())
