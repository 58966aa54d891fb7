"""One sentence of a review, one piece of evidence, one number: as Markdown."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from include.review.document import Blank, Fact, Figure, NotKnown, Proposal, Reference, ReferenceKind, Statement, Words
from include.review.markdown import code, escaped
from include.review.words import span


def sentence(statement: Statement, most: int) -> str:
    """In one line, with its evidence; text is cut after ``most`` characters."""
    match statement:
        case Blank(asks=asks):
            return f"**To be filled in by a person:** {escaped(asks)}"
        case Words(text=text, by=by):
            return f"{escaped(by)}: {escaped(text, most)}"
        case Fact(text=text, evidence=evidence):
            lead = ""
        case NotKnown(text=text, evidence=evidence):
            lead = "*Not known:* "
        case Proposal(text=text, evidence=evidence):
            lead = "*Proposal:* "
    proven = proof(evidence)
    return f"{lead}{escaped(text, most)}" + (f" ({proven})" if proven else "")


_KINDS = {
    ReferenceKind.ENTRY: ("entry", "entries"),
    ReferenceKind.BLOCK: ("evidence", "evidence"),
    ReferenceKind.ACTION: ("action", "actions"),
    ReferenceKind.TABLE: ("table", "tables"),
    ReferenceKind.PLAYBOOK: ("playbook", "playbook"),
    ReferenceKind.INCIDENT: ("incident", "incidents"),
}


def proof(references: Iterable[Reference]) -> str:
    """``entries 1, 4; evidence 1/kafka_log (sha256 1a2b3c4d5e6f)``."""
    parts = []
    for kind, group in groupby(references, key=lambda each: each.kind):
        names = [_name(each) for each in group]
        one, many = _KINDS[kind]
        parts.append(f"{one if len(names) == 1 else many} {', '.join(names)}")
    return "; ".join(parts)


def _name(reference: Reference) -> str:
    name = escaped(reference.name, 200)
    if reference.kind is ReferenceKind.BLOCK and reference.sha256:
        return f"{name} (sha256 {code(reference.sha256[:12])})"
    return name


def value(figure: Figure) -> str:
    """With its unit; a dash where it is not known."""
    if figure.value is None:
        return "–"
    if figure.unit == "s":
        return span(figure.value)
    return f"{figure.value:,} {escaped(figure.unit)}"
