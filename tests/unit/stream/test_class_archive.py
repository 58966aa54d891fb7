"""Where the archive of classes is kept."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from include.settings import load_settings
from spark_jobs.lib.class_archive import archive_path


def test_it_is_kept_in_the_home_where_the_cache_is_part_of_an_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load_settings(home=tmp_path / "home", cache=tmp_path)
    assert archive_path(settings).parent == tmp_path / "classes"
    monkeypatch.setattr(os, "access", lambda path, _mode: path != settings.cache)  # to root nothing is read-only
    assert archive_path(settings).parent == tmp_path / "home" / "cache" / "classes"
