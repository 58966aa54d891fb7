"""Stories of one fault each in Kafka, MySQL and the stream processor."""

from __future__ import annotations

from include.health.observations import Code
from include.playbook.names import Cause, Component
from include.services.names import KAFKA, MYSQL, PROCESSOR
from tests.detection import plant_mysql
from tests.detection.actions import (
    all_of,
    continued,
    dying,
    healed,
    hung,
    killed,
    left_alone,
    logged,
    mysql,
    sets,
    started,
)
from tests.detection.plant import Plant
from tests.detection.story import CALM_BEFORE, K, L, M, Paging, S, Story, fault, simple


def _lock(plant: Plant) -> None:
    plant.database.lock_since = plant.now


KAFKA_STORIES = (
    simple(
        "kafka_killed",
        "The broker gets SIGKILL and is started again ten minutes later.",
        killed(KAFKA),
        started(KAFKA),
        fault(K, Cause.PROCESS_GONE, within=5, target=Component.KAFKA),
    ),
    simple(
        "kafka_hung",
        "The broker stands still: it takes connections and answers nothing.",
        hung(KAFKA),
        continued(KAFKA),
        fault(K, Cause.PROCESS_HUNG, within=8, target=Component.KAFKA),
    ),
    simple(
        "kafka_partition_without_leader",
        "One partition of crypto-trades has no leader; the canary's topic is well.",
        sets("broker", leaderless=frozenset({0}), topic_problems={"crypto-trades": "partition 0 has no leader"}),
        sets("broker", leaderless=frozenset(), topic_problems={}),
        fault(K, Cause.PARTIAL_OUTAGE, within=10, target=Component.KAFKA),
    ),
    simple(
        "kafka_topic_missing",
        "Somebody deletes crypto-trades.",
        sets("broker", leaderless=frozenset({0, 1}), topic_problems={"crypto-trades": "missing"}),
        sets("broker", leaderless=frozenset(), topic_problems={}),
        fault(K, Cause.TOPIC_MISSING, within=10, target=Component.KAFKA),
    ),
    simple(
        "kafka_disk_full",
        "The broker's disk is full: it refuses every record.",
        all_of(
            sets("broker", refuses=Code.STORAGE, leaderless=frozenset({0, 1})),
            sets("", kafka_disk_free_share=0.001),
        ),
        all_of(sets("broker", refuses=None, leaderless=frozenset()), sets("", kafka_disk_free_share=0.6)),
        fault(K, Cause.DISK_FULL, Cause.PARTIAL_OUTAGE, within=12, target=Component.KAFKA),
    ),
    simple(
        "kafka_degraded",
        "Every round trip takes a hundred times longer; everything still works.",
        sets("broker", slow=100.0),
        sets("broker", slow=1.0),
        fault(K, Cause.DEGRADED, within=90, target=Component.KAFKA),
    ),
    simple(
        "kafka_coordinator",
        "No offsets can be committed; records flow and rows are written.",
        sets("broker", commits=False),
        sets("broker", commits=True),
        fault(K, Cause.COORDINATOR, within=45, target=Component.KAFKA),
    ),
    Story(
        "kafka_port_conflict",
        "The broker ends; when somebody starts it, another program has its port. A minute later it is started in vain.",
        (
            (CALM_BEFORE, all_of(killed(KAFKA), dying(KAFKA, 2.0))),
            *(
                (CALM_BEFORE + 60 * i, all_of(started(KAFKA), logged(KAFKA, "KafkaException: Address already in use")))
                for i in (1, 2, 3)
            ),
            (CALM_BEFORE + 300, all_of(dying(KAFKA, None), started(KAFKA))),
        ),
        1_200,
        (fault(K, Cause.PORT_CONFLICT, within=5, lasts=300, target=Component.KAFKA),),
    ),
    simple(
        "kafka_log_corrupted",
        "The broker stops at a damaged segment.",
        all_of(killed(KAFKA), logged(KAFKA, "CorruptRecordException: Record is corrupt (stored crc = 0)")),
        started(KAFKA),
        fault(K, Cause.CORRUPTED_LOG, within=5, target=Component.KAFKA),
    ),
    simple(
        "kafka_credentials",
        "The broker refuses the pipeline's account.",
        sets("broker", refuses=Code.CREDENTIALS, leaderless=frozenset({0, 1})),
        sets("broker", refuses=None, leaderless=frozenset()),
        fault(K, Cause.CREDENTIALS, within=10, target=Component.KAFKA),
    ),
    Story(
        "kafka_killed_again",
        "The broker is killed, started, and killed again four minutes after: the same incident comes back.",
        (
            (CALM_BEFORE, killed(KAFKA)),
            (CALM_BEFORE + 60, started(KAFKA)),
            (CALM_BEFORE + 420, killed(KAFKA)),
            (CALM_BEFORE + 480, started(KAFKA)),
        ),
        1_400,
        (
            fault(K, Cause.PROCESS_GONE, within=5, lasts=60, target=Component.KAFKA),
            fault(K, Cause.PROCESS_GONE, within=5, at=CALM_BEFORE + 420, lasts=60, target=Component.KAFKA),
        ),
    ),
)

MYSQL_STORIES = (
    simple(
        "mysql_killed",
        "The database gets SIGKILL; the job retries, ends, and is restarted again and again (a cascade).",
        killed(MYSQL),
        started(MYSQL),
        fault(M, Cause.PROCESS_GONE, within=5, target=Component.MYSQL),
    ),
    simple(
        "mysql_hung",
        "The database stands still.",
        hung(MYSQL),
        continued(MYSQL),
        fault(M, Cause.PROCESS_HUNG, within=10, target=Component.MYSQL),
    ),
    simple(
        "mysql_credentials",
        "The account's password is another one; the job ends with error 1045 at every start.",
        mysql(plant_mysql.CREDENTIALS),
        healed(),
        fault(M, Cause.CREDENTIALS, within=5, target=Component.MYSQL),
    ),
    simple(
        "mysql_column_dropped",
        "A column of moving_averages is dropped.",
        mysql(plant_mysql.SCHEMA, schema_problems=("moving_averages: column last_price is missing",)),
        healed(),
        fault(M, Cause.SCHEMA_MISMATCH, within=15, target=Component.MYSQL),
    ),
    simple(
        "mysql_disk_full",
        "The database's disk is full.",
        mysql(plant_mysql.DISK_FULL, disk_free_share=0.0),
        healed(),
        fault(M, Cause.DISK_FULL, within=5, target=Component.MYSQL),
    ),
    simple(
        "mysql_read_only",
        "The database takes no writes.",
        mysql(plant_mysql.READ_ONLY),
        healed(),
        fault(M, Cause.READ_ONLY, within=5, target=Component.MYSQL),
    ),
    simple(
        "mysql_table_locked",
        "Somebody holds a lock on the table: the canary meets it too.",
        all_of(mysql(plant_mysql.TABLE_LOCKED), _lock),
        healed(),
        fault(M, Cause.LOCKS, within=30, target=Component.MYSQL),
    ),
    simple(
        "mysql_rows_locked",
        "Somebody's open transaction holds the newest rows: only the job's batches wait.",
        all_of(mysql(plant_mysql.ROWS_LOCKED), _lock),
        healed(),
        fault(M, Cause.LOCKS, within=45, target=Component.MYSQL),
    ),
    simple(
        "mysql_connections",
        "No connection is free.",
        mysql(plant_mysql.CONNECTIONS),
        healed(),
        fault(M, Cause.CONNECTIONS, within=10, target=Component.MYSQL),
    ),
    simple(
        "mysql_wrong_port",
        "The settings name a port on which nobody listens; the server's process is well.",
        mysql(plant_mysql.WRONG_PORT),
        healed(),
        fault(M, Cause.WRONG_SETTINGS, Cause.PROCESS_HUNG, within=10, target=Component.MYSQL),
    ),
    simple(
        "mysql_no_route",
        "There is no way to the server's host.",
        mysql(plant_mysql.NO_ROUTE),
        healed(),
        fault(M, Cause.NETWORK, within=10, target=Component.MYSQL),
    ),
    simple(
        "mysql_silent_loss",
        "Rows are missing that the ledger says are there; nothing fails.",
        sets("database", missing=("BTCUSDT 5 min 12:00",)),
        sets("database", missing=()),
        fault(M, Cause.SILENT_LOSS, within=130, target=Component.MYSQL),
    ),
    simple(
        "mysql_slow",
        "Every write takes sixty times longer: batches need four seconds instead of a half, and keep up.",
        sets("database", slow=60.0),
        sets("database", slow=1.0),
        fault(M, Cause.DEGRADED, within=60, also={S: (Cause.BATCHES_SLOW,)}, paging=Paging.EITHER),
    ),
)

PROCESSOR_STORIES = (
    simple(
        "processor_killed",
        "The job gets SIGKILL, supervision has it back at once: a record, no page.",
        killed(PROCESSOR),
        None,
        fault(S, Cause.PROCESS_RESTARTED, within=5, lasts=60, target=Component.PROCESSOR, paging=Paging.RECORD),
    ),
    simple(
        "processor_killed_unsupervised",
        "The job gets SIGKILL while its supervision is paused.",
        left_alone(PROCESSOR),
        started(PROCESSOR),
        fault(S, Cause.PROCESS_GONE, within=2, target=Component.PROCESSOR),
    ),
    simple(
        "processor_hung",
        "The job's process stands still and does not answer.",
        hung(PROCESSOR),
        continued(PROCESSOR),
        fault(S, Cause.PROCESS_HUNG, within=10, target=Component.PROCESSOR),
    ),
    simple(
        "processor_batch_hung",
        "Spark's JVM stands still within a batch; the job answers.",
        sets("processor", hang=True),
        sets("processor", hang=False),
        fault(S, Cause.BATCH_HUNG, within=30, target=Component.PROCESSOR),
    ),
    simple(
        "processor_stopped_20_minutes",
        "No batch is planned for twenty minutes; then the job catches up.",
        sets("processor", stuck=True),
        sets("processor", stuck=False),
        fault(S, Cause.NO_PROGRESS, within=40, lasts=1_200, target=Component.PROCESSOR),
    ),
    simple(
        "processor_query_failed",
        "Each batch fails with an error of the program: the process ends and is restarted until the budget is spent.",
        sets("processor", program_error="program: AnalysisException: [UNRESOLVED_COLUMN] cannot resolve `price`"),
        all_of(sets("processor", program_error=None), started(PROCESSOR)),
        fault(S, Cause.QUERY_FAILED, Cause.SCHEMA_MISMATCH, Cause.CRASH_LOOP, within=60, target=Component.PROCESSOR),
    ),
    simple(
        "processor_cut_off_from_kafka",
        "The job alone cannot talk to Kafka; the broker is well.",
        sets("processor", cut_off=True),
        all_of(sets("processor", cut_off=False), started(PROCESSOR)),
        fault(S, Cause.KAFKA_CONNECTION, within=45, target=Component.PROCESSOR),
    ),
    simple(
        "processor_bad_value",
        "A value does not fit its column: each batch fails, and the process ends and is restarted, again and again.",
        mysql(plant_mysql.BAD_VALUE),
        healed(),
        fault(
            S,
            *(Cause.WRITE_FAILURE, Cause.SCHEMA_MISMATCH, Cause.CRASH_LOOP, Cause.QUERY_FAILED),
            within=30,
            also={M: (Cause.SCHEMA_MISMATCH,)},
        ),
    ),
    simple(
        "processor_slow",
        "Spark needs ten times as long for each batch, and still keeps up.",
        sets("processor", slow=10.0),
        sets("processor", slow=1.0),
        fault(S, Cause.BATCHES_SLOW, within=60, target=Component.PROCESSOR, paging=Paging.EITHER),
    ),
    Story(
        "processor_crash_loop",
        "The job ends a few seconds after each start.",
        (
            *((CALM_BEFORE + 6 * i, killed(PROCESSOR)) for i in range(60)),
            (CALM_BEFORE + 400, started(PROCESSOR)),
        ),
        1_300,
        (fault(S, Cause.CRASH_LOOP, Cause.PROCESS_GONE, within=45, lasts=400, target=Component.PROCESSOR),),
    ),
)

LAG_STORIES = (
    simple(
        "lag_group_not_mirrored",
        "Rows are written, but the job commits no offsets to its group: a record.",
        sets("broker", mirrored=False),
        sets("broker", mirrored=True),
        fault(L, Cause.OFFSETS_NOT_COMMITTED, within=60, target=Component.LAG, paging=Paging.RECORD, lasts=300),
    ),
)
