"""The id that a new broker's storage is formatted with."""

from __future__ import annotations

import uuid

import pytest

from include.stack import kafka


def test_an_id_never_looks_like_an_option(monkeypatch: pytest.MonkeyPatch) -> None:
    """One in sixty-four begins with a dash, and the storage tool refuses it."""
    drawn = [uuid.UUID(bytes=first + bytes(15)) for first in (b"\xf8", b"\xfb", b"\x10")]
    monkeypatch.setattr(kafka.uuid, "uuid4", lambda: drawn.pop(0))
    assert kafka.new_cluster_id() == "EAAAAAAAAAAAAAAAAAAAAA"
    assert not drawn
