"""The playbook's vocabulary: scenarios, components, severities, causes and symptoms.

Design §1. Everything that detects, correlates, remedies or tells people speaks in these words.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum


class ScenarioId(StrEnum):
    """The five scenarios of the playbook."""

    KAFKA_DOWN = "kafka_down"
    STREAM_PROCESSOR_FAILURE = "stream_processor_failure"
    MYSQL_NOT_WRITING = "mysql_not_writing"
    PRODUCER_SILENT = "producer_silent"
    KAFKA_LAG = "kafka_lag"


class Component(StrEnum):
    """A node of the cause graph, and what an incident is about (its target)."""

    HOST = "host"
    EXCHANGE = "exchange"
    PRODUCER = "btc_producer"
    KAFKA = "kafka"
    PROCESSOR = "stream_processor"
    MYSQL = "mysql"
    LAG = "spark-group"
    ROWS = "moving_averages"  # the newest rows: what users see
    MONITORING = "monitoring"  # the observer itself: target of "monitoring blind"


class Severity(IntEnum):
    """Smaller is worse."""

    SEV_1 = 1  # full outage
    SEV_2 = 2  # major degradation
    SEV_3 = 3  # minor
    SEV_4 = 4  # a record: nobody is paged

    @property
    def label(self) -> str:
        """As the playbook writes it: ``SEV-1``."""
        return f"SEV-{self.value}"


class Cause(StrEnum):
    """Why: the playbook's "causes to tell apart"."""

    UNKNOWN = "not_known_yet"
    NONE = "none"  # nothing is wrong
    # --- any process
    PROCESS_GONE = "process_gone"  # crash
    PROCESS_HUNG = "process_hung"  # it lives, and does not answer
    PROCESS_RESTARTED = "process_restarted"  # supervision has healed it already
    CRASH_LOOP = "crash_loop"
    STOPPED_ON_REQUEST = "stopped_on_request"  # held by a person or a remedy
    PORT_CONFLICT = "port_conflict"
    DISK_FULL = "disk_full"
    NETWORK = "network"
    CREDENTIALS = "credentials"
    # --- Kafka
    CORRUPTED_LOG = "corrupted_log"
    TOPIC_MISSING = "topic_missing"  # or with other partitions than expected
    PARTIAL_OUTAGE = "partial_outage"  # a partition without leader or without enough replicas
    DEGRADED = "degraded"  # answers, much slower than itself
    COORDINATOR = "coordinator"  # offsets cannot be committed
    # --- stream processor
    QUERY_FAILED = "query_failed"
    BATCH_HUNG = "batch_hung"
    BATCHES_SLOW = "batches_slow"
    NO_PROGRESS = "no_progress"
    SCHEMA_MISMATCH = "schema_mismatch"
    KAFKA_CONNECTION = "kafka_connection"
    WRITE_FAILURE = "write_failure"  # the database refuses, for a reason of its own scenario
    # --- MySQL
    READ_ONLY = "read_only"
    LOCKS = "locks"
    CONNECTIONS = "connections"
    WRONG_SETTINGS = "wrong_settings"
    SILENT_LOSS = "silent_loss"  # the ledger says rows that the tables do not have
    # --- producer
    EXCHANGE_OUTAGE = "exchange_outage"
    RATE_LIMITED = "rate_limited"
    BANNED = "banned"
    SERIALIZATION = "serialization"  # frames of a form that we do not know
    FEED_SILENT = "feed_silent"  # our fault: the exchange trades, and we receive nothing
    QUIET_MARKET = "quiet_market"  # nothing is traded: never an incident
    # --- lag
    TRAFFIC_SURGE = "traffic_surge"
    SLOW_MYSQL_WRITES = "slow_mysql_writes"
    SPARK_CAPACITY = "spark_capacity"
    CONSUMER_STOPPED = "consumer_stopped"
    SKEWED_PARTITION = "skewed_partition"
    RETENTION_LOSS = "retention_loss"  # unread records are about to be deleted
    OFFSETS_NOT_COMMITTED = "offsets_not_committed"  # rows advance, the group's offsets do not
    # --- the observer
    MONITORING_BLIND = "monitoring_blind"


class Symptom(StrEnum):
    """What is seen, in classes: a root is responsible for a symptom only if it explains the symptom's class."""

    KAFKA_TRANSPORT = "kafka_transport"  # cannot connect, time-outs, no leader
    KAFKA_REFUSES = "kafka_refuses"  # rights, unknown topic, record refused
    MYSQL_CONNECTIVITY = "mysql_connectivity"
    MYSQL_CONNECTIONS = "mysql_connections"
    MYSQL_LOCKED = "mysql_locked"
    MYSQL_READ_ONLY = "mysql_read_only"
    MYSQL_DISK_FULL = "mysql_disk_full"
    MYSQL_CREDENTIALS = "mysql_credentials"
    MYSQL_SCHEMA = "mysql_schema"
    MYSQL_DATA = "mysql_data"
    MYSQL_SLOW = "mysql_slow"
    EXCHANGE_UNREACHABLE = "exchange_unreachable"
    RATE_LIMITED = "rate_limited"
    FEED_SILENT = "feed_silent"
    BAD_FRAMES = "bad_frames"
    ID_GAP = "id_gap"
    PROCESS_GONE = "process_gone"
    PROCESS_SILENT = "process_silent"  # its health endpoint does not answer
    NO_NEW_MESSAGES = "no_new_messages"
    BATCH_HUNG = "batch_hung"
    BATCH_SLOW = "batch_slow"
    NO_PROGRESS = "no_progress"
    STALE_ROWS = "stale_rows"
    ROWS_MISSING = "rows_missing"
    LAG_GROWS = "lag_grows"
    NOT_OBSERVABLE = "not_observable"  # the view of it is gone, through no fault of its own
