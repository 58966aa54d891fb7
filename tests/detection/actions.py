"""What a script can do to the plant: each makes an action to be put at a moment of a story."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from include.health.observations import Code, Observation, Probe
from include.services.names import PROCESSOR
from tests.detection.plant import Action, Plant
from tests.detection.plant_market import Stream
from tests.detection.plant_mysql import Refusal
from tests.detection.plant_processes import Process
from tests.detection.plant_seeing import blind

__all__ = [
    "Action",
    "all_of",
    "blinded",
    "continued",
    "dying",
    "exchange",
    "healed",
    "hung",
    "killed",
    "left_alone",
    "logged",
    "mysql",
    "on_request",
    "seeing",
    "sets",
    "started",
    "unsupervised",
]


def _process(plant: Plant, name: str) -> Process:
    return next(process for process in plant.processes if process.name == name)


def killed(name: str) -> Action:
    """SIGKILL."""
    return lambda plant: _process(plant, name).end(plant.now, -9)


def hung(name: str) -> Action:
    """SIGSTOP: the process lives and does nothing."""

    def act(plant: Plant) -> None:
        _process(plant, name).hung = True

    return act


def continued(name: str) -> Action:
    """SIGCONT."""

    def act(plant: Plant) -> None:
        _process(plant, name).hung = False

    return act


def started(name: str) -> Action:
    """Started by a person."""
    return lambda plant: _process(plant, name).start(plant.now)


def on_request(name: str) -> Action:
    """Stopped because somebody asked for it."""
    return lambda plant: _process(plant, name).stop(plant.now)


def unsupervised(name: str) -> Action:
    """The supervision Dag is paused."""

    def act(plant: Plant) -> None:
        _process(plant, name).supervision_paused = True

    return act


def logged(service: str, line: str) -> Action:
    """A line of level error in a process's log."""

    def act(plant: Plant) -> None:
        plant.log_errors[service] = {"other": line}

    return act


def dying(name: str, after: float | None) -> Action:
    """The process ends so many seconds after each start; ``None``: no more."""

    def act(plant: Plant) -> None:
        _process(plant, name).dies_after = after

    return act


def left_alone(name: str) -> Action:
    """Supervision is paused and the process is killed."""
    return all_of(unsupervised(name), killed(name))


def sets(part: str, **values: Any) -> Action:
    """Turn knobs of a part of the plant."""

    def act(plant: Plant) -> None:
        target = getattr(plant, part) if part else plant
        for name, value in values.items():
            if not hasattr(target, name):
                raise AttributeError(f"{part} has no {name}")
            setattr(target, name, value)

    return act


def mysql(fault: Refusal | None, **more: Any) -> Action:
    """The database refuses; ``None``: it works again."""
    return sets("database", fault=fault, **more)


def healed() -> Action:
    """The database works, and a job that gave up is started anew, as a person would do it."""

    def act(plant: Plant) -> None:
        database = plant.database
        database.fault, database.schema_problems, database.lock_since, database.disk_free_share = None, (), None, 0.6
        _process(plant, PROCESSOR).start(plant.now)

    return act


def exchange(stream: Stream = Stream.OK, rest: Code | None = None) -> Action:
    """How the exchange serves; without arguments it is well again."""

    def act(plant: Plant) -> None:
        plant.market.stream, plant.market.rest = stream, rest
        if rest is None:
            plant.market.retry_after_until = 0.0

    return act


def blinded(probe: Probe, code: Code, text: str, took: float = 0.01) -> Action:
    """A probe fails by itself from now on."""
    observation: Observation = blind(probe, code, text, took)

    def act(plant: Plant) -> None:
        plant.probe_faults[probe] = lambda _now: observation

    return act


def seeing(*probes: Probe) -> Action:
    """The probes work again."""

    def act(plant: Plant) -> None:
        for probe in probes:
            plant.probe_faults.pop(probe, None)

    return act


def all_of(*actions: Callable[[Plant], None]) -> Action:
    """Several at once."""

    def act(plant: Plant) -> None:
        for action in actions:
            action(plant)

    return act
