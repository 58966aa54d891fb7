"""The numbers that the rules judge by, one model per scenario; the values are in ``scenarios/<scenario>.toml``.

Counts are samples in a row; everything else is seconds or a share from 0 to 1.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Samples = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(gt=0, le=1)]
Factor = Annotated[float, Field(gt=1)]


class Thresholds(BaseModel):
    """What every scenario has. A scenario that flips ``flaps`` times within ``flap_window_seconds`` is flapping until
    it has been good for ``flap_calm_seconds``; a probe that is blind for ``blind_seconds`` makes it unknown.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    flaps: Samples
    flap_window_seconds: Seconds
    flap_calm_seconds: Seconds
    dwell_seconds: Seconds  # least time between becoming unhealthy and becoming healthy again
    blind_seconds: Seconds


class KafkaDownThresholds(Thresholds):
    """``kafka_down``: down is a failed canary and one more independent path; a gone process needs no more."""

    canary_failures: Samples
    canary_successes: Samples
    tcp_failures: Samples
    metadata_failures: Samples
    metadata_successes: Samples
    group_failures: Samples
    unacknowledged_seconds: Seconds  # age of the oldest record that btc_producer could not get acknowledged
    slow_seconds: Seconds  # round trip, 95th percentile over slow_window_seconds
    slow_factor: Factor  # times its own median
    slow_window_seconds: Seconds
    disk_free_share: Share


class StreamProcessorThresholds(Thresholds):
    """``stream_processor_failure``."""

    gone_samples: Samples
    restart_seconds: Seconds  # a process restarted by supervision must work again within this time
    silent_samples: Samples  # health endpoint
    hung_batch_seconds: Seconds
    hung_batch_factor: Factor  # times the 95th percentile of its own batches
    no_progress_seconds: Seconds
    spike_seconds: Seconds  # above the median
    spike_deviations: Factor  # times the median absolute deviation
    spike_batches: Samples
    spike_window_batches: Samples
    calm_batches: Samples
    retrying_seconds: Seconds  # that the job may retry MySQL or Kafka on its own
    invalid_share: Share
    error_lines: Samples  # per look at the log, for a warning


class MysqlThresholds(Thresholds):
    """``mysql_not_writing``: structural errors (rights, schema, read-only, full) count at the first hit."""

    gone_samples: Samples
    canary_failures: Samples
    canary_successes: Samples
    ledger_stalled_seconds: Seconds
    phase_seconds: Seconds  # a batch in its MySQL phase
    ledger_advances: Samples  # to be healthy again
    locked_per_minute: Samples  # lock errors of the job
    locked_canaries: Samples  # in a row that found the table locked
    audit_failures: Samples
    disk_free_share: Share


class ProducerThresholds(Thresholds):
    """``producer_silent``."""

    gone_samples: Samples
    restart_seconds: Seconds
    silent_samples: Samples
    stalled_seconds: Seconds  # the exchange's ids advance, ours do not
    oracle_failures: Samples
    exchange_outage_seconds: Seconds
    limited_again_seconds: Seconds  # a second refusal within this time is an incident
    unacknowledged_seconds: Seconds
    invalid_share: Share
    gap_seconds: Seconds
    weight_share: Share


class LagThresholds(Thresholds):
    """``kafka_lag``."""

    waiting_seconds: Seconds  # time lag that is too much
    warning_seconds: Seconds
    exit_seconds: Seconds
    exit_for_seconds: Seconds
    slope_points: Samples  # minima within trigger intervals
    slope_p: Share  # of the trend test
    drain_seconds: Seconds  # a longer estimate of the time to drain is bad
    confirm_seconds: Seconds  # both looks at least so far apart
    surge_factor: Factor
    slow_share: Share
    skew_share: Share
    retention_share: Share
    uncommitted_seconds: Seconds
