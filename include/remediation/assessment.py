"""Before anything is done: is the rung chosen, may a machine touch this cause, and is the rung needed now?"""

from __future__ import annotations

from dataclasses import dataclass

from include.health.probes.base import one_line
from include.playbook.ladder import ByPeople, Rung, RungId
from include.remediation.deadline import Call, DeadlineExceededError
from include.remediation.diagnosis import current_cause
from include.remediation.errors import RungError
from include.remediation.model import Finding, Need, RungOutcome, RungReport, RungWork, RunRequest
from include.remediation.registry import RUNGS
from include.remediation.rungs_common import OnlyWhenNeeded, Validation
from include.remediation.tools import Tools

LOOK_SECONDS = 30.0  # a precondition asks several targets, each with a deadline of its own

_OUTCOMES = {
    Need.NOT_NEEDED: RungOutcome.NOT_NEEDED,
    Need.FORBIDDEN: RungOutcome.FORBIDDEN,
    Need.BY_PEOPLE: RungOutcome.BY_PEOPLE,
    Need.UNKNOWN: RungOutcome.UNKNOWN,
}


@dataclass(frozen=True, slots=True)
class Over:
    """The rung ends at once, and this is how."""

    rung: Rung
    finding: Finding
    outcome: RungOutcome

    @property
    def report(self) -> RungReport:
        """As it is told."""
        return RungReport(self.rung.id, self.outcome, self.finding.text, facts=self.finding.facts)


@dataclass(frozen=True, slots=True)
class Due:
    """The rung is to be done."""

    rung: Rung
    finding: Finding
    work: RungWork


def assess(tools: Tools, request: RunRequest, rung_id: RungId) -> Over | Due:
    """Real looks; changes nothing. Raises :class:`RungError` for a rung that the scenario does not have, and the
    store's errors.
    """
    rung = rung_of(tools, request, rung_id)
    if request.rungs and rung_id not in request.rungs:
        chosen = ", ".join(request.rungs)
        return Over(rung, Finding(Need.NOT_NEEDED, f"Only {chosen} was asked for."), RungOutcome.NOT_CHOSEN)
    work = RUNGS[rung_id](tools, request)
    finding = look(work)
    if not (rung.after_recovery or isinstance(work, Validation)) and (left := left_to_people(tools, request)):
        return Over(rung, _by_people(left, finding), RungOutcome.BY_PEOPLE)
    if finding.need is Need.NEEDED or _wanted_anyway(request, rung_id, work, finding):
        return Due(rung, finding, work)
    return Over(rung, finding, _OUTCOMES[finding.need])


def rung_of(tools: Tools, request: RunRequest, rung_id: RungId) -> Rung:
    """The rung as the playbook has it. Raises :class:`RungError`."""
    rung = tools.scenario(request.scenario).rung(rung_id)
    if rung is None:
        raise RungError(f"The ladder of {request.scenario} has no rung {rung_id}.")
    return rung


def look(work: RungWork) -> Finding:
    """The rung's precondition. What cannot be seen, or not in time, is unknown, and nothing is done about it."""
    try:
        return Call(work.need, "rung-need").result(LOOK_SECONDS)
    except DeadlineExceededError:
        return Finding(Need.UNKNOWN, f"The look took longer than {LOOK_SECONDS:g} s. Nothing is done.")
    except Exception as error:
        text = f"The look itself failed ({type(error).__name__}: {one_line(error)}). Nothing is done."
        return Finding(Need.UNKNOWN, text)


def left_to_people(tools: Tools, request: RunRequest) -> ByPeople | None:
    """The playbook's word on the incident's cause as it is now, if no machine may touch that."""
    return tools.scenario(request.scenario).left_to_people(current_cause(tools, request))


def _wanted_anyway(request: RunRequest, rung_id: RungId, work: RungWork, finding: Finding) -> bool:
    """A person named this very rung: they get it, although it is not needed."""
    return request.names(rung_id) and finding.need is Need.NOT_NEEDED and not isinstance(work, OnlyWhenNeeded)


def _by_people(left: ByPeople, finding: Finding) -> Finding:
    text = f"{left.cause.replace('_', ' ').capitalize()}: {left.because} For people: {left.tell}"
    seen = finding.text if finding.need is not Need.UNKNOWN else ""
    facts = {"cause": left.cause.value, **finding.facts}
    return Finding(Need.BY_PEOPLE, f"{text} Seen now: {seen}" if seen else text, facts)
