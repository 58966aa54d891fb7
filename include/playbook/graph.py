"""The cause graph: which component's fault shows itself in which other one, and as what (design §5, detection §4).

The data is ``graph.toml``. An edge says which symptoms of the effect the source is responsible for. What an edge passes
on is seen behind the effect only; a fault explains a symptom far away if every edge on the way lets it through.
"""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter
from typing import Self

from pydantic import Field, PrivateAttr, model_validator

from include.playbook.names import Cause, Component, Symptom
from include.playbook.record import BrokenRule, Record, Text


class Edge(Record):
    """``source`` explains ``symptoms`` of ``effect``, and passes ``passes_on`` to what lies behind it.

    ``only_causes`` or ``except_causes`` limits that to some causes of the root, wherever the edge lies on the way.
    """

    source: Component
    effect: Component
    symptoms: frozenset[Symptom] = Field(min_length=1)
    passes_on: frozenset[Symptom] = frozenset()
    only_causes: frozenset[Cause] = frozenset()
    except_causes: frozenset[Cause] = frozenset()
    because: Text

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.source is self.effect:
            raise BrokenRule("effect", self.effect, "another component than source")
        if self.only_causes and self.except_causes:
            raise BrokenRule("except_causes", "both", "either except_causes or only_causes")
        return self

    def applies_to(self, cause: Cause) -> bool:
        """Whether it holds for a root with this cause."""
        return cause in self.only_causes if self.only_causes else cause not in self.except_causes


class SeenElsewhere(Record):
    """A symptom that is reported of one component, and is really seen in another one."""

    reported_of: Component
    symptom: Symptom
    seen_in: Component


class CauseGraph(Record):
    """Directed and without cycles."""

    edges: tuple[Edge, ...] = Field(min_length=1)
    seen_elsewhere: tuple[SeenElsewhere, ...] = ()
    _into: dict[Component, tuple[Edge, ...]] = PrivateAttr(default_factory=dict)
    _explained: dict[tuple[Component, Cause, Component, Symptom], tuple[Edge, ...]] = PrivateAttr(default_factory=dict)

    @model_validator(mode="after")
    def _acyclic(self) -> Self:
        sources: dict[Component, set[Component]] = {}
        for edge in self.edges:
            sources.setdefault(edge.effect, set()).add(edge.source)
        try:
            TopologicalSorter(sources).prepare()
        except CycleError as error:
            circle = " → ".join(str(node) for node in error.args[1])
            raise BrokenRule("edges", circle, "no cycle") from error
        return self

    def model_post_init(self, _context: object) -> None:
        """Index the edges by what they lead to."""
        for component in Component:
            self._into[component] = tuple(edge for edge in self.edges if edge.effect is component)

    def parents(self, component: Component) -> frozenset[Component]:
        """The nearest components whose faults may show in this one, or in what is reported of it."""
        nodes = {component, *(each.seen_in for each in self.seen_elsewhere if each.reported_of is component)}
        return frozenset(edge.source for node in nodes for edge in self._into[node]) - {component}

    def ancestors(self, component: Component) -> frozenset[Component]:
        """Every component whose faults may show in this one, or in what is reported of it."""
        found: set[Component] = set()
        new = set(self.parents(component))
        while new:
            found |= new
            new = {edge.source for node in new for edge in self._into[node]} - found
        return frozenset(found - {component})

    def explains(self, root: Component, cause: Cause, effect: Component, symptom: Symptom) -> bool:
        """Whether ``root``, broken for ``cause``, is responsible for ``symptom`` as reported of ``effect``."""
        return bool(self.way(root, cause, effect, symptom))

    def way(self, root: Component, cause: Cause, effect: Component, symptom: Symptom) -> tuple[Edge, ...]:
        """The shortest way by which ``root`` explains ``symptom``, with its reasons; empty if it does not."""
        key = (root, cause, effect, symptom)
        if key not in self._explained:
            self._explained[key] = () if root is effect else self._search(root, cause, effect, symptom)
        return self._explained[key]

    def _search(self, root: Component, cause: Cause, effect: Component, symptom: Symptom) -> tuple[Edge, ...]:
        """Breadth first, from the symptom back to the root; a shortest way is found first."""
        seen_in = next(
            (e.seen_in for e in self.seen_elsewhere if (e.reported_of, e.symptom) == (effect, symptom)), effect
        )
        ways: list[tuple[Edge, ...]] = [
            (edge,) for edge in self._into[seen_in] if symptom in edge.symptoms and edge.applies_to(cause)
        ]
        while ways:
            if found := next((way for way in ways if way[0].source is root), None):
                return found
            ways = [
                (edge, *way)
                for way in ways
                for edge in self._into[way[0].source]
                if symptom in edge.passes_on and edge.applies_to(cause)
            ]
        return ()
