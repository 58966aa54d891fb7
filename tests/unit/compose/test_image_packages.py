"""Each image has what its processes import, in the versions that the tests ran with, and no tool of a developer."""

from __future__ import annotations

import ast
import re
import sys
from collections import defaultdict
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from include.settings import PROJECT_ROOT

IMAGES = ("jobs", "airflow")
FOLDERS = {
    "jobs": ("include", "spark_jobs"),
    "airflow": ("include", "spark_jobs", "dags", "plugins", "bin"),
}
STARTED = {
    "jobs": (
        *("include.stack.launch", "include.stack.artifacts", "include.runtime.check"),
        *("include.producer.__main__", "include.market.standin.__main__", "spark_jobs.stream_processor"),
    ),
    "airflow": (
        *("include.stack.launch", "include.stack.setup", "include.stack.artifacts", "include.runtime.check"),
        *("include.stack.airflow_cli", "include.playbook_command.__main__", "include.services.__main__"),
        *("include.repair.__main__", "include.review.__main__", "include.warehouse.__main__"),
        "spark_jobs.repair_windows",
    ),
}
OWN = {"include", "spark_jobs", "dags", "plugins", "playbook_airflow", "tests"}


def named(image: str) -> list[Requirement]:
    """What docker/<image>.in asks for."""
    lines = (PROJECT_ROOT / "docker" / f"{image}.in").read_text().splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith("#")]


def installed(image: str) -> set[str]:
    """All packages of an image, as far as they are installed here."""
    found: set[str] = set()
    todo = [(canonicalize_name(each.name), frozenset(each.extras)) for each in named(image)]
    seen = set()
    while todo:
        name, extras = todo.pop()
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        try:
            needs = requires(name) or []
        except PackageNotFoundError:  # for another system, or left out by requirements.override
            continue
        found.add(name)
        for need in map(Requirement, needs):
            if need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in extras or {""}):
                todo.append((canonicalize_name(need.name), frozenset(need.extras)))
    return found


def place(module: str) -> Path | None:
    """The file of a module of ours."""
    path = PROJECT_ROOT / Path(*module.split("."))
    if module.startswith("playbook_airflow"):
        path = PROJECT_ROOT / "plugins" / Path(*module.split("."))
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


def imported_by(file: Path) -> set[str]:
    """Names as imported; of ``from a import b`` also ``a.b``, which may be a module."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def reached(modules: set[str]) -> tuple[set[Path], dict[str, set[Path]]]:
    """Files of ours that are loaded, and by foreign top-level module the files that import it."""
    files: set[Path] = set()
    foreign: dict[str, set[Path]] = defaultdict(set)
    todo, seen = list(modules), set()
    while todo:
        module = todo.pop()
        if module in seen or (file := place(module)) is None:
            continue
        seen.add(module)
        files.add(file)
        todo.append(module.rpartition(".")[0])
        for name in imported_by(file):
            if (top := name.partition(".")[0]) in OWN:
                todo.append(name)
            elif top not in sys.stdlib_module_names:
                foreign[top].add(file)
    return files, foreign


def started(image: str) -> set[str]:
    modules = set(STARTED[image])
    for folder in set(FOLDERS[image]) & {"dags", "plugins"}:
        for file in (PROJECT_ROOT / folder).rglob("*.py"):
            modules |= {name for name in imported_by(file) if name.partition(".")[0] in OWN}
    return modules


@pytest.mark.parametrize("image", IMAGES)
def test_what_is_started_is_there(image: str) -> None:
    assert [module for module in STARTED[image] if place(module) is None] == []


@pytest.mark.parametrize("image", IMAGES)
def test_every_import_is_provided(image: str) -> None:
    _, foreign = reached(started(image))
    providers = packages_distributions()
    have = installed(image)
    missing = {
        module: sorted(str(file.relative_to(PROJECT_ROOT)) for file in files)
        for module, files in foreign.items()
        if not {canonicalize_name(name) for name in providers.get(module, [])} & have
    }
    assert len(foreign) > 10
    assert missing == {}


@pytest.mark.parametrize("image", IMAGES)
def test_every_file_is_copied(image: str) -> None:
    files, _ = reached(started(image))
    text = (PROJECT_ROOT / "docker" / f"{image}.Dockerfile").read_text().rpartition("\nFROM base\n")[2]
    copied = set(re.findall(r"^COPY (\w+) \1$", text, re.MULTILINE))
    assert copied == set(FOLDERS[image])
    assert {file.relative_to(PROJECT_ROOT).parts[0] for file in files} <= copied


@pytest.mark.parametrize("image", IMAGES)
def test_fetching_the_jars_needs_no_file_that_is_not_there_yet(image: str) -> None:
    """That step copies only its own files, so that it is not done anew after each change of others."""
    text = (PROJECT_ROOT / "docker" / f"{image}.Dockerfile").read_text()
    stage = re.search(r"^FROM packages AS jars\n(.*?)^RUN", text.replace("\\\n", " "), re.MULTILINE | re.DOTALL)
    assert stage
    words = [word for line in stage[1].splitlines() for word in line.split()[1:]]
    files, _ = reached({"include.stack.artifacts"})
    assert {str(file.relative_to(PROJECT_ROOT)) for file in files} <= set(words)
    assert [word for word in words if not (PROJECT_ROOT / word).exists()] == []


@pytest.mark.parametrize("image", IMAGES)
def test_versions_and_hashes_are_those_of_the_pinned_file(image: str) -> None:
    pinned = set(
        re.findall(r"^([a-z0-9-]+)(?:\[[a-z,]+\])?==\S+", (PROJECT_ROOT / "requirements.txt").read_text(), re.M)
    )
    assert {canonicalize_name(each.name) for each in named(image)} - pinned == set()
    assert [str(each) for each in named(image) if each.specifier] == []
    text = (PROJECT_ROOT / "docker" / f"{image}.Dockerfile").read_text()
    assert f"--requirements {image}.in --constraints requirements.txt --overrides requirements.override" in text


@pytest.mark.parametrize("image", IMAGES)
def test_no_tool_of_a_developer_is_in_it(image: str) -> None:
    _, _, section = (PROJECT_ROOT / "requirements.in").read_text().partition("# --- Development\n")
    tools = {
        canonicalize_name(Requirement(line.partition("#")[0]).name) for line in section.splitlines() if line.strip()
    }
    assert {"pytest", "ruff", "mypy"} <= tools
    assert tools & installed(image) == set()


def test_both_images_use_the_installer_of_the_project() -> None:
    wanted = re.search(r"^UV_VERSION := (\S+)$", (PROJECT_ROOT / "Makefile").read_text(), re.MULTILINE)
    assert wanted
    for image in IMAGES:
        assert f"uv=={wanted[1]}" in (PROJECT_ROOT / "docker" / f"{image}.Dockerfile").read_text()
