"""What could be better next time: preventive actions as the playbook proposes them, and updates of the runbook.

Nothing here is decided; it stands beside the blanks so that a person need not begin with an empty page.
"""

from __future__ import annotations

from collections.abc import Iterator

from include.guardrails.model import ActionState
from include.incidents.model import EntryKind
from include.playbook.names import Cause
from include.review.document import Blank, Proposal, Reference, ReferenceKind, Statement, Statements
from include.review.form import ACTION_FORM, NEED_ANSWERS
from include.review.material import Material
from include.review.words import action_ref, counted, entry_refs, plain

LESSONS_ASKS = "what is to be learnt from it: what users noticed, what helped, what was missing"
RUNBOOK_ASKS = "which of these are to be done, and what else the runbook should say"
_LIMITS = {"cooldown": "cooldown", "budget": "hourly budget", "breaker_open": "breaker"}


def preventive_actions(material: Material) -> Statements:
    """The playbook's long-term actions as proposals, and the blank."""
    where = (_playbook(material),)
    proposals = tuple(
        Proposal(text=f"From the playbook: {action}", evidence=where) for action in material.scenario.long_term_actions
    )
    least = " (at least one)" if material.incident.severity in NEED_ANSWERS else ""
    return (*proposals, Blank(asks=f"preventive actions{least}, one a line: {ACTION_FORM}"))


def lessons() -> Statements:
    """Only a person knows."""
    return (Blank(asks=LESSONS_ASKS),)


def runbook_updates(material: Material) -> Statements:
    """Where the incident and the playbook differ, and the blank."""
    return (*_differences(material), Blank(asks=RUNBOOK_ASKS))


def _differences(material: Material) -> Iterator[Statement]:
    yield from _about_cause(material)
    for action in material.known_actions:
        if action.state in (ActionState.FAILED, ActionState.ROLLED_BACK):
            rung = f"{plain(action.rung)} on {action.target}"
            text = f"{rung} did not help against {plain(material.incident.cause)}: say so, or change the ladder."
            yield Proposal(text=text, evidence=(action_ref(action.id),))
    yield from _about_limits(material)
    others = sorted({f"{each.scenario} ({plain(each.symptom)})" for each in material.symptoms})
    if others:
        text = f"Seen together with it: {', '.join(others)}. Compare with the symptoms that the runbook names."
        yield Proposal(text=text, evidence=entry_refs(material.entries(EntryKind.SYMPTOM_ATTACHED)))
    if raised := material.entries(EntryKind.SEVERITY_RAISED):
        text = f"Its severity was raised {counted(len(raised), 'time')}: is the one at its opening right?"
        yield Proposal(text=text, evidence=entry_refs(raised))
    if handed := material.entries(EntryKind.ESCALATED):
        text = "It was handed to people: is what they had to do in the runbook?"
        yield Proposal(text=text, evidence=entry_refs(handed))


def _about_cause(material: Material) -> Iterator[Statement]:
    cause, scenario = material.incident.cause, material.scenario
    entry, where = scenario.entry(cause), (_playbook(material),)
    name = f"“{plain(cause)}”"
    if cause in (Cause.UNKNOWN, Cause.NONE):
        yield Proposal(text="The cause was not told apart: which look would have told it?", evidence=where)
    elif entry is None:
        text = f"The runbook of {scenario.id} does not name {name}: add how to tell it apart and what to do first."
        yield Proposal(text=text, evidence=where)
    elif entry.playbook_words is None:
        text = f"The playbook's own table does not name {name}, which the runbook has as “{entry.title}”: add it there."
        yield Proposal(text=text, evidence=where)


def _about_limits(material: Material) -> Iterator[Statement]:
    """Remedies that a limit kept back: the limit may be right, and may be wrong."""
    refused = material.entries(EntryKind.ACTION_REFUSED)
    kept = sorted({(str(e.data.get("rung", "")), str(e.data.get("refusal", ""))) for e in refused})
    for rung, refusal in kept:
        if refusal in _LIMITS:
            same = [e for e in refused if (e.data.get("rung"), e.data.get("refusal")) == (rung, refusal)]
            text = f"{plain(rung)} was refused by its {_LIMITS[refusal]}: is that limit right?"
            yield Proposal(text=text, evidence=entry_refs(same))


def _playbook(material: Material) -> Reference:
    return Reference(kind=ReferenceKind.PLAYBOOK, name=f"scenarios/{material.scenario.id}.toml")
