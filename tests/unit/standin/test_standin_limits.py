"""Limits of a client address: request weight on calendar minutes, 429 that becomes 418, connection attempts."""

from __future__ import annotations

import pytest

from include.market.standin import Limits
from include.market.standin.limits import Accounting, Admission
from include.runtime.clock import ManualClock

ME, OTHER = "127.0.0.1", "127.0.0.2"
HALF_PAST = 1_700_000_010_000  # 30 s into a minute of the calendar


def accounting(**limits: int | float) -> tuple[Accounting, ManualClock]:
    clock = ManualClock(HALF_PAST)
    return Accounting(Limits(**limits), clock), clock  # type: ignore[arg-type]


def test_weight_is_counted_by_address_and_resets_at_the_full_minute_not_after_sixty_seconds():
    account, clock = accounting(request_weight_per_minute=100)
    assert account.request(ME, 60).used_weight == 60
    assert account.request(OTHER, 1).used_weight == 1
    refused = account.request(ME, 60)
    assert (refused.admission, refused.used_weight) == (Admission.OVER_WEIGHT, 120)
    assert refused.retry_after_seconds == 30
    clock.advance(29.999)
    assert account.request(ME, 0).admission is Admission.OVER_WEIGHT
    clock.advance(0.001)
    assert account.request(ME, 60).admission is Admission.ADMITTED


def test_going_on_after_429_is_a_ban_and_each_ban_is_twice_as_long_up_to_the_longest():
    account, clock = accounting(request_weight_per_minute=0, requests_before_ban=2, longest_ban_seconds=400)
    lengths = []
    for _ in range(4):
        answers = [account.request(ME, 1) for _ in range(3)]
        assert [a.admission for a in answers] == [Admission.OVER_WEIGHT, Admission.OVER_WEIGHT, Admission.BANNED]
        ban = answers[-1]
        assert account.connection(ME).admission is Admission.BANNED, "streams too"
        lengths.append(ban.retry_after_seconds)
        clock.advance(ban.retry_after_seconds - 0.001)
        assert account.request(ME, 1).admission is Admission.BANNED
        clock.advance(0.001)
    assert lengths == [120, 240, 400, 400]


def test_raw_requests_are_limited_on_five_calendar_minutes():
    account, clock = accounting(raw_requests_per_five_minutes=2)
    answers = [account.request(ME, 1).admission for _ in range(3)]
    assert answers == [Admission.ADMITTED, Admission.ADMITTED, Admission.OVER_REQUESTS]
    clock.advance(300)
    assert account.request(ME, 1).admission is Admission.ADMITTED


def test_connection_attempts_count_over_the_last_five_minutes():
    account, clock = accounting(connection_attempts=3)
    for _ in range(3):
        assert account.connection(ME).admission is Admission.ADMITTED
        clock.advance(100)
    assert account.connection(ME).admission is Admission.ADMITTED, "the first attempt is five minutes old"
    assert account.connection(ME).admission is Admission.OVER_ATTEMPTS
    assert account.connection(OTHER).admission is Admission.ADMITTED


def test_repeated_message_floods_are_a_ban():
    account, _ = accounting(floods_before_ban=2)
    account.flood(ME)
    assert account.connection(ME).admission is Admission.ADMITTED
    account.flood(ME)
    assert account.connection(ME).admission is Admission.BANNED


@pytest.mark.parametrize("lift", ["time", "clear", "zero"])
def test_a_ban_of_everyone_ends_with_time_or_when_it_is_lifted(lift: str):
    account, clock = accounting()
    account.ban_all(5)
    refused = account.request(OTHER, 1)
    assert (refused.admission, refused.retry_after_seconds) == (Admission.BANNED, 5)
    match lift:
        case "time":
            clock.advance(5)
        case "clear":
            account.clear()
        case "zero":
            account.ban_all(0)
    assert account.request(OTHER, 1).admission is Admission.ADMITTED
