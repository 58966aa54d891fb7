"""A rung in words: who must agree, how long it may take, how often it may be done."""

from __future__ import annotations

from include.playbook.ladder import Risk, Rung

_AGREES = {
    Risk.SAFE: "nobody",
    Risk.RISKY: "a person; whoever starts it by hand may take that on themselves",
    Risk.DESTRUCTIVE: "a person other than the one who asked for it",
}
_MARKS = {
    Risk.SAFE: "",
    Risk.RISKY: "risky: a person must agree",
    Risk.DESTRUCTIVE: "destructive: a second person must agree",
}
_NOTHING_TO_UNDO = "Nothing is left that would have to be undone."


def who_agrees(rung: Rung) -> str:
    """Who must say yes before it begins."""
    return _AGREES[rung.risk]


def mark(rung: Rung) -> str:
    """What a person must know of it at a glance, in brackets behind its name; empty for most."""
    marks = [_MARKS[rung.risk], "when all is well again" if rung.after_recovery else ""]
    words = "; ".join(each for each in marks if each)
    return f" ({words})" if words else ""


def way_back(rung: Rung) -> str:
    """How it is undone."""
    return rung.rollback or _NOTHING_TO_UNDO


def limits(rung: Rung) -> str:
    """Deadlines, cooldown and budget in a sentence."""
    if rung.only_looks:
        return "It changes nothing, so it may run at any time."
    again = f"not again within {span(rung.cooldown_seconds)}" if rung.cooldown_seconds else "no pause between two"
    return (
        f"{span(rung.timeout_seconds)} for the work, {span(rung.verify_seconds)} for the proof; "
        f"{again}, at most {rung.hourly_budget} in an hour on {rung.target}."
    )


def span(seconds: float) -> str:
    """``90 s``, ``2 min``, ``1 h``: whole minutes and hours as such."""
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"
