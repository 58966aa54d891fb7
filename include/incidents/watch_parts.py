"""What a watch is made of, and how it is put together from the settings."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from include.health.observations import Seen
from include.health.verdicts import Assessment
from include.incidents.base_store import REOPEN
from include.incidents.decisions import Decision
from include.incidents.situation import OpenView
from include.incidents.store import IncidentStore
from include.playbook.names import ScenarioId
from include.settings import Settings


class Sees(Protocol):
    """What the watch needs of :class:`include.health.prober.Prober`."""

    def seen(self) -> AsyncIterator[Seen]:
        """What is seen, as it comes; at least one each second."""
        ...

    async def aclose(self) -> None:
        """Stop looking."""
        ...


class Judges(Protocol):
    """What the watch needs of :class:`include.health.detector.Detector`."""

    def feed(self, seen: Seen) -> Assessment:
        """What is concluded."""
        ...


class Decides(Protocol):
    """What the watch needs of :class:`include.incidents.correlation.Correlator`."""

    def decide(
        self, assessment: Assessment, views: Collection[OpenView], followed: Collection[ScenarioId]
    ) -> tuple[Decision, ...]:
        """What is to be done."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchParts:
    """The pipeline from looking to writing. The watch closes prober and store. ``reopen``: as the store has it."""

    prober: Sees
    detector: Judges
    correlator: Decides
    store: IncidentStore
    reopen: timedelta = REOPEN


def parts_from(settings: Settings) -> Callable[[], WatchParts]:
    """Builds the whole pipeline anew at each call; blocks (imports, files)."""

    def build() -> WatchParts:
        from include.health.config import DetectorConfig
        from include.health.detector import Detector
        from include.health.prober import Prober
        from include.health.probes.factory import all_probes
        from include.incidents.correlation import Correlator
        from include.incidents.factory import store_from_settings
        from include.playbook.playbook import get_playbook
        from include.services.factory import controller_from_settings

        playbook = get_playbook()
        return WatchParts(
            prober=Prober(all_probes(settings, controller_from_settings(settings))),
            detector=Detector(playbook, DetectorConfig.from_settings(settings)),
            correlator=Correlator(playbook, settings.symbols),
            store=store_from_settings(settings),
            reopen=timedelta(minutes=settings.incident_reopen_minutes),
        )

    return build
