"""Stories of verdicts played through correlation, keeper and a store in memory, second by second in virtual time."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta

import msgspec

from include.health.observations import Probe
from include.health.verdicts import Assessment, Blindness, Evidence, Harm, Stall, State, Verdict
from include.incidents.correlation import ALL_SCENARIOS, Correlator
from include.incidents.decisions import Decision
from include.incidents.keeper import IncidentKeeper
from include.incidents.memory_store import MemoryIncidentStore
from include.incidents.model import Incident
from include.incidents.situation import OpenView
from include.playbook.names import Cause, ScenarioId, Severity, Symptom
from include.playbook.playbook import get_playbook
from include.runtime.clock import ManualClock

NAMES = {
    "kafka": ScenarioId.KAFKA_DOWN,
    "stream": ScenarioId.STREAM_PROCESSOR_FAILURE,
    "mysql": ScenarioId.MYSQL_NOT_WRITING,
    "producer": ScenarioId.PRODUCER_SILENT,
    "lag": ScenarioId.KAFKA_LAG,
}


def bad(
    cause: Cause,
    symptom: Symptom,
    *,
    direct: bool = True,
    state: State = State.UNHEALTHY,
    severity: Severity | None = None,
    began: float = 0.0,
    host: str = "",
    figures: dict[str, float | int | str | None] | None = None,
) -> Verdict:
    """A verdict to be shown; ``began``: seconds before now that its first bad sample was seen; ``host``: what the host
    probe said. The desk fills in scenario, target and moments.
    """
    evidence = (Evidence(0.0, Probe.HOST, "low", host),) if host else (Evidence(0.0, Probe.LOGS, "seen", symptom),)
    return Verdict(
        scenario=ScenarioId.KAFKA_DOWN,
        target=get_playbook().scenarios[ScenarioId.KAFKA_DOWN].target,
        state=state,
        cause=cause,
        reason=f"{cause}.",
        since=0.0,
        onset=-began,
        symptom=symptom,
        direct=direct,
        severity=severity,
        evidence=evidence,
        figures=figures or {},
    )


def suspect(symptom: Symptom = Symptom.KAFKA_TRANSPORT) -> Verdict:
    """First bad samples."""
    return bad(Cause.UNKNOWN, symptom, state=State.SUSPECT)


def record(cause: Cause = Cause.PROCESS_RESTARTED, symptom: Symptom = Symptom.PROCESS_GONE) -> Verdict:
    """A warning, or what has healed itself."""
    return bad(cause, symptom, state=State.SUSPECT, severity=Severity.SEV_4)


HEALTHY = bad(Cause.NONE, Symptom.NO_PROGRESS, state=State.HEALTHY)
UNKNOWN = bad(Cause.UNKNOWN, Symptom.NOT_OBSERVABLE, state=State.UNKNOWN)
KAFKA_GONE = bad(Cause.PROCESS_GONE, Symptom.KAFKA_TRANSPORT)
MYSQL_RIGHTS = bad(Cause.CREDENTIALS, Symptom.MYSQL_CREDENTIALS)


class Desk:
    """Shows verdicts to the correlation and lets the keeper carry out what it decides."""

    def __init__(self, *, started: bool = True) -> None:
        self.playbook = get_playbook()
        self.clock = ManualClock(1_700_000_000_000)
        self.store = MemoryIncidentStore(self.clock)
        self.followed: Collection[ScenarioId] = ALL_SCENARIOS
        self.stall: Stall | None = None
        self.blind: tuple[Blindness, ...] = ()
        self.harm = Harm()
        self.decisions: list[Decision] = []
        self.verdicts: dict[ScenarioId, Verdict] = {}
        self.restart()
        if started:
            self.show(**dict.fromkeys(NAMES, HEALTHY))
            self.run(1)

    @property
    def at(self) -> float:
        """Seconds since the epoch."""
        return self.clock.time_ms() / 1000

    def restart(self) -> None:
        """Another process takes over: it remembers nothing, and cannot see yet."""
        self.correlator = Correlator(self.playbook, ("BTCUSDT", "ETHUSDT"))
        self.keeper = IncidentKeeper(self.store, self.clock)
        self.show(**dict.fromkeys(NAMES, UNKNOWN))

    def show(self, **verdicts: Verdict) -> None:
        """From now on."""
        for name, shown in verdicts.items():
            scenario = NAMES[name]
            quiet = shown.state in (State.HEALTHY, State.UNKNOWN)
            self.verdicts[scenario] = msgspec.structs.replace(
                shown,
                scenario=scenario,
                target=self.playbook.scenarios[scenario].target,
                since=self.at,
                onset=0.0 if quiet else self.at + shown.onset,
                symptom=None if quiet else shown.symptom,
                evidence=() if quiet else tuple(msgspec.structs.replace(e, at=self.at) for e in shown.evidence),
            )

    def cannot_see(self, probe: Probe, *names: str) -> None:
        """A probe is blind from now on, for the scenarios that look at it."""
        reason = f"The probe {probe} cannot see."
        self.blind = (*self.blind, Blindness(probe, self.at, reason, tuple(NAMES[name] for name in names)))

    def run(self, seconds: float = 1.0) -> list[Decision]:
        """Let time pass, a look each second; what was decided."""
        decided: list[Decision] = []
        for _ in range(round(seconds)):
            decided += self.step()
            self.clock.advance(1)
        return decided

    def step(self) -> tuple[Decision, ...]:
        """One look, now."""
        assessment = Assessment(
            at=self.at, verdicts=dict(self.verdicts), stall=self.stall, blind=self.blind, harm=self.harm
        )
        decided = self.correlator.decide(assessment, self.views(), self.followed)
        self.keeper.apply(decided)
        self.decisions += decided
        return decided

    def views(self) -> tuple[OpenView, ...]:
        """The open incidents."""
        return self.keeper.views()

    def opened(self) -> list[Incident]:
        """Every incident that there was, the oldest first."""
        return list(reversed(self.store.recent(100)))

    def only(self) -> Incident:
        """The one incident that there was."""
        [incident] = self.opened()
        return incident

    def of(self, name: str) -> Incident:
        """The newest incident of a scenario."""
        return next(i for i in self.store.recent(100) if i.scenario is NAMES[name])

    def attached(self, incident: Incident) -> dict[ScenarioId, bool]:
        """The symptoms of an incident; whether each is still there."""
        return {s.scenario: s.cleared_at is None for s in self.store.symptoms(incident.id)}

    def seconds_to_open(self, incident: Incident) -> float:
        """From the first bad sample to the row."""
        return (incident.opened_at - incident.onset_at) / timedelta(seconds=1)
