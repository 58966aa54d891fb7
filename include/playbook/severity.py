"""How bad it is: the severity of an incident as it opens, and how measured harm raises it.

Design §1, detection §4.8. The numbers and the escalation path are data: ``severity.toml``.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from itertools import pairwise
from typing import TYPE_CHECKING, Self

from pydantic import Field, model_validator

from include.playbook.names import Cause, ScenarioId, Severity
from include.playbook.record import BrokenRule, Record, Text

if TYPE_CHECKING:
    from include.playbook.playbook import Playbook


class HarmReason(StrEnum):
    """Why a severity was raised, or was not."""

    NO_MORE_HARM = "no_more_harm"  # the harm measured so far does not call for a worse severity
    STALE_ROWS = "stale_rows"
    STALE_ROWS_OF_SOME_SYMBOLS = "stale_rows_of_some_symbols"
    POSSIBLE_LOSS = "possible_loss"


class StaleStep(Record):
    """Newest rows older than ``above_seconds`` are at least ``severity``."""

    above_seconds: float = Field(gt=0)
    severity: Severity


class LossStep(Record):
    """A loss risk (0 … 1) of ``from_risk`` or more is at least ``severity``."""

    from_risk: float = Field(gt=0, le=1)
    severity: Severity


class HarmRules(Record):
    """How harm is judged. Stale rows of fewer than ``all_symbols_share`` of the symbols count one step milder, but
    never milder than ``some_symbols_mildest``.
    """

    stale: tuple[StaleStep, ...] = Field(min_length=1)
    loss: tuple[LossStep, ...] = Field(min_length=1)
    all_symbols_share: float = Field(gt=0, le=1)
    some_symbols_mildest: Severity

    @model_validator(mode="after")
    def _worse_with_more(self) -> Self:
        for name, steps in (
            ("stale", [(s.above_seconds, s.severity) for s in self.stale]),
            ("loss", [(s.from_risk, s.severity) for s in self.loss]),
        ):
            if any(b[0] <= a[0] or b[1] >= a[1] for a, b in pairwise(steps)):
                rule = "each step with a greater number and a worse severity than the one before"
                raise BrokenRule(name, [(number, int(severity)) for number, severity in steps], rule)
        return self


class Told(Record):
    """One step of the escalation path."""

    role: Text
    after_seconds: int = Field(ge=0)


class Level(Record):
    """What a severity means, and who is told: roles with the seconds without an acknowledgement after which."""

    severity: Severity
    meaning: Text
    told: tuple[Told, ...]


class SeverityPolicy(Record):
    """The file ``severity.toml``. ``path``: the playbook's escalation path, nearest first."""

    path: tuple[Text, ...] = Field(min_length=1)
    levels: tuple[Level, ...]
    harm: HarmRules

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if [level.severity for level in self.levels] != list(Severity):
            raise BrokenRule("levels", [int(level.severity) for level in self.levels], "1, 2, 3 and 4, in this order")
        for level in self.levels:
            roles, times = [t.role for t in level.told], [t.after_seconds for t in level.told]
            if roles != list(self.path[: len(roles)]):
                rule = f"the beginning of path ({' → '.join(self.path)})"
                raise BrokenRule(f"levels.{level.severity - 1}.told", ", ".join(roles), rule)
            if times != sorted(set(times)):
                raise BrokenRule(
                    f"levels.{level.severity - 1}.told", times, "each step with more seconds than the last"
                )
        return self

    def level(self, severity: Severity) -> Level:
        """What the severity means and who is told."""
        return self.levels[severity - 1]


def severity_at_opening(playbook: Playbook, scenario: ScenarioId, cause: Cause) -> Severity:
    """The playbook's severity of a scenario with this cause; the scenario's own while the cause is not known."""
    found = playbook.scenarios[scenario]
    entry = found.entry(cause)
    return found.severity if entry is None else entry.severity


def raised_by_harm(  # noqa: PLR0917 - what was measured, in one row
    rules: HarmRules,
    current: Severity,
    stale_seconds: float | None,
    loss_risk: float,
    symbols_hit: Collection[str],
    all_symbols: Collection[str],
) -> tuple[Severity, HarmReason]:
    """The severity that the measured harm calls for, never milder than ``current``, and why.

    ``stale_seconds`` is the age of the newest rows (``None``: not known, which raises nothing); no ``symbols_hit``
    means that the age is that of all of them. Loss comes before staleness if both call for the same severity.
    """
    candidates = [(current, HarmReason.NO_MORE_HARM)]
    candidates += [(s.severity, HarmReason.POSSIBLE_LOSS) for s in rules.loss if loss_risk >= s.from_risk]
    if stale_seconds is not None:
        stale = [s.severity for s in rules.stale if stale_seconds > s.above_seconds]
        candidates += [_by_symbols(rules, severity, symbols_hit, all_symbols) for severity in stale]
    return min(candidates, key=lambda candidate: candidate[0])  # the first one of equals


def _by_symbols(
    rules: HarmRules, severity: Severity, hit: Collection[str], of: Collection[str]
) -> tuple[Severity, HarmReason]:
    if not hit or not of or len(set(hit)) / len(set(of)) >= rules.all_symbols_share:
        return severity, HarmReason.STALE_ROWS
    milder = max(severity, min(severity + 1, rules.some_symbols_mildest))
    return Severity(milder), HarmReason.STALE_ROWS_OF_SOME_SYMBOLS
