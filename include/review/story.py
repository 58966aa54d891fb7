"""Root cause as diagnosed, resolution, what worked and what failed: from the timeline and the actions on record."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from include.guardrails.model import Action, ActionState
from include.incidents.model import Entry, EntryKind, IncidentState
from include.playbook.names import Cause
from include.review.document import Blank, Fact, NotKnown, Reference, ReferenceKind, Statement, Statements
from include.review.material import Material, Missing, state_after
from include.review.milestones import milestones, seconds_between
from include.review.repairs import repairs
from include.review.words import action_ref, clock_time, counted, entry_refs, first_line, plain, span

ROOT_CAUSE_ASKS = "the root cause: why it happened, and whether the diagnosis is right"
NOT_CONFIRMED = Fact(text="Confirmed by a person: not yet.")
_MOST_SIGNS = 8


def root_cause(material: Material) -> Statements:
    """The cause as the rules diagnosed it, what they saw, and the blank for a person's word."""
    incident, scenario = material.incident, material.scenario
    by = entry_refs(material.entries(EntryKind.OPENED, EntryKind.REOPENED, EntryKind.CAUSE_CHANGED))
    diagnosed = f"Diagnosed by the rules of {scenario.id}."
    if incident.cause in (Cause.UNKNOWN, Cause.NONE):
        found: Statement = NotKnown(text=f"The rules of {scenario.id} could not tell the cause.", evidence=by)
    elif entry := scenario.entry(incident.cause):
        found = Fact(text=f"{entry.title} ({plain(incident.cause)}). {diagnosed}", evidence=by)
    else:
        found = Fact(text=f"{plain(incident.cause).capitalize()}. {diagnosed}", evidence=by)
    return (found, *_signs(material), NOT_CONFIRMED, Blank(asks=ROOT_CAUSE_ASKS))


def resolution(material: Material) -> Statements:
    """What ended it."""
    helped = [action for action in material.known_actions if action.state is ActionState.SUCCEEDED]
    found: list[Statement] = [_action_fact(material, action) for action in helped]
    found += _told(material.entries(EntryKind.SUPERVISED))
    if not helped:
        found.append(_without_action(material))
    ends = [e for e in material.told if state_after(e) is IncidentState.RESOLVED]
    if ends:
        text = f"Resolved at {clock_time(ends[-1].event_at)} UTC: {first_line(ends[-1].text)}"
        found.append(Fact(text=text, evidence=entry_refs(ends[-1:])))
    return (*found, *_told(material.entries(EntryKind.REPAIRED)))


def what_worked(material: Material) -> Statements:
    """Detection, remedies that helped, the proof of the data."""
    return tuple(_worked(material)) or (NotKnown(text="Nothing is on record that helped."),)


def what_failed(material: Material) -> Statements:
    """Remedies that did not help or were refused, what was handed to people, what could not be seen."""
    return tuple(_failed(material)) or (
        Fact(
            text="No remedy failed and none was refused, as far as the records tell.",
            evidence=entry_refs(_ends(material)),
        ),
    )


def _worked(material: Material) -> Iterator[Statement]:
    moments = milestones(material)
    seconds = seconds_between(moments.onset.at, moments.detected.at)
    if material.incident.reported_by == "watch" and seconds is not None:
        yield Fact(
            text=f"The watch opened it {span(seconds)} after the first sign.", evidence=moments.detected.evidence
        )
    if (before := _evidence_first(material)) is not None:
        yield before
    for action in material.known_actions:
        if action.state is ActionState.SUCCEEDED:
            yield _action_fact(material, action)
    yield from _told(material.entries(EntryKind.SUPERVISED))
    repaired = repairs(material.entries(EntryKind.REPAIRED))
    if repaired is not None and repaired.proved:
        text = "After the repair every window compared equals the exchange's ledger."
        yield Fact(text=text, evidence=entry_refs(repaired.entries[-1:]))


def _failed(material: Material) -> Iterator[Statement]:
    if isinstance(material.actions, Missing):
        yield NotKnown(text=f"The actions on record are not available: {material.actions.why}.")
    for action in material.known_actions:
        if action.state in (ActionState.FAILED, ActionState.ROLLED_BACK, ActionState.ABANDONED):
            yield _action_fact(material, action)
    yield from _told(material.entries(EntryKind.ACTION_REFUSED))
    yield from (_escalated(entry) for entry in material.entries(EntryKind.ESCALATED))
    for symptom in material.symptoms:
        if symptom.residual:
            yield Fact(text=f"{symptom.scenario} outlived its root: {first_line(symptom.reason)}")
    if returns := material.entries(EntryKind.REOPENED):
        text = f"It came back {counted(len(returns), 'time')} after it had been resolved."
        yield Fact(text=text, evidence=entry_refs(returns))
    repaired = repairs(material.entries(EntryKind.REPAIRED))
    if repaired is not None and not repaired.proved:
        text = "It is not proved that the tables equal the exchange's ledger after the repair."
        yield Fact(text=text, evidence=entry_refs(repaired.entries[-1:]))


def _signs(material: Material) -> Iterator[Statement]:
    """What was seen when it was opened: the probes' own words."""
    for entry in material.entries(EntryKind.OPENED, EntryKind.REOPENED):
        seen = entry.data.get("evidence")
        for sign in (seen if isinstance(seen, list) else [])[:_MOST_SIGNS]:
            words = ": ".join(str(sign[name]) for name in ("probe", "code", "text") if sign.get(name))
            if words:
                yield Fact(text=f"Seen: {words}", evidence=entry_refs([entry]))


def _action_fact(material: Material, action: Action) -> Fact:
    ended = action.ended_at or action.expires_at
    seconds = span((ended - action.started_at).total_seconds())
    rung = f"{plain(action.rung)} on {action.target}"
    asked = "" if action.requested_by == "health" else f" (asked for by {action.requested_by})"
    text = f"{clock_time(action.started_at)} UTC, {rung}{asked}: {plain(action.state)} after {seconds}."
    told = [
        entry
        for entry in material.entries(EntryKind.ACTION_STARTED, EntryKind.ACTION_ENDED)
        if entry.data.get("action") == action.id
    ]
    said = f" {first_line(action.text)}" if action.text else ""
    return Fact(text=text + said, evidence=(action_ref(action.id), *entry_refs(told)))


def _without_action(material: Material) -> Statement:
    """Healed by itself, by supervision or by hand: which one, the records do not say."""
    if isinstance(material.actions, Missing):
        return NotKnown(text=f"Whether a remedy was run is not known: {material.actions.why}.")
    if tried := len(material.actions):
        return Fact(text=f"No action on record ({tried}) is known to have helped.")
    return Fact(text="No remedy is on record: it ended without one.", evidence=entry_refs(_ends(material)))


def _evidence_first(material: Material) -> Fact | None:
    """Evidence is worth most when it was collected before anything was touched."""
    acted = milestones(material).first_action.at
    if isinstance(material.collections, Missing) or not material.collections or acted is None:
        return None
    first = material.collections[0]
    if first.began_at > acted:
        return None
    blocks = counted(sum(block.available for block in first.blocks), "block")
    where = Reference(kind=ReferenceKind.BLOCK, name=f"{first.number}/manifest", sha256=first.sha256)
    return Fact(text=f"Evidence ({blocks}) was collected before anything was touched.", evidence=(where,))


def _told(entries: Iterable[Entry]) -> list[Statement]:
    """Each text once, with how often it was said."""
    by_text: dict[str, list[Entry]] = {}
    for entry in entries:
        by_text.setdefault(first_line(entry.text), []).append(entry)
    found: list[Statement] = []
    for text, same in by_text.items():
        often = f" ({len(same)} times)" if len(same) > 1 else ""
        found.append(Fact(text=f"{clock_time(same[0].event_at)} UTC: {text}{often}", evidence=entry_refs(same)))
    return found


def _escalated(entry: Entry) -> Fact:
    why = next((line for line in entry.text.splitlines() if line.startswith("Why a person:")), first_line(entry.text))
    text = f"{clock_time(entry.event_at)} UTC, handed to people. {why.strip()}"
    return Fact(text=text, evidence=entry_refs([entry]))


def _ends(material: Material) -> tuple[Entry, ...]:
    return material.told[-1:]
