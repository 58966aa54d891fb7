"""The JSON messages with which a client steers its stream connection: SUBSCRIBE and its kin."""

from __future__ import annotations

import json
import re
from typing import Any, Protocol

METHODS = ("SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY")
_TEXT_ID = re.compile(r"[A-Za-z0-9_-]{1,36}\Z")


class Subscriber(Protocol):
    """What a control message can change."""

    streams: dict[str, None]
    combined: bool


class _RefusedError(Exception):
    """A control message is wrong; carries the exchange's code and message."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


def answer(text: str, subscriber: Subscriber, most_streams: int) -> dict[str, Any]:
    """Carry out a control message and return the reply: ``{"result", "id"}`` or ``{"code", "msg", "id"}``.

    Codes: 0 unknown property, 1 value is not a Boolean, 2 invalid request, 3 invalid JSON.
    """
    try:
        message = json.loads(text)
    except ValueError as error:
        line, column = getattr(error, "lineno", 1), getattr(error, "colno", 1)
        return {"code": 3, "msg": f"Invalid JSON: expected value at line {line} column {column}"}
    request_id = message.get("id") if isinstance(message, dict) else None
    try:
        _check_id(request_id)
        return {"result": _carry_out(message, text, subscriber, most_streams), "id": request_id}
    except _RefusedError as refused:
        reply: dict[str, Any] = {"code": refused.code, "msg": refused.message}
        return reply | {"id": request_id} if isinstance(request_id, int | str | None) else reply


def _check_id(request_id: Any) -> None:
    is_int = isinstance(request_id, int) and not isinstance(request_id, bool) and -(2**63) <= request_id < 2**63
    is_text = isinstance(request_id, str) and _TEXT_ID.match(request_id)
    if not (request_id is None or is_int or is_text):
        raise _RefusedError(2, "Invalid request: request ID must be an unsigned integer")


def _carry_out(message: Any, text: str, subscriber: Subscriber, most_streams: int) -> Any:
    method = message.get("method") if isinstance(message, dict) else None
    if method is None:
        raise _RefusedError(2, f"Invalid request: missing field `method` at line 1 column {len(text)}")
    if method not in METHODS:
        names = ", ".join(f"`{name}`" for name in METHODS)
        column = max(1, text.find(str(method)) + len(str(method)) + 1)
        raise _RefusedError(
            2, f"Invalid request: unknown variant `{method}`, expected one of {names} at line 1 column {column}"
        )
    params = message.get("params", [])
    if not isinstance(params, list):
        raise _RefusedError(2, "Invalid request: params must be an array")
    if method == "LIST_SUBSCRIPTIONS":
        if params:
            raise _RefusedError(2, "Invalid request: too many parameters")
        return list(subscriber.streams)
    if method in ("SUBSCRIBE", "UNSUBSCRIBE"):
        return _subscription(method, params, subscriber, most_streams)
    return _property(method, params, subscriber)


def _subscription(method: str, params: list[Any], subscriber: Subscriber, most_streams: int) -> None:
    if not params or not all(isinstance(name, str) for name in params):
        raise _RefusedError(2, "Invalid request: params must be an array of stream names")
    if method == "UNSUBSCRIBE":
        for name in params:
            subscriber.streams.pop(name, None)
        return
    wanted = subscriber.streams | dict.fromkeys(params)
    if len(wanted) > most_streams:
        raise _RefusedError(2, f"Invalid request: a connection can listen to a maximum of {most_streams} streams")
    subscriber.streams.update(wanted)


def _property(method: str, params: list[Any], subscriber: Subscriber) -> bool | None:
    expected = 2 if method == "SET_PROPERTY" else 1
    if not params or not isinstance(params[0], str):
        raise _RefusedError(2, "Invalid request: property name must be a string")
    if len(params) > expected:
        raise _RefusedError(2, "Invalid request: too many parameters")
    if params[0] != "combined":
        raise _RefusedError(0, "Unknown property")
    if method == "GET_PROPERTY":
        return subscriber.combined
    if len(params) < 2 or not isinstance(params[1], bool):
        raise _RefusedError(1, "Invalid value type: expected Boolean")
    subscriber.combined = params[1]
    return None
