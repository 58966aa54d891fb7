"""The whole set of probes, from settings."""

from __future__ import annotations

from pathlib import Path

from include.health.observations import Outcome, Probe
from include.health.probes.factory import all_probes
from include.services.fake import FakeServiceController
from include.settings import load_settings


def test_every_probe_once_and_each_keeps_its_deadline_within_reason(tmp_path: Path) -> None:
    probes = all_probes(load_settings(home=tmp_path), FakeServiceController({}, tmp_path))
    assert sorted(probe.name for probe in probes) == sorted(Probe)
    for probe in probes:
        assert 0 < probe.deadline <= max(2 * probe.every, 5.0), probe.name
        assert probe.overrun in (Outcome.FAILED, Outcome.BLIND)
    for probe in probes:
        probe.close()
