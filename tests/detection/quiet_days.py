"""Thirty days on which nothing is wrong, with everything that happens on such days, replayed in one go."""

from __future__ import annotations

import multiprocessing
import random
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from include.health.observations import Code, Probe
from include.services.names import PROCESSOR, PRODUCER
from tests.detection.actions import Action, exchange, on_request, sets, started
from tests.detection.plant import Plant
from tests.detection.plant_market import Stream
from tests.detection.plant_seeing import failed
from tests.detection.replay import Opening, Watcher, plant_of, quiet_logs
from tests.detection.story import Story

_HOUR, _DAY = 3_600.0, 86_400.0
_CHUNK = 600  # steps that are made before they are judged, so that both can be timed


def quiet_days(days: int, seed: int = 30) -> Story:
    """Trades by the hour of the day, thin minutes at night, and an everyday life of small disturbances."""
    rng = random.Random(seed)
    script: list[tuple[float, Action]] = []

    def often(every: float, *steps: tuple[float, Action]) -> None:
        at = rng.uniform(0.5, 1.0) * every
        while at < days * _DAY - 1_200:
            script.extend((at + after, action) for after, action in steps)
            at += every * rng.uniform(0.8, 1.2)

    often(_DAY, (0, sets("database", slow=4.0)), (300, sets("database", slow=1.0)))  # a backup
    often(_DAY, (0, sets("market", surge=[4.0, 4.0])), (600, sets("market", surge=[1.0, 1.0])))
    often(23 * _HOUR, (0, exchange(Stream.CLOSED)), (1.5, exchange()))  # the exchange closes the connection
    often(6 * _HOUR, (0, sets("processor", pause_seconds=4.0)))  # a long garbage collection
    often(8 * _HOUR, (0, exchange(rest=Code.TIMEOUT)), (4, exchange()))  # the exchange's REST side is slow
    often(2 * _HOUR, (0, _one_lost_canary))
    often(_HOUR, (0, sets("broker", slow=20.0)), (5, sets("broker", slow=1.0)))  # the broker rolls its log
    often(7 * _DAY, (0, on_request(PROCESSOR)), (6, started(PROCESSOR)))  # a new version
    often(7 * _DAY, (0, on_request(PRODUCER)), (3, started(PRODUCER)))
    return Story(
        "quiet_days",
        f"{days} days on which nothing is wrong.",
        tuple(script),
        int(days * _DAY),
        hour=0.0,
        seed=seed,
        quiet_minutes=True,
    )


def _one_lost_canary(plant: Plant) -> None:
    def look(now: float) -> object:
        del plant.probe_faults[Probe.KAFKA_CANARY]
        return failed(Probe.KAFKA_CANARY, Code.TIMEOUT, "Local: Timed out", 1.8)

    plant.probe_faults[Probe.KAFKA_CANARY] = look  # type: ignore[assignment]


@dataclass(frozen=True)
class Replayed:
    """How a replay went. Seconds of a core, whatever else runs beside it: for simulating the plant, and for judging."""

    days: int
    steps: int
    plant_seconds: float
    judge_seconds: float
    openings: tuple[Opening, ...]
    processes: int = 1

    @property
    def pages(self) -> tuple[Opening, ...]:
        """Those that somebody would have been woken for."""
        return tuple(opening for opening in self.openings if opening.paged_at is not None)

    @property
    def step_microseconds(self) -> float:
        """For detector, correlation and store."""
        return self.judge_seconds * self.processes / self.steps * 1e6


def replay_in_halves(days: int) -> Replayed:
    """Replay quiet days in two processes side by side, half of them each; the seconds are those of the slower half."""
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        halves = list(pool.map(replay, (days - days // 2, days // 2), (30, 31)))
    return Replayed(
        days,
        sum(half.steps for half in halves),
        max(half.plant_seconds for half in halves),
        max(half.judge_seconds for half in halves),
        tuple(opening for half in halves for opening in half.openings),
        processes=2,
    )


def replay(days: int, seed: int = 30) -> Replayed:
    """Replay quiet days, one observation round a second."""
    story = quiet_days(days, seed)
    plant, watcher = plant_of(story), Watcher()
    made = judged = 0.0
    with quiet_logs():
        for _ in range(story.seconds // _CHUNK):
            began = time.process_time()
            chunk = list(plant.run(_CHUNK))
            ready = time.process_time()
            for seen in chunk:
                watcher.feed(seen)
            made += ready - began
            judged += time.process_time() - ready
    return Replayed(days, story.seconds, made, judged, tuple(watcher.openings))
