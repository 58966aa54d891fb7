"""Stories of more than one fault, and of one fault that looks like several."""

from __future__ import annotations

from include.health.observations import Code, Probe
from include.playbook.names import Cause, Component
from include.services.names import KAFKA, MYSQL
from tests.detection import plant_mysql
from tests.detection.actions import (
    all_of,
    blinded,
    continued,
    exchange,
    healed,
    hung,
    killed,
    mysql,
    seeing,
    sets,
    started,
)
from tests.detection.plant_market import Stream
from tests.detection.story import CALM_BEFORE, K, M, P, S, Story, fault

_KAFKA_PROBES = (Probe.KAFKA_TCP, Probe.KAFKA_CANARY, Probe.KAFKA_METADATA, Probe.KAFKA_GROUP)

COMPOUND_STORIES = (
    Story(
        "double_kafka_and_credentials",
        "The broker is killed and the database's password is changed in the same second.",
        (
            (CALM_BEFORE, all_of(killed(KAFKA), mysql(plant_mysql.CREDENTIALS))),
            (CALM_BEFORE + 600, all_of(started(KAFKA), healed())),
        ),
        1_500,
        (
            fault(K, Cause.PROCESS_GONE, within=5, target=Component.KAFKA),
            fault(M, Cause.CREDENTIALS, within=10, target=Component.MYSQL),
        ),
    ),
    Story(
        "double_mysql_and_feed",
        "The database is killed; half a minute later the stream falls silent.",
        (
            (CALM_BEFORE, killed(MYSQL)),
            (CALM_BEFORE + 30, exchange(Stream.SILENT)),
            (CALM_BEFORE + 600, all_of(started(MYSQL), exchange())),
        ),
        1_600,
        (
            fault(M, Cause.PROCESS_GONE, within=5, target=Component.MYSQL),
            fault(P, Cause.FEED_SILENT, within=10, at=CALM_BEFORE + 30, lasts=570),
        ),
    ),
    Story(
        "double_batch_and_outage",
        "A batch hangs, and a minute later the exchange fails.",
        (
            (CALM_BEFORE, sets("processor", hang=True)),
            (CALM_BEFORE + 60, exchange(Stream.CLOSED, Code.SERVER_ERROR)),
            (CALM_BEFORE + 400, all_of(sets("processor", hang=False), exchange())),
        ),
        1_400,
        (
            fault(S, Cause.BATCH_HUNG, within=30, lasts=400, target=Component.PROCESSOR),
            fault(P, Cause.EXCHANGE_OUTAGE, within=30, at=CALM_BEFORE + 60, lasts=340),
        ),
    ),
    Story(
        "cascade_of_mysql",
        "The database is away for half an hour: the job retries, ends, is given up; lag grows; rows grow old.",
        ((CALM_BEFORE, killed(MYSQL)), (CALM_BEFORE + 1_800, started(MYSQL))),
        3_000,
        (fault(M, Cause.PROCESS_GONE, within=5, lasts=1_800, target=Component.MYSQL),),
    ),
    Story(
        "cascade_of_kafka",
        "The broker is away for half an hour: the producer's buffer grows, the job restarts its query and ends.",
        ((CALM_BEFORE, killed(KAFKA)), (CALM_BEFORE + 1_800, started(KAFKA))),
        3_000,
        (fault(K, Cause.PROCESS_GONE, within=5, lasts=1_800, target=Component.KAFKA),),
    ),
    Story(
        "late_root",
        "The broker hangs while the probes of Kafka see nothing for ten seconds: the symptoms are seen first.",
        (
            (CALM_BEFORE, all_of(*(blinded(p, Code.OWN_FAULT, "RuntimeError: no thread") for p in _KAFKA_PROBES))),
            (CALM_BEFORE, hung(KAFKA)),
            (CALM_BEFORE + 10, seeing(*_KAFKA_PROBES)),
            (CALM_BEFORE + 600, continued(KAFKA)),
        ),
        1_600,
        (fault(K, Cause.PROCESS_HUNG, within=60, target=Component.KAFKA),),
        merges=2,
    ),
    Story(
        "residual",
        "The broker is back after three minutes, but the job does not go on: the same incident does.",
        (
            (CALM_BEFORE, all_of(killed(KAFKA), sets("processor", stuck=True))),
            (CALM_BEFORE + 180, started(KAFKA)),
            (CALM_BEFORE + 600, sets("processor", stuck=False)),
        ),
        1_600,
        (fault(K, Cause.PROCESS_GONE, within=5, lasts=600, target=Component.KAFKA),),
    ),
    Story(
        "host_disk_full",
        "The host's disk is full: the broker and the database both refuse writes.",
        (
            (
                CALM_BEFORE,
                all_of(
                    sets("broker", refuses=Code.STORAGE, leaderless=frozenset({0, 1})),
                    sets("", kafka_disk_free_share=0.0),
                    mysql(plant_mysql.DISK_FULL, disk_free_share=0.0),
                ),
            ),
            (
                CALM_BEFORE + 600,
                all_of(
                    sets("broker", refuses=None, leaderless=frozenset()), sets("", kafka_disk_free_share=0.6), healed()
                ),
            ),
        ),
        1_500,
        (fault(K, Cause.DISK_FULL, within=15, also={M: (Cause.DISK_FULL,)}),),
        merges=1,
    ),
)
