"""The workflow of an incident."""

from __future__ import annotations

import pytest

from include.incidents.errors import IllegalMoveError
from include.incidents.model import CLOSED_STATES
from include.incidents.model import IncidentState as S
from include.incidents.states import FINAL_STATES, MOVES, allowed, check_move, path
from include.playbook.names import Severity

MINOR, MAJOR = Severity.SEV_3, Severity.SEV_2
# Every legal move, once more and in other words: from → what may come next.
WORKFLOW = {
    "detected": "acknowledged verifying false_positive merged",
    "reopened": "acknowledged verifying false_positive merged",
    "acknowledged": "mitigating verifying false_positive merged",
    "mitigating": "mitigated merged",
    "mitigated": "verifying mitigating merged",
    "verifying": "resolved mitigating merged",
    "resolved": "in_review closed reopened",
    "in_review": "closed reopened",
    "closed": "",
    "merged": "",
    "false_positive": "",
}


@pytest.mark.parametrize("state", S)
@pytest.mark.parametrize("severity", Severity)
def test_exactly_these_moves_are_legal(state: S, severity: Severity) -> None:
    legal = {S(word) for word in WORKFLOW[state].split()}
    if state is S.RESOLVED and severity in (Severity.SEV_1, Severity.SEV_2):
        legal.remove(S.CLOSED)  # not without a review
    assert set(allowed(state, severity)) == legal
    for to in S:
        if to in legal:
            check_move("INC-2026-0001", state, to, severity)
        else:
            with pytest.raises(IllegalMoveError, match=f"INC-2026-0001.*from {state} to {to}"):
                check_move("INC-2026-0001", state, to, severity)


def test_only_what_is_over_is_final_and_an_open_incident_can_always_end() -> None:
    assert FINAL_STATES < CLOSED_STATES
    assert set(MOVES) == set(S)
    for state in set(S) - CLOSED_STATES:
        assert S.MERGED in MOVES[state]
        assert path(state, S.CLOSED)[-1] is S.CLOSED


@pytest.mark.parametrize(
    ("start", "goal", "severity", "walk"),
    [
        ("detected", "detected", MAJOR, ""),
        ("detected", "resolved", MAJOR, "verifying resolved"),
        ("detected", "mitigating", MAJOR, "acknowledged mitigating"),
        ("acknowledged", "resolved", MAJOR, "verifying resolved"),
        ("mitigating", "resolved", MAJOR, "mitigated verifying resolved"),
        ("verifying", "mitigating", MAJOR, "mitigating"),
        ("reopened", "resolved", MAJOR, "verifying resolved"),
        ("verifying", "closed", MAJOR, "resolved in_review closed"),
        ("verifying", "closed", MINOR, "resolved closed"),
        ("mitigated", "merged", MAJOR, "merged"),
        ("resolved", "reopened", MAJOR, "reopened"),
    ],
)
def test_the_way_to_a_state_is_the_shortest_legal_one(start: str, goal: str, severity: Severity, walk: str) -> None:
    assert path(S(start), S(goal), severity) == tuple(S(word) for word in walk.split())


@pytest.mark.parametrize(
    ("start", "goal"),
    [
        ("resolved", "mitigating"),  # only by reopening, which nobody does by the way
        ("closed", "reopened"),
        ("merged", "resolved"),
        ("mitigating", "false_positive"),
        ("verifying", "detected"),
    ],
)
def test_where_no_way_leads(start: str, goal: str) -> None:
    with pytest.raises(IllegalMoveError, match=f"from {start} to {goal}"):
        path(S(start), S(goal))
