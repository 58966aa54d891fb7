"""The process log page: behind a login, known names only, nothing unescaped."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from include.services.fake import FakeServiceController
from playbook_airflow import process_log
from playbook_airflow.process_log import SERVICES, URL_PREFIX, create_app

PLUGINS = Path(__file__).resolve().parents[2] / "plugins"


@pytest.fixture
def app(tmp_path: Path) -> FastAPI:
    (tmp_path / "btc_producer.log").write_text(
        "".join(f"line {n}\n" for n in range(300)) + "<script>alert(1)</script>\n"
    )
    (tmp_path / "secret.log").write_text("not for you\n")
    outer, inner = FastAPI(), create_app()
    (tmp_path / "airflow-scheduler.log").write_text("not for you\n")
    programs = [name for name in SERVICES if name != "exchange"] + ["airflow-scheduler"]
    inner.dependency_overrides[process_log._controller] = lambda: FakeServiceController(
        {name: [] for name in programs}, tmp_path
    )
    outer.mount(URL_PREFIX, inner)
    outer.state.inner = inner
    return outer


@pytest.fixture
def anonymous(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app) as client:
        yield client


@pytest.fixture
def reader(app: FastAPI) -> Iterator[TestClient]:
    """Somebody who is logged in."""
    from airflow.api_fastapi.core_api.security import get_user

    app.state.inner.dependency_overrides[get_user] = lambda: SimpleNamespace(get_name=lambda: "reader")
    with TestClient(app) as client:
        yield client


@pytest.mark.parametrize("path", ["/", "/btc_producer", "/btc_producer?lines=5", "/btc_producer/text", "/nothing"])
def test_without_a_login_nothing_is_shown(anonymous: TestClient, path: str) -> None:
    answer = anonymous.get(URL_PREFIX + path)
    assert answer.status_code == 401
    assert "line" not in answer.text


@pytest.mark.parametrize("path", ["/docs", "/redoc", "/openapi.json"])
def test_there_are_no_pages_beside_the_guarded_ones(anonymous: TestClient, reader: TestClient, path: str) -> None:
    assert reader.get(URL_PREFIX + path).status_code == 404


def test_every_route_of_the_app_is_guarded(app: FastAPI) -> None:
    routes = app.state.inner.routes
    assert len(routes) == 3
    for route in routes:
        names = [d.call.__qualname__ for d in route.dependant.dependencies]
        assert any(name.startswith("requires_authenticated") for name in names), route.path


def test_the_end_of_the_log_renews_itself_and_is_escaped(reader: TestClient) -> None:
    answer = reader.get(f"{URL_PREFIX}/btc_producer?lines=3")
    assert answer.status_code == 200
    assert "<pre>line 298\nline 299\n&lt;script&gt;alert(1)&lt;/script&gt;</pre>" in answer.text
    assert '<meta http-equiv="refresh"' in answer.text
    assert "<script" not in answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_as_text(reader: TestClient) -> None:
    answer = reader.get(f"{URL_PREFIX}/btc_producer/text?lines=2")
    assert answer.text == "line 299\n<script>alert(1)</script>\n"
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_index_links_every_process(reader: TestClient) -> None:
    page = reader.get(f"{URL_PREFIX}/").text
    assert all(f'href="{name}"' in page for name in SERVICES)


@pytest.mark.parametrize(
    "name",
    [
        "secret",
        "btc_producer.log",
        "..%2f..%2f..%2fetc%2fpasswd",
        "%2e%2e%2fsecret",
        "..",
        "%00",
        "btc_producer%00",
        "airflow-scheduler",  # known to the host, but not one of the pipeline's
        "exchange",  # a name that this stack does not have
    ],
)
@pytest.mark.parametrize("suffix", ["", "/text"])
def test_other_names_and_path_tricks_are_not_found(reader: TestClient, name: str, suffix: str) -> None:
    answer = reader.get(f"{URL_PREFIX}/{name}{suffix}", follow_redirects=False)
    assert answer.status_code == 404 or (name == ".." and answer.status_code in (307, 404))
    assert "not for you" not in answer.text
    assert "root:" not in answer.text


@pytest.mark.parametrize("lines", ["0", "-1", "5001", "many"])
def test_the_number_of_lines_has_bounds(reader: TestClient, lines: str) -> None:
    assert reader.get(f"{URL_PREFIX}/btc_producer?lines={lines}").status_code == 422


def test_the_entry_module_registers_page_and_link() -> None:
    spec = importlib.util.spec_from_file_location("pipeline_plugin", PLUGINS / "pipeline_plugin.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    plugin = module.PipelinePlugin
    assert plugin.fastapi_apps[0]["url_prefix"] == URL_PREFIX
    assert plugin.external_views[0]["href"] == f"{URL_PREFIX}/"
    link = plugin.operator_extra_links[0]
    url = link.get_link(SimpleNamespace(service="btc_producer"), ti_key=None)
    assert url == f"/plugin/{plugin.external_views[0]['url_route']}{URL_PREFIX}/btc_producer"
