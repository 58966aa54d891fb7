"""Single looks with the health room's probes: every probe can be made, and none ever raises."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, cast

import pytest

from include.health.observations import Code, Observation, Outcome, Probe
from include.remediation import looks
from include.remediation.looks import Looks
from include.services.controller import ServiceController
from include.services.fake import FakeServiceController
from include.settings import Settings
from tests.support.remediating import observation


class Scripted:
    """A probe that answers as told."""

    name, every, overrun = Probe.KAFKA_TCP, 1.0, Outcome.FAILED
    deadline = 0.05

    def __init__(self, answer: Any) -> None:
        self.answer, self.closed = answer, 0

    def look(self) -> Observation:
        if isinstance(self.answer, Exception):
            raise self.answer
        return cast(Observation, self.answer() if callable(self.answer) else self.answer)

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(_env_file=None, home=tmp_path)


def looks_with(settings: Settings, monkeypatch: pytest.MonkeyPatch, answer: Any) -> tuple[Looks, Scripted]:
    probe = Scripted(answer)
    monkeypatch.setitem(looks._MAKERS, Probe.KAFKA_TCP, lambda *_: probe)
    return Looks(settings, cast(ServiceController, FakeServiceController({}, settings.log_dir))), probe


def test_every_probe_can_be_made_and_is_the_one_that_was_asked_for(settings: Settings) -> None:
    made = Looks(settings, cast(ServiceController, FakeServiceController({}, settings.log_dir)))
    assert {name: made._probe(name)[0].name for name in Probe} == {name: name for name in Probe}
    made.close()


def test_a_probe_is_made_once_and_closed_once(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    made, probe = looks_with(settings, monkeypatch, observation(Probe.KAFKA_TCP))
    first, second = made(Probe.KAFKA_TCP), made(Probe.KAFKA_TCP)
    assert first is second
    made.close()
    made.close()
    assert probe.closed == 1


@pytest.mark.parametrize(("name", "anew"), [(Probe.KAFKA_CANARY, True), (Probe.EXCHANGE, False)])
def test_only_clients_of_kafka_are_made_anew_after_a_failure(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, name: Probe, anew: bool
) -> None:
    """The exchange's probe remembers that it was told to wait, and must."""
    probes = [Scripted(observation(name, Code.REFUSED)), Scripted(observation(name))]
    made, _ = looks_with(settings, monkeypatch, None)
    left = list(probes)
    monkeypatch.setitem(looks._MAKERS, name, lambda *_: left.pop(0))
    made(name)
    assert (made(name).outcome is Outcome.OK) is anew
    assert probes[0].closed == int(anew)


def test_what_raises_is_blind(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    made, _ = looks_with(settings, monkeypatch, ValueError("what?"))
    seen = made(Probe.KAFKA_TCP)
    assert (seen.outcome, seen.code, seen.error) == (Outcome.BLIND, Code.OWN_FAULT, "what?")


def test_what_cannot_be_made_is_blind(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    made, _ = looks_with(settings, monkeypatch, None)

    def refuse(*_: object) -> Any:
        raise RuntimeError("no such broker setting")

    monkeypatch.setitem(looks._MAKERS, Probe.KAFKA_TCP, refuse)
    assert made(Probe.KAFKA_TCP).outcome is Outcome.BLIND


def test_a_look_that_hangs_does_not_hold_up_the_next_one(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    gate, inside = threading.Event(), threading.Event()

    def hang() -> Observation:
        inside.set()
        gate.wait(10)
        return observation(Probe.KAFKA_TCP)

    made, _ = looks_with(settings, monkeypatch, hang)
    first = threading.Thread(target=made, args=(Probe.KAFKA_TCP,))
    first.start()
    assert inside.wait(5)
    seen = made(Probe.KAFKA_TCP)
    gate.set()
    first.join(5)
    assert (seen.outcome, seen.code) == (Outcome.FAILED, Code.TIMEOUT)
