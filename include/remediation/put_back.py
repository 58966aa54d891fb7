"""The rung that puts everything back when the lag is gone: the settings, and the processes that run with others."""

from __future__ import annotations

from typing import Any

from include.health.observations import Probe, ProducerFacts
from include.health.probes.base import one_line
from include.playbook.names import ScenarioId
from include.playbook.thresholds import LagThresholds
from include.remediation.errors import RungError
from include.remediation.lag_view import Lag, read_lag
from include.remediation.model import Finding, Need, Proof, RunRequest, Work
from include.remediation.processor_view import ProcessorView
from include.remediation.reduced_frequency import SAMPLING, end_reduced_frequency
from include.remediation.rungs_common import OnlyWhenNeeded
from include.remediation.temporary_change import OF_PROCESSOR
from include.remediation.tools import Tools
from include.services.errors import ServicesError
from include.services.names import PROCESSOR, PRODUCER

_STOP_SECONDS, _START_SECONDS = 3.0, 15.0


class PutBack(OnlyWhenNeeded):
    """Spark first, then the producer: what was held back must find a job that keeps up.

    A process that runs with other settings than the normal ones is restarted as well when the change is no longer on
    record: an earlier try may have ended between the two.
    """

    def __init__(self, tools: Tools, request: RunRequest) -> None:
        self.tools, self.request, self._view = tools, request, ProcessorView(tools)
        self._batch_needed = False

    def need(self) -> Finding:
        """See :class:`include.remediation.model.RungWork`."""
        ours = self._ours()
        others = sorted({s.name for s in self.tools.temporary.all()} - set(ours))
        differing = self._differing()
        facts: dict[str, Any] = {"changed": ours, "in_force": differing, "of_other_incidents": others}
        if not ours and not differing:
            return Finding(Need.NOT_NEEDED, "No setting was changed for this incident: all are the normal ones.", facts)
        names = ", ".join(sorted({*ours, *differing}))
        return Finding(Need.NEEDED, f"Changed for a time: {names}.", facts)

    def services(self) -> tuple[str, ...]:
        """See :class:`include.remediation.model.RungWork`."""
        return (PROCESSOR, PRODUCER)

    def do(self) -> Work:
        """Put back, restart, one after the other."""
        texts: list[str] = []
        facts: dict[str, Any] = {}
        if self._processor_changed():
            for name in OF_PROCESSOR:
                if name in self._ours():
                    self.tools.temporary.remove(name)
            facts["stream_processor"] = self._restart_processor()
            texts.append("stream_processor was started with its normal settings.")
        done = end_reduced_frequency(self.tools, self.request)
        if done is not None:
            texts.append(done.text)
            facts["btc_producer"] = done.facts
        for name in self._ours():  # of a process that was not restarted by us: in force at its next start
            self.tools.temporary.remove(name)
            texts.append(f"{name} is put back at the next start of its process.")
        return Work(" ".join(texts) or "Everything had been put back already.", facts)

    def proof(self) -> Proof:
        """The normal settings are in force, and the lag stays small with them."""
        if left := self._ours():
            return Proof(False, f"Still changed: {', '.join(left)}.", {"changed": left})
        if differing := self._differing():
            words = ", ".join(f"{name} {value:g}" for name, value in differing.items())
            return Proof(False, f"Still in force: {words}.", {"in_force": differing})
        if not self._view.document() and self._is_alive(PROCESSOR):
            return Proof(False, "stream_processor does not answer yet.")
        if self._batch_needed and not (ended := self._view.has_ended_a_batch()).good:
            return ended
        lag = read_lag(self.tools)
        if not isinstance(lag, Lag):
            return Proof(False, lag.text, lag.facts)
        limit = self.tools.scenario(ScenarioId.KAFKA_LAG).thresholds_as(LagThresholds).exit_seconds
        facts = {"lag": lag.records, "waiting_seconds": round(lag.waiting_seconds, 1)}
        text = f"The normal settings are in force; the oldest record waits for {lag.waiting_seconds:.1f} s."
        return Proof(lag.waiting_seconds <= limit, text, facts)

    def roll_back(self) -> Work | None:
        """If the lag comes back, it is a new incident with a ladder of its own."""
        return None

    # --- parts ---------------------------------------------------------------------------------------------------
    def _ours(self) -> list[str]:
        """Names of the settings changed for this incident."""
        return [s.name for s in self.tools.temporary.all() if s.incident_id == self.request.incident_id]

    def _differing(self) -> dict[str, float]:
        """Settings with which a process runs although nothing on record says so."""
        settings, found = self.tools.settings, dict[str, float]()
        force = self._view.document().get("settings", {})
        for name in OF_PROCESSOR:
            if name in force and force[name] != getattr(settings, name) and self.tools.temporary.get(name) is None:
                found[name] = float(force[name])
        facts = self.tools.look(Probe.PRODUCER).facts
        sampling = facts.sampling if isinstance(facts, ProducerFacts) else settings.producer_sampling
        if sampling != settings.producer_sampling and self.tools.temporary.get(SAMPLING) is None:
            found[SAMPLING] = float(sampling)
        return found

    def _processor_changed(self) -> bool:
        return bool({*self._ours(), *self._differing()} & set(OF_PROCESSOR))

    def _restart_processor(self) -> dict[str, Any]:
        """One that was stopped on purpose stays stopped; its next start has the normal settings."""
        try:
            if self._pid(PROCESSOR) is None:
                return {"stopped": "already_stopped"}
            stopped = self.tools.controller.stop(PROCESSOR, _STOP_SECONDS)
            started = self.tools.controller.start(PROCESSOR, _START_SECONDS)
            self._batch_needed = True
            return {"stopped": stopped.value, "started": started.value, "pid": self._pid(PROCESSOR)}
        except ServicesError as error:
            raise RungError(f"stream_processor was not restarted: {one_line(error)}") from error

    def _pid(self, name: str) -> int | None:
        return self.tools.controller.status(name).pid

    def _is_alive(self, name: str) -> bool:
        try:
            return self._pid(name) is not None
        except ServicesError:
            return False
