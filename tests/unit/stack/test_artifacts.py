"""Jars are the ones locked, or refused."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from include.settings import load_settings
from include.stack import artifacts
from include.stack.artifacts import GROUPS, Artifact, fetch, load_artifacts
from include.stack.errors import ArtifactError
from include.stack.java import Java


def test_the_lock_names_every_group_with_full_checksums() -> None:
    for group in GROUPS:
        found = load_artifacts(group)
        assert found
        assert all(len(artifact.sha256) == 64 for artifact in found)


def resolver(folder: Path, script: str) -> Java:
    """A program in Java's place that does what a resolver did."""
    executable = folder / "java"
    executable.write_text(f"#!/bin/sh\n{script}\n")
    executable.chmod(0o755)
    return Java(folder, executable)


@pytest.fixture
def one_jar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    artifact = Artifact("org", "thing", "1", hashlib.sha256(b"good").hexdigest())
    monkeypatch.setattr(artifacts, "load_artifacts", lambda _group: [artifact])
    settings = load_settings(home=tmp_path, cache=tmp_path / "cache")
    return settings, tmp_path / "cache" / "jars" / "kafka"


def test_a_fetched_jar_is_verified_once_and_not_fetched_again(tmp_path: Path, one_jar) -> None:
    settings, folder = one_jar
    lines: list[str] = []
    java = resolver(tmp_path, f"printf good > {folder}/thing-1.jar; echo '[SUCCESSFUL ] org#thing;1!thing.jar (9ms)'")
    assert fetch(settings, java, "kafka", lines.append) == folder
    assert lines == ["kafka: fetching 1 jars", "kafka: 1/1 thing 1"]
    fetch(settings, resolver(tmp_path, "exit 9"), "kafka", lines.append)


def test_a_wrong_jar_is_refused_and_removed(tmp_path: Path, one_jar) -> None:
    settings, folder = one_jar
    java = resolver(tmp_path, f"printf evil > {folder}/thing-1.jar")
    with pytest.raises(ArtifactError, match=r"thing-1\.jar: expected sha256 .*, received"):
        fetch(settings, java, "kafka", lambda _line: None)
    assert not (folder / "thing-1.jar").exists()


def test_a_failed_fetch_says_what_failed_and_what_to_do(tmp_path: Path, one_jar) -> None:
    settings, _ = one_jar
    java = resolver(tmp_path, "echo '[FAILED     ] org#thing;1!thing.jar: no route'; exit 1")
    with pytest.raises(ArtifactError, match=r"(?s)run the command again.*no route"):
        fetch(settings, java, "kafka", lambda _line: None)


def test_named_groups_are_fetched_by_the_command(
    tmp_path: Path, one_jar, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings, folder = one_jar
    java = resolver(tmp_path, f"printf good > {folder}/thing-1.jar")
    monkeypatch.setattr(artifacts, "load_settings", lambda: settings)
    monkeypatch.setattr(artifacts, "find_java", lambda _cache: java)
    assert artifacts.main(["kafka"]) == 0
    assert (folder / "thing-1.jar").read_text() == "good"
    assert "kafka: fetching 1 jars" in capsys.readouterr().out


def test_a_failed_fetch_ends_the_command_with_the_reason(
    tmp_path: Path, one_jar, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(artifacts, "load_settings", lambda: one_jar[0])
    monkeypatch.setattr(artifacts, "find_java", lambda _cache: resolver(tmp_path, "exit 1"))
    assert artifacts.main(["kafka"]) == 2
    assert "could not be fetched" in capsys.readouterr().out


@pytest.mark.parametrize("groups", [[], ["spark", "sparc"], ["--help"]])
def test_the_command_names_the_groups_there_are(groups: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert artifacts.main(groups) == 2
    assert "kafka, spark, mariadb" in capsys.readouterr().err
