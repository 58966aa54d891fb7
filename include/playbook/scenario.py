"""One scenario of the playbook as a typed record (design §1: every cell of its table, and how it is watched).

The data is ``scenarios/<id>.toml``. What the playbook says stands there in its own words.
"""

from __future__ import annotations

import string
from datetime import date
from functools import cache
from itertools import pairwise
from typing import Annotated, Self, TypeVar

from pydantic import Field, SerializeAsAny, create_model, model_validator

from include.playbook.ladder import ByPeople, Rung, RungId
from include.playbook.names import Cause, Component, ScenarioId, Severity
from include.playbook.record import BrokenRule, Record, Text
from include.playbook.thresholds import (
    KafkaDownThresholds,
    LagThresholds,
    MysqlThresholds,
    ProducerThresholds,
    StreamProcessorThresholds,
    Thresholds,
)

THRESHOLDS: dict[ScenarioId, type[Thresholds]] = {
    ScenarioId.KAFKA_DOWN: KafkaDownThresholds,
    ScenarioId.STREAM_PROCESSOR_FAILURE: StreamProcessorThresholds,
    ScenarioId.MYSQL_NOT_WRITING: MysqlThresholds,
    ScenarioId.PRODUCER_SILENT: ProducerThresholds,
    ScenarioId.KAFKA_LAG: LagThresholds,
}

T = TypeVar("T", bound=Thresholds)
ProbeName = Annotated[str, Field(pattern="^[a-z][a-z_]*$")]  # of include.health.observations.Probe, which depends on us
ServiceName = Annotated[str, Field(pattern="^[a-z][a-z_-]*$")]


class Diagnostic(Record):
    """One check of a person. ``check``: the playbook's words; ``command``: how; ``good``: what is to be seen."""

    check: Text
    command: Text
    good: Text


class CauseEntry(Record):
    """One of the causes to tell apart.

    ``playbook_words`` is set if the playbook names this cause; the others were added because they call for something
    else. ``told_apart_by`` names the probe and the code; ``first`` is what a person does first. ``severity`` is that of
    an incident opened for this cause; one that the playbook does not give this scenario needs ``severity_because``.
    """

    cause: Cause
    title: Text
    playbook_words: Text | None = None
    told_apart_by: Text
    first: Text
    severity: Severity
    severity_because: Text | None = None


class EvidenceSet(Record):
    """What is collected before anything is changed: ends of process logs, newest result of probes, offsets."""

    logs: tuple[ServiceName, ...] = Field(min_length=1)
    log_lines: int = Field(ge=1, le=5000)
    probes: tuple[ProbeName, ...] = Field(min_length=1)
    offsets: bool  # end and committed offset of every partition


class Scenario(Record):
    """One scenario. ``severity`` holds while the cause is not known; ``severities`` are those that the playbook gives.

    ``hold_seconds``: how long a symptom waits for a root to show itself; direct evidence opens at once. ``parents``:
    the components whose faults may be the reason (the nearest ones; the graph has the rest). ``decided`` may name
    thresholds as ``{name}``. ``ladder``: the remedies in the order in which they are tried; ``by_people``: the causes
    that no remedy may touch.
    """

    id: ScenarioId
    title: Text
    target: Component
    wrong: Text  # what is the matter, in one sentence
    severity: Severity
    severities: tuple[Severity, ...] = Field(min_length=1)
    severity_rule: Text
    symptoms: tuple[Text, ...] = Field(min_length=1)
    diagnostics: tuple[Diagnostic, ...] = Field(min_length=1)
    ladder: tuple[Rung, ...] = Field(min_length=1)
    by_people: tuple[ByPeople, ...]
    long_term_actions: tuple[Text, ...] = Field(min_length=1)
    causes: tuple[CauseEntry, ...] = Field(min_length=1)
    probes: tuple[ProbeName, ...] = Field(min_length=1)
    decided: Text
    thresholds: SerializeAsAny[Thresholds]
    hold_seconds: float = Field(ge=0, le=120)
    parents: tuple[Component, ...] = Field(min_length=1)
    evidence: EvidenceSet
    owner: Text
    review_by: date

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        _each_once("causes", [entry.cause for entry in self.causes])
        for name in ("severities", "symptoms", "probes", "parents"):
            _each_once(name, list(getattr(self, name)))
        if self.severity not in self.severities:
            raise BrokenRule("severity", int(self.severity), "one of severities")
        for index, entry in enumerate(self.causes):
            if entry.severity not in self.severities and not entry.severity_because:
                rule = "one of severities, or else a reason in severity_because"
                raise BrokenRule(f"causes.{index}.severity", f"{entry.severity:d} for {entry.cause}", rule)
        if unused := set(self.severities) - {self.severity} - {entry.severity for entry in self.causes}:
            raise BrokenRule("severities", sorted(map(int, unused)), "only those that some cause has")
        known = set(type(self.thresholds).model_fields)
        if unknown := _placeholders(self.decided) - known:
            raise BrokenRule("decided", ", ".join(sorted(unknown)), f"names of thresholds: {', '.join(sorted(known))}")
        return self

    @model_validator(mode="after")
    def _remedies_consistent(self) -> Self:
        _each_once("ladder", [rung.id for rung in self.ladder])
        _each_once("by_people", [entry.cause for entry in self.by_people])
        for index, left in enumerate(self.by_people):
            if self.entry(left.cause) is None:
                raise BrokenRule(f"by_people.{index}.cause", left.cause, "one of the scenario's causes")
        if late := _before_the_end(self.ladder):
            rule = f"only at the ladder's end, or with {RungId.SUGGEST_CAPACITY} behind it"
            raise BrokenRule("ladder.after_recovery", f"true for {late}", rule)
        return self

    @property
    def causes_to_tell_apart(self) -> tuple[str, ...]:
        """The causes that the playbook itself names, in its words."""
        return tuple(entry.playbook_words for entry in self.causes if entry.playbook_words)

    @property
    def immediate_actions(self) -> tuple[str, ...]:
        """The immediate actions that the playbook itself names, in its words and order."""
        return tuple(dict.fromkeys(rung.playbook_words for rung in self.ladder if rung.playbook_words))

    @property
    def decided_text(self) -> str:
        """``decided`` with its numbers."""
        return self.decided.format(**{k: value_in_words(k, v) for k, v in self.thresholds.model_dump().items()})

    def thresholds_as(self, model: type[T]) -> T:
        """The numbers as this scenario's own model. Raises :class:`TypeError` if they are another scenario's."""
        if not isinstance(self.thresholds, model):
            raise TypeError(f"{self.id} has {type(self.thresholds).__name__}, not {model.__name__}")
        return self.thresholds

    def entry(self, cause: Cause) -> CauseEntry | None:
        """What is known of a cause; ``None`` if it is none of this scenario's."""
        return next((entry for entry in self.causes if entry.cause is cause), None)

    def rung(self, rung: RungId) -> Rung | None:
        """The rung of the ladder; ``None`` if this scenario's ladder has none of that name."""
        return next((each for each in self.ladder if each.id is rung), None)

    def left_to_people(self, cause: Cause) -> ByPeople | None:
        """Why a machine leaves this cause alone, and what people must be told; ``None`` if it may act."""
        return next((each for each in self.by_people if each.cause is cause), None)


@cache
def scenario_model(scenario: ScenarioId) -> type[Scenario]:
    """The record of this scenario, with its own thresholds: for reading a file."""
    return create_model(f"Scenario_{scenario}", __base__=Scenario, thresholds=(THRESHOLDS[scenario], ...))


def value_in_words(threshold: str, value: float) -> str:
    """A share in percent, anything else as it is; without a unit."""
    return f"{value:.0%}" if threshold.endswith("_share") else f"{value:g}"


def _each_once(name: str, values: list[object]) -> None:
    if repeated := sorted({str(value) for value in values if values.count(value) > 1}):
        raise BrokenRule(name, f"{', '.join(repeated)} more than once", "each once")


def _before_the_end(ladder: tuple[Rung, ...]) -> RungId | None:
    """A rung that puts things back, and has one behind it that does not."""
    ends = [rung for rung in ladder if rung.id is not RungId.SUGGEST_CAPACITY]
    return next((a.id for a, b in pairwise(ends) if a.after_recovery and not b.after_recovery), None)


def _placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}
