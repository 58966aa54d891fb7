"""The playbook as a whole, read from its data files and checked. Nothing of it is used unless all of it is right."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from include.playbook.errors import Flaw, PlaybookDataError, UnknownScenarioError
from include.playbook.graph import CauseGraph
from include.playbook.ladder import Rung, RungId
from include.playbook.names import ScenarioId
from include.playbook.record import BrokenRule
from include.playbook.scenario import Scenario, scenario_model
from include.playbook.severity import SeverityPolicy

DATA = Path(__file__).parent
_KNOWN = frozenset[str](ScenarioId)
_SAME_IN_EVERY_LADDER = (
    *("risk", "timeout_seconds", "verify_seconds", "cooldown_seconds", "hourly_budget"),
    *("only_looks", "after_recovery"),
)
M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Playbook:
    """Every scenario, the cause graph, and the rules of severity and escalation."""

    scenarios: Mapping[ScenarioId, Scenario]
    graph: CauseGraph
    severity: SeverityPolicy

    def scenario(self, name: str) -> Scenario:
        """By name, as a person types it. Raises :class:`UnknownScenarioError`."""
        if name not in _KNOWN:
            raise UnknownScenarioError(name, ScenarioId)
        return self.scenarios[ScenarioId(name)]


def load_playbook(folder: Path = DATA) -> Playbook:
    """Read ``scenarios/*.toml``, ``graph.toml`` and ``severity.toml``.

    Raises :class:`PlaybookDataError`, whose text names the file, each wrong key, what was received and what is allowed.
    """
    scenarios = {scenario: _scenario(folder, scenario) for scenario in ScenarioId}
    _refuse_others(folder / "scenarios")
    _check_same_work(folder, scenarios.values())
    graph = _read(folder / "graph.toml", CauseGraph)
    for scenario in scenarios.values():
        _check_parents(folder, scenario, graph)
    return Playbook(MappingProxyType(scenarios), graph, _read(folder / "severity.toml", SeverityPolicy))


@cache
def get_playbook() -> Playbook:
    """The playbook of this process, read once."""
    return load_playbook()


def _scenario(folder: Path, scenario: ScenarioId) -> Scenario:
    file = folder / "scenarios" / f"{scenario}.toml"
    found = _read(file, scenario_model(scenario))
    if found.id is not scenario:
        raise PlaybookDataError(file, [Flaw("id", repr(str(found.id)), f"{scenario}, as the file is called")])
    return found


def _refuse_others(folder: Path) -> None:
    """A misspelt file name must not be passed over in silence."""
    for file in sorted(folder.glob("*.toml")):
        if file.stem not in _KNOWN:
            raise PlaybookDataError(file, [Flaw("the file's name", file.stem, f"one of {', '.join(ScenarioId)}")])


def _check_same_work(folder: Path, scenarios: Iterable[Scenario]) -> None:
    """A rung of two ladders is the same work: one risk, one deadline, one cooldown and one budget."""
    first: dict[RungId, tuple[ScenarioId, Rung]] = {}
    for scenario in scenarios:
        for index, rung in enumerate(scenario.ladder):
            other, known = first.setdefault(rung.id, (scenario.id, rung))
            if flaws := [
                Flaw(f"ladder.{index}.{name}", str(getattr(rung, name)), f"{getattr(known, name)}, as in {other}.toml")
                for name in _SAME_IN_EVERY_LADDER
                if getattr(rung, name) != getattr(known, name)
            ]:
                raise PlaybookDataError(folder / "scenarios" / f"{scenario.id}.toml", flaws)


def _check_parents(folder: Path, scenario: Scenario, graph: CauseGraph) -> None:
    """The parents that people read are those that the graph has."""
    if set(scenario.parents) != (real := graph.parents(scenario.target)):
        received, allowed = (", ".join(sorted(each)) for each in (scenario.parents, real))
        file = folder / "scenarios" / f"{scenario.id}.toml"
        raise PlaybookDataError(file, [Flaw("parents", received, f"as in graph.toml: {allowed}")])


def _read(file: Path, model: type[M]) -> M:
    try:
        return model.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
    except FileNotFoundError as error:
        raise PlaybookDataError(file, [Flaw("the file", "nothing", "it must be there")]) from error
    except tomllib.TOMLDecodeError as error:
        raise PlaybookDataError(file, [Flaw("the file", str(error), "TOML")]) from error
    except ValidationError as error:
        raise PlaybookDataError(file, [_flaw(item) for item in error.errors()]) from error


def _flaw(item: Any) -> Flaw:
    key = ".".join(str(part) for part in item["loc"]) or "the file"
    if item["type"] == "missing":
        return Flaw(key, "nothing", "it must be there")
    if item["type"] == "extra_forbidden":
        return Flaw(key, repr(item["input"])[:80], "no such key")
    broken = item.get("ctx", {}).get("error")
    if isinstance(broken, BrokenRule):
        return Flaw(".".join([*map(str, item["loc"]), broken.key]), broken.received, broken.allowed)
    return Flaw(key, repr(item["input"])[:80], item["msg"])
