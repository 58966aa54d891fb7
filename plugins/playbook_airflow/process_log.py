"""The page that shows the log of a process, for people who are logged in to Airflow."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, FastAPI, HTTPException, Query
from fastapi.responses import HTMLResponse, PlainTextResponse, Response

from include.services.names import SERVICES

if TYPE_CHECKING:
    from include.services.controller import ServiceController

URL_PREFIX = "/pipeline/logs"
_REFRESH_SECONDS = 3
_MOST_LINES = 5000
_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'",
}
_PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>{refresh}
<style>:root{{color-scheme:light dark}}body{{margin:1rem;font:0.9rem system-ui}}
pre{{white-space:pre-wrap;overflow-wrap:anywhere;font:0.8rem ui-monospace,monospace}}</style></head>
<body><h1>{title}</h1>{body}</body></html>"""

Lines = Annotated[int, Query(ge=1, le=_MOST_LINES, description="How many lines from the end.")]


def _controller() -> ServiceController:
    from include.services.factory import controller_from_settings
    from include.settings import get_settings

    return controller_from_settings(get_settings())


Controller = Annotated["ServiceController", Depends(_controller)]


def create_app() -> FastAPI:
    """The app; every route wants a login (an anonymous caller gets 401)."""
    from airflow.api_fastapi.core_api.security import requires_authenticated

    app = FastAPI(
        title="Process logs",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        dependencies=[Depends(requires_authenticated())],
    )
    app.get("/")(index)
    app.get("/{service}")(page)
    app.get("/{service}/text")(text)
    return app


def index() -> Response:
    """The processes that have a log."""
    items = "".join(f'<li><a href="{name}">{name}</a></li>' for name in SERVICES)
    return HTMLResponse(_PAGE.format(title="Process logs", refresh="", body=f"<ul>{items}</ul>"), headers=_HEADERS)


def page(service: str, controller: Controller, lines: Lines = 200) -> Response:
    """The end of one log; the page renews itself."""
    log = "\n".join(_tail(controller, service, lines))
    refresh = f'<meta http-equiv="refresh" content="{_REFRESH_SECONDS}">'
    links = f'<p><a href="./">All logs</a> · <a href="{service}/text?lines={_MOST_LINES}">As text</a></p>'
    body = f"{links}<pre>{html.escape(log) or '(empty)'}</pre>"
    return HTMLResponse(_PAGE.format(title=f"{service}.log", refresh=refresh, body=body), headers=_HEADERS)


def text(service: str, controller: Controller, lines: Lines = 200) -> Response:
    """The end of one log as plain text."""
    return PlainTextResponse("\n".join(_tail(controller, service, lines)) + "\n", headers=_HEADERS)


def _tail(controller: ServiceController, service: str, lines: int) -> tuple[str, ...]:
    from include.services.errors import UnknownServiceError

    if service not in SERVICES:
        raise HTTPException(404, f"There are logs of: {', '.join(SERVICES)}.")
    try:
        return controller.tail(service, lines)
    except UnknownServiceError as error:  # not part of this stack, or it never ran
        raise HTTPException(404, f"{service} has no log here.") from error
