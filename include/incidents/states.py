"""The workflow of an incident: which moves are legal, and the legal way from one state to another (design §5)."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from include.incidents.errors import IllegalMoveError
from include.incidents.model import IncidentState as S
from include.playbook.names import Severity

# REOPENED is a beginning like DETECTED: a false alarm, too, may heal by itself and come back.
MOVES: Mapping[S, tuple[S, ...]] = {
    S.DETECTED: (S.ACKNOWLEDGED, S.VERIFYING, S.FALSE_POSITIVE, S.MERGED),
    S.REOPENED: (S.ACKNOWLEDGED, S.VERIFYING, S.FALSE_POSITIVE, S.MERGED),
    S.ACKNOWLEDGED: (S.MITIGATING, S.VERIFYING, S.FALSE_POSITIVE, S.MERGED),
    S.MITIGATING: (S.MITIGATED, S.MERGED),
    S.MITIGATED: (S.VERIFYING, S.MITIGATING, S.MERGED),
    S.VERIFYING: (S.RESOLVED, S.MITIGATING, S.MERGED),  # back when it comes back, or a symptom outlives the root
    S.RESOLVED: (S.IN_REVIEW, S.CLOSED, S.REOPENED),
    S.IN_REVIEW: (S.CLOSED, S.REOPENED),
    S.CLOSED: (),
    S.MERGED: (),
    S.FALSE_POSITIVE: (),
}
FINAL_STATES = frozenset(state for state, moves in MOVES.items() if not moves)
OVER_STATES = frozenset({S.RESOLVED, S.IN_REVIEW})  # and not closed yet
REOPENABLE_STATES = frozenset(state for state, moves in MOVES.items() if S.REOPENED in moves)
# A walk may end in these, but not pass through them: each is a statement of its own.
_STATEMENTS = frozenset({S.REOPENED, S.FALSE_POSITIVE, S.MERGED})
REVIEWED_SEVERITIES = frozenset({Severity.SEV_1, Severity.SEV_2})


def allowed(state: S, severity: Severity) -> tuple[S, ...]:
    """The states that can be reached in one move. SEV-1 and SEV-2 do not close without a review; that it is approved,
    too, only their timeline tells, so the command that moves them looks there.
    """
    unreviewed = state is S.RESOLVED and severity in REVIEWED_SEVERITIES
    return tuple(to for to in MOVES[state] if not (unreviewed and to is S.CLOSED))


def check_move(incident_id: str, state: S, to: S, severity: Severity) -> None:
    """Raise :class:`IllegalMoveError` unless the move is legal."""
    if to not in (legal := allowed(state, severity)):
        raise IllegalMoveError(f"{incident_id} ({severity.label}) cannot go from {state} to {to}.", state, legal)


def path(start: S, goal: S, severity: Severity = Severity.SEV_1) -> tuple[S, ...]:
    """The shortest legal walk: the states to move to one after the other, ``goal`` last; empty if already there.

    ``MITIGATING`` to ``RESOLVED`` passes ``MITIGATED`` and ``VERIFYING``. Without a severity the strictest rules hold.
    Raises :class:`IllegalMoveError` when no walk leads there.
    """
    walks = deque([(start, ())])  # type: deque[tuple[S, tuple[S, ...]]]
    seen = {start}
    while walks:
        state, walk = walks.popleft()
        if state is goal:
            return walk
        if walk and state in _STATEMENTS:
            continue
        for to in allowed(state, severity):
            if to not in seen:
                seen.add(to)
                walks.append((to, (*walk, to)))
    raise IllegalMoveError(f"No legal way leads from {start} to {goal}.", start, allowed(start, severity))
