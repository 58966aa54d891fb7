"""One word for how the producer is doing."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from include.producer.flood import FloodState
from include.producer.publisher import PublisherState
from include.producer.silence import Verdict

_KAFKA_SLOW_SECONDS = 5.0


class Status(StrEnum):
    """What ``/health`` says, the most important word first if several apply."""

    STOPPING = "stopping"
    STARTING = "starting"  # where to go on is not known yet
    PAUSED_KAFKA_AWAY = "paused_kafka_away"  # the buffer is full, or the topic cannot be read back: nothing is taken
    BUFFERING_KAFKA_AWAY = "buffering_kafka_away"  # no acknowledgement for 5 s, still room in the buffer
    INVALID_FLOOD = "invalid_flood"
    RATE_LIMITED = "rate_limited"  # trades are missing and the exchange's limits forbid to fetch them
    POLLING = "polling"  # no stream to rely on: trades come by REST
    EXCHANGE_UNREACHABLE = "exchange_unreachable"  # neither stream nor REST
    SILENT = "silent"  # the stream brings nothing although there is something: being replaced
    CATCHING_UP = "catching_up"  # missing trades are being fetched
    LIVE = "live"


@dataclass(frozen=True)
class Facts:
    """What the word is made of."""

    stopping: bool
    anchored: bool
    publisher: PublisherState
    oldest_unacknowledged_seconds: float
    flood: FloodState
    rate_limited: bool
    polling: bool
    polls_answered: bool
    verdict: Verdict | None
    stream_proven: bool
    behind: bool


def status(facts: Facts) -> Status:
    """The first word that applies."""
    rules = (
        (facts.stopping, Status.STOPPING),
        (facts.publisher is not PublisherState.OPEN, Status.PAUSED_KAFKA_AWAY),
        (not facts.anchored, Status.STARTING),
        (facts.oldest_unacknowledged_seconds > _KAFKA_SLOW_SECONDS, Status.BUFFERING_KAFKA_AWAY),
        (facts.flood is FloodState.FLOOD, Status.INVALID_FLOOD),
        (facts.rate_limited, Status.RATE_LIMITED),
        (facts.polling and facts.polls_answered, Status.POLLING),
        (facts.polling, Status.EXCHANGE_UNREACHABLE),
        (facts.verdict is Verdict.FEED_AT_FAULT and not facts.stream_proven, Status.SILENT),
        (facts.behind, Status.CATCHING_UP),
    )
    return next((word for applies, word in rules if applies), Status.LIVE)
