"""One engine and one stack for all of these tests; without them the tests are skipped, and the reason is told."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from include.settings import PROJECT_ROOT, Settings
from tests.compose.engine import Engine, engine
from tests.compose.report import Report
from tests.compose.stack import OWN_IMAGES, Compose, build_own_images
from tests.compose.standins import Images
from tests.support.debian import NotToBeHadError

_BASE_IMAGE = "python:"  # what our own images begin with


_REPORT = Report()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What was measured, at the end."""
    if _REPORT.lines:
        terminalreporter.section("containers")
        for line in _REPORT.lines:
            terminalreporter.line(line)
        _REPORT.save()


@pytest.fixture(scope="session")
def report() -> Report:
    """What was measured; shown and kept at the end."""
    return _REPORT


@pytest.fixture(scope="session")
def docker_engine(report: Report) -> Iterator[Engine]:
    """See :func:`tests.compose.engine.engine`."""
    try:
        with engine(Settings().cache / "engine") as running:
            version = running.docker("version", "--format", "{{.Server.Version}}").stdout.strip()
            report.say(f"engine {version} at {running.environment.get('DOCKER_HOST', 'the usual place')}")
            yield running
    except NotToBeHadError as reason:
        pytest.skip(f"no Docker engine: {reason}")


@pytest.fixture(scope="session")
def compose(docker_engine: Engine, report: Report) -> Iterator[Compose]:
    """The stack with its images built and its secrets made; not up yet, and gone at the end."""
    images = Images(docker_engine, Settings())
    project = f"pipeline-test-{secrets.token_hex(3)}"
    with (
        tempfile.TemporaryDirectory(prefix="compose-") as folder,
        Compose.prepared(docker_engine, project, Path(folder)) as stack,
    ):
        named = {service["image"] for service in stack.services().values()}
        foreign = {name for name in named if name.partition(":")[0] not in OWN_IMAGES}
        try:
            with report.timed("images"):
                for name in sorted(foreign | {own_base()}):
                    report.say(str(images.ensure(name)))
                build_own_images(stack, Path(folder))
        except NotToBeHadError as reason:
            pytest.skip(f"no images: {reason}")
        try:
            yield stack
        finally:
            stack.gone()
            images.give_back()


def own_base() -> str:
    """The official image that our own images are made from."""
    words = {
        line.split()[1]
        for path in (PROJECT_ROOT / "docker").glob("*.Dockerfile")
        for line in path.read_text().splitlines()
        if line.startswith(f"FROM {_BASE_IMAGE}")
    }
    (name,) = words
    return name
