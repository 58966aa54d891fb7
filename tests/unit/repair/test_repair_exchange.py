"""Pages lie side by side; holes are asked for twice; limits are waited out, and long bans are left to people."""

from __future__ import annotations

import pytest

from include.market.errors import NoEndpointError, RateLimitedError, RequestRefusedError
from include.repair.errors import RepairError
from include.repair.exchange import Exchange, Page
from tests.support.repairing import MemoryExchange
from tests.support.trade_groups import trade

SYMBOL = "BTCUSDT"


def pages(client: MemoryExchange, first: int, last: int) -> list[Page]:
    return list(Exchange(client, lambda text: None, client.wait).pages(SYMBOL, first, last))


def test_pages_lie_side_by_side() -> None:
    client = MemoryExchange([trade(i) for i in range(1, 3001)])
    found = pages(client, 500, 2700)
    assert [(p.first, p.last, len(p.rows)) for p in found] == [(500, 1499, 1000), (1500, 2499, 1000), (2500, 2700, 201)]
    assert not any(p.lost for p in found)
    assert client.waits == []


@pytest.mark.parametrize(
    ("present", "lost"),
    [
        ([*range(1, 10)], []),
        ([*range(3, 10)], [(1, 2)]),
        ([1, 2, 5, 6, 9], [(3, 4), (7, 8)]),
        ([1, 2], [(3, 9)]),
        ([], [(1, 9)]),
        ([20, 21], [(1, 9)]),
    ],
)
def test_ids_that_the_exchange_does_not_have(present: list[int], lost: list[tuple[int, int]]) -> None:
    client = MemoryExchange([trade(i) for i in present])
    (page,) = pages(client, 1, 9)
    assert (page.first, page.last, page.lost) == (1, 9, lost)
    assert len(client.asked) == (2 if lost else 1), "what seems lost is asked for once more"


def test_limits_are_waited_out_and_other_troubles_tried_again() -> None:
    client = MemoryExchange([trade(i) for i in range(10)])
    client.refusals = [RateLimitedError("weight budget nearly_spent", 12.0), NoEndpointError("x", {"a": "HTTP 503"})]
    said: list[str] = []
    (page,) = Exchange(client, said.append, client.wait).pages(SYMBOL, 0, 9)
    assert len(page.rows) == 10
    assert client.waits == [12.05, 0.25]
    assert said == ["waiting 12 s: weight budget nearly_spent"]


def test_the_producer_keeps_its_share_of_the_limit() -> None:
    client = MemoryExchange([trade(i) for i in range(10)])
    client.budget.observe(3_600)
    assert pages(client, 0, 9)[0].rows
    (waited,) = client.waits
    assert 0 < waited <= 60.05
    client.budget.observe(3_599)
    assert pages(client, 0, 9)[0].rows
    assert client.waits == [waited]


@pytest.mark.parametrize(
    ("refusals", "words"),
    [
        ([RateLimitedError("the exchange answered HTTP 418", 600, 418)], "Run the repair again"),
        ([RequestRefusedError(400, -1121, "Invalid symbol.")], "Invalid symbol"),
        ([NoEndpointError("x", {"a": "HTTP 503"})] * 40, "does not answer"),
    ],
)
def test_what_cannot_be_waited_for_is_said(refusals: list[Exception], words: str) -> None:
    client = MemoryExchange([trade(i) for i in range(10)], refusals=refusals)
    with pytest.raises(RepairError, match=words):
        pages(client, 0, 9)
