"""Makes the document of a review from its material."""

from __future__ import annotations

import hashlib

from include.incidents.entry_data import canonical
from include.incidents.model import Entry, EntryKind
from include.playbook.playbook import get_playbook
from include.review import impact, improvements, story
from include.review.document import (
    Document,
    Fact,
    Line,
    NotKnown,
    Reference,
    ReferenceKind,
    SentBack,
    Statement,
    Statements,
)
from include.review.evidence import Manifest
from include.review.material import Material, Missing
from include.review.words import clock_time, counted, entry_refs, first_line, moment, plain, span

_NOT_KEY = frozenset({EntryKind.OBSERVED, EntryKind.DECIDED, EntryKind.SYMPTOM_CLEARED})
_MOST_LINES = 5000  # of a timeline within a document; the whole is in the store
_LONGEST_LINE = 2000
_REPORTERS = {"watch": "the watch (health checks)"}


def compose(material: Material, version: int, sent_back: SentBack | None = None) -> Document:
    """The document, with blanks where only a person knows."""
    incident = material.incident
    return Document(
        incident_id=incident.id,
        version=version,
        scenario=incident.scenario,
        scenario_title=material.scenario.title,
        severity=incident.severity,
        onset_at=incident.onset_at,
        opened_at=incident.opened_at,
        resolved_at=incident.resolved_at,
        drafted_at=material.now,
        sent_back=sent_back,
        severity_words=_severity(material),
        date_time=_date_time(material),
        reported_by=_reported_by(material),
        summary=_summary(material),
        impact=impact.impact_words(material),
        figures=impact.figures(material),
        root_cause=story.root_cause(material),
        resolution=story.resolution(material),
        what_worked=story.what_worked(material),
        what_failed=story.what_failed(material),
        lessons=improvements.lessons(),
        preventive_actions=improvements.preventive_actions(material),
        runbook_updates=improvements.runbook_updates(material),
        logs_and_evidence=_evidence(material),
        timeline=tuple(_line(entry) for entry in material.told[:_MOST_LINES]),
    )


def fingerprint(document: Document) -> str:
    """The same for the same facts, whenever and however often they are put together."""
    told = document.model_dump(mode="json", exclude={"version", "drafted_at", "sent_back", "figures"})
    told["figures"] = {f.key: f.value for f in document.figures if f.key not in impact.VOLATILE}
    told["carries"] = document.sent_back.version if document.sent_back else None
    return hashlib.sha256(canonical(told).encode("ascii")).hexdigest()


def _severity(material: Material) -> Statements:
    incident = material.incident
    meaning = get_playbook().severity.level(incident.severity).meaning
    found: list[Statement] = [
        Fact(text=f"{incident.severity.label}: {meaning}", evidence=entry_refs(material.told[:1]))
    ]
    for entry in material.entries(EntryKind.SEVERITY_RAISED):
        before, after = entry.data.get("change", {}).get("severity", (None, None))
        text = f"Raised from SEV-{before} to SEV-{after} at {clock_time(entry.event_at)} UTC: {first_line(entry.text)}"
        found.append(Fact(text=text, evidence=entry_refs([entry])))
    return tuple(found)


def _date_time(material: Material) -> Statements:
    incident = material.incident
    opening = entry_refs(material.told[:1])
    text = f"First sign {moment(incident.onset_at)}, detected {moment(incident.opened_at)}"
    if incident.resolved_at is None:
        return (Fact(text=f"{text}.", evidence=opening), NotKnown(text="It is not resolved."))
    lasted = span((incident.resolved_at - incident.onset_at).total_seconds())
    return (Fact(text=f"{text}, resolved {moment(incident.resolved_at)}. It lasted {lasted}.", evidence=opening),)


def _reported_by(material: Material) -> Statements:
    by = material.incident.reported_by
    return (Fact(text=_REPORTERS.get(by, by), evidence=entry_refs(material.told[:1])),)


def _summary(material: Material) -> Statements:
    incident, scenario = material.incident, material.scenario
    found: list[Statement] = [
        Fact(text=incident.summary, evidence=entry_refs(material.told[:1])),
        Fact(text=f"Scenario of the playbook: {scenario.title} ({scenario.id}), about {incident.target}."),
    ]
    for symptom in material.symptoms:
        until = f"cleared at {clock_time(symptom.cleared_at)} UTC" if symptom.cleared_at else "not cleared"
        text = f"It was responsible for {symptom.scenario} ({plain(symptom.symptom)}), {until}."
        told = [
            entry
            for entry in material.entries(EntryKind.SYMPTOM_ATTACHED)
            if entry.data.get("attachment", {}).get("scenario") == symptom.scenario
        ]
        found.append(Fact(text=text, evidence=entry_refs(told)))
    merged = [entry for entry in material.entries(EntryKind.MERGED) if "merged" in entry.data]
    for entry in merged:
        other = str(entry.data["merged"])
        refs = (*entry_refs([entry]), Reference(kind=ReferenceKind.INCIDENT, name=other))
        found.append(Fact(text=f"{other} was the same fault and was merged into it.", evidence=refs))
    return tuple(found)


def _evidence(material: Material) -> Statements:
    return (*_chain(material), *_hand_overs(material), *_collections(material))


def _chain(material: Material) -> Statements:
    """What the published review can prove later: the last hash of the timeline as it was."""
    told = material.told
    if material.findings:
        found = "; ".join(str(each) for each in material.findings[:5])
        return (Fact(text=f"The timeline is not whole, or was changed: {found}"),)
    text = f"Timeline: {counted(len(told), 'entry', 'entries')}, the hash chain is whole"
    last = f"; last entry {told[-1].number} has the hash {told[-1].hash}" if told else ""
    return (Fact(text=f"{text}{last}."),)


def _hand_overs(material: Material) -> Statements:
    return tuple(
        Fact(text=f"Handed over at {clock_time(each.at)} UTC by {each.health_run} to {each.remediation}.")
        for each in material.hand_overs
    )


def _collections(material: Material) -> Statements:
    if isinstance(material.collections, Missing):
        return (NotKnown(text=f"The collected evidence is not available: {material.collections.why}."),)
    recorded = {int(e.data["number"]): e for e in material.entries(EntryKind.EVIDENCE_COLLECTED)}
    there = {each.number for each in material.collections}
    gone = [entry for number, entry in recorded.items() if number not in there]
    found = [statement for each in material.collections for statement in _collection(each, recorded.get(each.number))]
    found += [NotKnown(text=f"{first_line(e.text)} Its files are gone.", evidence=entry_refs([e])) for e in gone]
    return tuple(found) or (NotKnown(text="No evidence was collected beside the timeline."),)


def _collection(manifest: Manifest, recorded: Entry | None) -> Statements:
    whole = Reference(kind=ReferenceKind.BLOCK, name=f"{manifest.number}/manifest", sha256=manifest.sha256)
    blocks = counted(len(manifest.blocks), "block")
    text = f"Evidence collection {manifest.number}: {blocks}, from {moment(manifest.began_at)} on."
    told = entry_refs([recorded] if recorded else [])
    found: list[Statement] = [Fact(text=text, evidence=(whole, *told))]
    if recorded is not None and recorded.data.get("sha256") != manifest.sha256:
        found.append(
            Fact(text="Its manifest is not the one that the timeline tells of: it was changed.", evidence=told)
        )
    for block in manifest.blocks:
        ref = Reference(kind=ReferenceKind.BLOCK, name=f"{manifest.number}/{block.name}", sha256=block.sha256)
        if not block.available:
            found.append(NotKnown(text=f"{block.name} is not available: {block.note}", evidence=(ref,)))
            continue
        lines = " · ".join(block.highlights)
        text = f"{block.name} ({plain(block.kind)}, {block.bytes:,} bytes)" + (f": {lines}" if lines else "")
        found.append(Fact(text=text, evidence=(ref,)))
    return tuple(found)


def _line(entry: Entry) -> Line:
    text = entry.text
    if entry.kind is EntryKind.STATE_CHANGED:
        before, after = entry.data["change"]["state"]
        text = f"{plain(before)} → {plain(after)}: {text}"
    return Line(
        number=entry.number,
        at=entry.event_at,
        recorded_at=entry.recorded_at,
        kind=entry.kind,
        actor=entry.actor,
        text=text[:_LONGEST_LINE],
        sha256=entry.hash,
        key=entry.kind not in _NOT_KEY,
    )
