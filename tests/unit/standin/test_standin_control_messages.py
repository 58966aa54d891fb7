"""SUBSCRIBE and its kin: what each message changes, and the exchange's error codes 0 to 3."""

from __future__ import annotations

import json
from typing import Any

import pytest

from include.market.standin.control_messages import answer


class FakeConnection:
    def __init__(self) -> None:
        self.streams: dict[str, None] = {"btcusdt@trade": None}
        self.combined = False


def ask(message: Any, connection: FakeConnection | None = None, most_streams: int = 4) -> dict[str, Any]:
    text = message if isinstance(message, str) else json.dumps(message)
    return answer(text, connection or FakeConnection(), most_streams)


@pytest.mark.parametrize(
    ("message", "reply"),
    [
        ({"method": "LIST_SUBSCRIPTIONS", "id": 3}, {"result": ["btcusdt@trade"], "id": 3}),
        ({"method": "SUBSCRIBE", "params": ["ethusdt@trade"], "id": 1}, {"result": None, "id": 1}),
        ({"method": "UNSUBSCRIBE", "params": ["nothing@trade"], "id": "a1"}, {"result": None, "id": "a1"}),
        ({"method": "SUBSCRIBE", "params": ["x@trade"]}, {"result": None, "id": None}),
        ({"method": "SUBSCRIBE", "params": ["the", "most", "allowed"], "id": 1}, {"result": None, "id": 1}),
        ({"method": "GET_PROPERTY", "params": ["combined"], "id": 2}, {"result": False, "id": 2}),
        ({"method": "SET_PROPERTY", "params": ["combined", True], "id": -5}, {"result": None, "id": -5}),
    ],
)
def test_a_good_message_is_answered_with_its_result_and_id(message: dict[str, Any], reply: dict[str, Any]):
    assert ask(message) == reply


@pytest.mark.parametrize(
    ("message", "code", "words"),
    [
        ({"method": "GET_PROPERTY", "params": ["colour"], "id": 1}, 0, "Unknown property"),
        ({"method": "SET_PROPERTY", "params": ["combined", 1], "id": 1}, 1, "Invalid value type: expected Boolean"),
        ({"method": "SET_PROPERTY", "params": ["combined"], "id": 1}, 1, "Invalid value type: expected Boolean"),
        ({"method": "GET_PROPERTY", "params": [1], "id": 1}, 2, "property name must be a string"),
        ({"method": "GET_PROPERTY", "id": 1}, 2, "property name must be a string"),
        ({"method": "GET_PROPERTY", "params": ["combined", True], "id": 1}, 2, "too many parameters"),
        ({"method": "LIST_SUBSCRIPTIONS", "params": ["x"], "id": 1}, 2, "too many parameters"),
        ({"method": "SUBSCRIBE", "params": [1], "id": 1}, 2, "stream names"),
        ({"method": "SUBSCRIBE", "params": [], "id": 1}, 2, "stream names"),
        ({"method": "SUBSCRIBE", "params": "x", "id": 1}, 2, "must be an array"),
        ({"method": "SUBSCRIBE", "params": ["a", "b", "c", "d"], "id": 1}, 2, "maximum of 4 streams"),
        ({"method": "subscribe", "params": ["a"], "id": 1}, 2, "unknown variant `subscribe`, expected one of"),
        ({"params": ["a"], "id": 1}, 2, "missing field `method`"),
        ([1], 2, "missing field `method`"),
        ({"method": "LIST_SUBSCRIPTIONS", "id": 1.5}, 2, "request ID"),
        ({"method": "LIST_SUBSCRIPTIONS", "id": True}, 2, "request ID"),
        ({"method": "LIST_SUBSCRIPTIONS", "id": 2**63}, 2, "request ID"),
        ({"method": "LIST_SUBSCRIPTIONS", "id": "x" * 37}, 2, "request ID"),
        ({"method": "LIST_SUBSCRIPTIONS", "id": "a b"}, 2, "request ID"),
        ("{", 3, "Invalid JSON: expected value at line 1 column 2"),
        ("", 3, "Invalid JSON"),
    ],
)  # fmt: skip
def test_a_bad_message_is_answered_with_the_exchanges_code_and_changes_nothing(message: Any, code: int, words: str):
    connection = FakeConnection()
    reply = ask(message, connection)
    assert reply["code"] == code
    assert words in reply["msg"]
    assert "result" not in reply
    assert (connection.streams, connection.combined) == ({"btcusdt@trade": None}, False)


def test_messages_change_the_subscription():
    connection = FakeConnection()
    ask({"method": "SUBSCRIBE", "params": ["a@trade", "b@trade", "a@trade"], "id": 1}, connection)
    ask({"method": "UNSUBSCRIBE", "params": ["btcusdt@trade", "b@trade"], "id": 2}, connection)
    ask({"method": "SET_PROPERTY", "params": ["combined", True], "id": 3}, connection)
    assert list(connection.streams) == ["a@trade"]
    assert connection.combined is True
