"""What btc_producer says about itself: the document of ``/health`` and the numbers of ``/metrics``."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from include.producer import metrics
from include.producer.feed import Trust
from include.producer.metrics import MetricSpec, Samples
from include.producer.sequencer import UNKNOWN
from include.producer.status import Facts, Status, status
from include.producer.tracks import SymbolState, Track

if TYPE_CHECKING:
    from include.producer.app import BtcProducer


class Report:
    """Reads the parts of a running producer; safe from any thread, as it only reads."""

    def __init__(self, producer: BtcProducer) -> None:
        self._producer = producer
        self._started_at = datetime.now(UTC).isoformat(timespec="milliseconds")

    def status(self) -> Status:
        """One word."""
        producer, repairer = self._producer, self._producer.repairer
        position = producer.publisher.position()
        tracks = list(producer.tracks)
        return status(
            Facts(
                stopping=producer.stopping,
                anchored=all(t.state is not SymbolState.STARTING for t in tracks),
                publisher=position.state,
                oldest_unacknowledged_seconds=position.oldest_unacknowledged_seconds,
                flood=producer.flood.state,
                rate_limited=repairer.rate_limited(),
                polling=repairer.polling,
                polls_answered=repairer.polls_answered(),
                verdict=producer.silence.last_verdict,
                stream_proven=producer.feed.trust is Trust.PROVEN,
                behind=any(t.state is SymbolState.BEHIND for t in tracks),
            )
        )

    def health(self) -> dict[str, object]:
        """The document of ``/health``."""
        producer = self._producer
        position, client, flood = producer.publisher.position(), producer.client, producer.flood
        valid, invalid = flood.counts()
        return {
            "service": "btc_producer",
            "status": self.status().value,
            "pid": os.getpid(),
            "started_at": self._started_at,
            "symbols": {track.symbol: track.describe() for track in producer.tracks},
            "endpoints": [e.describe() for e in (*producer.feed.endpoints, *client.endpoints)],
            "stream": {
                "url": producer.feed.current_url,
                "trust": producer.feed.trust.value,
                "connections": producer.feed.connections,
                "rotations": producer.feed.rotations,
                "reconnects_on_request": producer.feed.requests.granted,
                "last_request": producer.feed.requests.describe(),
                "silent_seconds": round(producer.silence.feed_silence_seconds(), 1),
                "silence_verdict": producer.silence.last_verdict,
            },
            "sampling": {
                "one_in": producer.sampling.one_in,
                "block": producer.sampling.block,
                "left_out": {symbol: channel.left_out for symbol, channel in producer.sampled.items()},
            },
            "rest": {
                "weight_used": client.budget.used,
                "weight_limit": client.budget.limit,
                "retry_after_seconds": round(client.gate.seconds_left(), 1),
                "times_limited": client.gate.times_closed,
                "limit_status": client.gate.last_status,
                "polling": producer.repairer.polling,
                "trades_fetched": producer.repairer.trades_fetched,
                "gaps_repaired": producer.repairer.gaps_repaired,
            },
            "kafka": {
                "state": position.state.value,
                "buffered": position.buffered,
                "buffer_limit": producer.settings.producer_buffer_trades,
                "oldest_unacknowledged_seconds": position.oldest_unacknowledged_seconds,
                "replacements": producer.replacements,
            },
            "invalid": {
                "state": flood.state.value,
                "total": flood.invalid_total,
                "reasons": dict(producer.path.reasons),
                "window_valid": valid,
                "window_invalid": invalid,
                "not_stored": flood.not_stored,
                "dead_letters_lost": producer.publisher.dead_letters_lost + producer.path.dead_letters_dropped,
            },
            "last_error": producer.last_error.text,
        }

    def samples(self) -> Samples:
        """The numbers of ``/metrics``."""
        producer = self._producer
        position, now = producer.publisher.position(), self.status()
        per_symbol: dict[MetricSpec, Callable[[Track], float]] = {
            metrics.TRADES_RECEIVED: lambda t: t.received,
            metrics.DUPLICATES: lambda t: t.sequencer.duplicates,
            metrics.RECEIVED_ID: lambda t: t.sequencer.newest_seen,
            metrics.ACKNOWLEDGED_ID: lambda t: UNKNOWN if t.channel.acknowledged is None else t.channel.acknowledged,
            metrics.EVENT_TIME: lambda t: t.newest_event_time_ms / 1000,
            metrics.HELD: lambda t: t.sequencer.held,
            metrics.SKIPPED: lambda t: t.ids_skipped,
            metrics.HOLES: lambda t: t.ids_without_trade,
            metrics.UNUSABLE: lambda t: t.ids_unusable,
        }
        return {
            **{spec: {t.symbol: read(t) for t in producer.tracks} for spec, read in per_symbol.items()},
            metrics.LEFT_OUT: {symbol: channel.left_out for symbol, channel in producer.sampled.items()},
            metrics.SAMPLING: producer.sampling.one_in,
            metrics.UNACKNOWLEDGED: position.buffered,
            metrics.UNACKNOWLEDGED_AGE: position.oldest_unacknowledged_seconds,
            metrics.ROUND_TRIP: position.round_trip_seconds,
            metrics.REPLACED: producer.replacements,
            metrics.INVALID: dict(producer.path.reasons),
            metrics.NOT_STORED: producer.flood.not_stored,
            metrics.CONNECTIONS: producer.feed.connections,
            metrics.ROTATIONS: producer.feed.rotations,
            metrics.REQUESTED: producer.feed.requests.granted,
            metrics.FETCHED: producer.repairer.trades_fetched,
            metrics.GAPS: producer.repairer.gaps_repaired,
            metrics.WEIGHT: producer.client.budget.used,
            metrics.RATE_LIMITED: producer.client.gate.times_closed,
            metrics.STATUS: {word.value: float(word is now) for word in Status},
        }
