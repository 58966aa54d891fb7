"""The page of the settings is made of them, and leaves none out."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import Field, SecretStr
from pydantic.fields import FieldInfo

from include import settings_page
from include.settings import PROJECT_ROOT, Settings
from include.settings_page import COMMAND, PAGE, allowed, default, page, sections


def row(name: str) -> str:
    (found,) = [line for line in page().splitlines() if line.startswith(f"| `PIPELINE_{name}` |")]
    return found


def test_the_committed_page_is_what_the_settings_say() -> None:
    assert PAGE.read_text() == page(), f"docs/configuration.md differs from include/settings.py. Rewrite: {COMMAND}"


def test_every_setting_is_on_it_once_under_its_heading() -> None:
    placed = [name for fields in sections().values() for name in fields]
    assert placed == list(Settings.model_fields)
    assert "kafka_port" in sections()["Kafka"]
    assert "mysql_host" in sections()["MySQL"]
    assert not any("Derived" in heading for heading in sections())


def test_a_row_says_how_it_is_called_its_default_what_is_allowed_and_what_it_means() -> None:
    assert row("KAFKA_HEAP_MEGABYTES") == (
        "| `PIPELINE_KAFKA_HEAP_MEGABYTES` | `512` | whole number, at least 256 | Heap of the local broker. |"
    )
    assert row("FEED").split(" | ")[1:3] == ["`generated`", "one of generated, replay, live"]


def test_a_pattern_does_not_break_the_table() -> None:
    assert "`^(auto\\|live\\|oldest)$`" in row("PRODUCER_START_FROM")


def test_secrets_are_marked_and_named_by_their_file() -> None:
    marked = [name for name in Settings.model_fields if "| secret: file " in row(name.upper())]
    assert marked == [name for name in Settings.model_fields if name.endswith("_password")]
    assert "secret: file `pipeline_mysql_password`" in row("MYSQL_PASSWORD")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (PROJECT_ROOT / "var", "`var`"),
        (Path("/elsewhere"), "`/elsewhere`"),
        (("a", "b"), "`a,b`"),
        ({"kafka": "a.service", "mysql": "b.service"}, "`kafka=a.service,mysql=b.service`"),
        (20.0, "`20`"),
        (0.05, "`0.05`"),
        (200_000, "`200000`"),
        ("", "empty"),
        ((), "empty"),
        (None, "unset"),
    ],
)
def test_a_default_is_what_one_would_type(value: object, text: str) -> None:
    assert default(value) == text


@pytest.mark.parametrize(
    ("info", "words"),
    [
        (FieldInfo.from_annotation(int), "whole number"),
        (FieldInfo.from_annotated_attribute(float, Field(1.0, gt=0, le=2)), "number, greater than 0, at most 2"),
        (FieldInfo.from_annotation(tuple[int, ...]), "list of whole numbers"),
        (FieldInfo.from_annotation(Path | None), "path"),
        (FieldInfo.from_annotation(SecretStr), "text"),
        (FieldInfo.from_annotated_attribute(str, Field("", pattern="^a|b$")), "text, of the form `^a|b$`"),
    ],
)
def test_what_is_allowed_is_said_in_words(info: FieldInfo, words: str) -> None:
    assert allowed(info) == words


def test_the_command_writes_only_what_differs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(settings_page, "PROJECT_ROOT", tmp_path)
    monkeypatch.setattr(settings_page, "PAGE", tmp_path / "configuration.md")
    for _ in range(2):
        assert settings_page.main() == 0
    assert capsys.readouterr().out == "Written: configuration.md\n"
    assert (tmp_path / "configuration.md").is_file()
