"""An incident about Kafka, everything in memory, and a rung whose every step is told what to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from include.guardrails.memory import MemoryGuardrails
from include.health.observations import Code, Observation, Outcome, Probe
from include.incidents.memory_store import MemoryIncidentStore
from include.incidents.model import EntryKind, Incident, NewIncident
from include.playbook.ladder import RungId
from include.playbook.names import Cause, Component, ScenarioId, Severity
from include.remediation.model import Finding, Need, Proof, RungReport, RunRequest, Work
from include.remediation.runner import Remediation
from include.remediation.tools import Tools
from include.runtime.clock import ManualClock

STARTED = Work("It was started.", {"pid": 7})
NEEDED = Finding(Need.NEEDED, "The broker is gone.", {"exit_code": -9})


@dataclass
class ScriptedRung:
    """Does and says what it was told, and remembers what it was asked."""

    finding: Finding | BaseException = NEEDED
    work: Work | BaseException | Callable[[], Work] = STARTED
    proofs: list[Proof | BaseException] = field(default_factory=lambda: [Proof(True, "It answers.")])
    undo: Work | BaseException | None = None
    uses: tuple[str, ...] = ("kafka",)
    on_proof: Callable[[], None] = lambda: None
    asked: list[str] = field(default_factory=list)

    def need(self) -> Finding:
        return _told(self, "need", self.finding)

    def services(self) -> tuple[str, ...]:
        return self.uses

    def do(self) -> Work:
        if callable(self.work):
            self.asked.append("do")
            return self.work()
        return _told(self, "do", self.work)

    def proof(self) -> Proof:
        self.on_proof()
        return _told(self, "proof", self.proofs.pop(0) if len(self.proofs) > 1 else self.proofs[0])

    def roll_back(self) -> Work | None:
        return _told(self, "roll_back", self.undo)


def _told(rung: ScriptedRung, step: str, answer: Any) -> Any:
    rung.asked.append(step)
    if isinstance(answer, BaseException):
        raise answer
    return answer


@dataclass
class Bench:
    """``look`` answers with what is in ``seen``."""

    tools: Tools
    store: MemoryIncidentStore
    guardrails: MemoryGuardrails
    clock: ManualClock
    seen: dict[Probe, Observation | list[Observation]]
    use: Callable[..., None]  # (rung id, works): one after the other, the last one for good

    @property
    def remediation(self) -> Remediation:
        return Remediation(self.tools)

    def incident(self, **changes: Any) -> Incident:
        values: dict[str, Any] = {
            "scenario": ScenarioId.KAFKA_DOWN,
            "target": Component.KAFKA,
            "cause": Cause.PROCESS_GONE,
            "severity": Severity.SEV_1,
            "summary": "The broker is gone.",
            "onset_at": self.tools.now(),
            "reported_by": "watch",
            "reason": "gone",
        }
        return self.store.open(NewIncident(**values | changes))[0]

    def request(self, incident: Incident, **changes: Any) -> RunRequest:
        request = RunRequest(incident.id, incident.scenario, incident.cause, requested_by="health", run="run-1")
        return replace(request, **changes)

    def entries(self, incident: Incident, kind: EntryKind) -> list[str]:
        return [entry.text for entry in self.store.timeline(incident.id) if entry.kind is kind]


def run(bench: Bench, work: ScriptedRung, **wish: Any) -> RungReport:
    """Kafka is restarted by ``work``, for the incident that is open, or for a new one."""
    bench.use(RungId.RESTART_KAFKA, work)
    incident = bench.store.open_for(ScenarioId.KAFKA_DOWN, Component.KAFKA) or bench.incident()
    return bench.remediation.run(bench.request(incident, **wish), RungId.RESTART_KAFKA, None)


def observation(probe: Probe, code: Code = Code.OK, **more: Any) -> Observation:
    """What a probe saw, with the outcome that goes with the code."""
    own = code in (Code.OWN_FAULT, Code.OWN_CREDENTIALS, Code.NOT_AVAILABLE)
    outcome = Outcome.OK if code is Code.OK else Outcome.BLIND if own else Outcome.FAILED
    return Observation(
        probe=probe, outcome=outcome, code=code, **{"error": None if code is Code.OK else "words"} | more
    )
