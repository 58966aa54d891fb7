"""Which Java is used, and the shim for the bundled one."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from include.stack.errors import JavaNotFoundError
from include.stack.java import bundled_java, find_java


def fake_java(folder: Path, version: str) -> Path:
    executable = folder / "bin" / "java"
    executable.parent.mkdir(parents=True)
    executable.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n")
    executable.chmod(0o755)
    return executable


@pytest.mark.parametrize(
    ("version", "used"), [("17.0.15", True), ("21", True), ("11.0.2", False), ("1.8.0_402", False)]
)
def test_the_machines_java_is_used_if_it_is_new_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, used: bool
) -> None:
    fake_java(tmp_path / "java", version)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "java"))
    monkeypatch.setenv("PATH", "/usr/bin:/bin" if not used else "")
    monkeypatch.setattr("shutil.which", lambda _name: None)
    java = find_java(tmp_path / "cache")
    assert java.bundled is not used
    assert (java.home == tmp_path / "java") is used


def test_the_bundled_java_runs_without_the_module_it_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    java = bundled_java(tmp_path)
    command = [str(java.executable), "--add-modules=jdk.incubator.vector", "-version"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert 'version "21' in done.stderr


def test_a_read_only_cache_that_was_filled_before_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    filled = bundled_java(tmp_path)

    def refuse(*_arguments: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("include.stack.java.write_whole", refuse)
    assert bundled_java(tmp_path) == filled
    with pytest.raises(JavaNotFoundError, match=r"Permission denied.*python -m include\.stack\.artifacts spark"):
        bundled_java(tmp_path / "another")
