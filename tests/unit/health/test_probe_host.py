"""Room on the disks, memory and open files."""

from __future__ import annotations

import os
import resource
import shutil
from pathlib import Path

from include.health.observations import HostFacts, Outcome
from include.health.probes.host import HostProbe, watched_folders
from include.settings import Settings


def look(folders: dict[str, Path], *pids: int) -> HostFacts:
    observation = HostProbe(folders, lambda: pids).look()
    assert observation.outcome is Outcome.OK
    assert isinstance(observation.facts, HostFacts)
    return observation.facts


def test_the_folders_that_are_there_are_measured(tmp_path: Path) -> None:
    facts = look({"kafka": tmp_path, "mysql": tmp_path / "elsewhere"})
    assert set(facts.disk_free_bytes) == set(facts.disk_free_share) == {"kafka"}
    disk = shutil.disk_usage(tmp_path)
    assert abs(facts.disk_free_share["kafka"] - disk.free / disk.total) < 0.05
    assert facts.disk_free_bytes["kafka"] <= disk.total
    assert 0 < facts.memory_free_share < 1


def test_open_files_are_those_of_the_process_that_is_nearest_to_its_limit() -> None:
    before = look({}, os.getpid()).file_descriptors_share
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len([*Path("/proc/self/fd").iterdir()]) * 2, hard))
    try:
        assert 0.3 < look({}, os.getpid()).file_descriptors_share < 0.7
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert before < 0.3
    gone = 2**22 + 1
    assert look({}, gone).file_descriptors_share <= before


def test_the_places_are_those_of_the_stack(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    assert watched_folders(settings) == {
        "kafka": tmp_path / "data" / "kafka",
        "mysql": tmp_path / "data" / "mysql",
        "checkpoint": tmp_path / "data" / "checkpoint" / "stream_processor",
        "incidents": tmp_path / "data" / "incidents",
    }
