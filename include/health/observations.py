"""What a probe saw: typed, without any judgement, and without a time of its own.

Times are ages (seconds) wherever that is possible, so that a recorded observation can be replayed at any moment. The
moment of an observation is given beside it (:class:`Seen`). ``msgspec`` structs, so a trace is a file of JSON lines.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Probe(StrEnum):
    """Every probe, by name."""

    __hash__ = str.__hash__  # an enum's own is written in Python, and these are looked up all the time

    PROCESSES = "processes"  # the process host's word on every service
    KAFKA_TCP = "kafka_tcp"
    KAFKA_CANARY = "kafka_canary"  # produce acks=all, consume it back
    KAFKA_METADATA = "kafka_metadata"  # brokers, controller, topics and their partitions
    KAFKA_GROUP = "kafka_group"  # offsets of the group can be committed and read
    OFFSETS = "offsets"  # end and committed offsets in one round, time at the committed one
    PRODUCER = "producer"  # btc_producer's /health
    EXCHANGE = "exchange"  # the oracle: newest trade id by REST
    PROCESSOR = "processor"  # stream_processor's /health
    MYSQL_CANARY = "mysql_canary"  # connect, write in a transaction
    MYSQL_LEDGER = "mysql_ledger"  # newest batch, newest rows, ids counted
    MYSQL_SCHEMA = "mysql_schema"  # tables against the migrations
    MYSQL_AUDIT = "mysql_audit"  # rows in the tables against what the ledger says
    MYSQL_LOCKS = "mysql_locks"  # who blocks whom
    HOST = "host"  # disk, memory, file descriptors
    LOGS = "logs"  # new errors in the processes' logs, by class


class Outcome(StrEnum):
    """Whose news it is."""

    OK = "ok"  # the operation succeeded; see the facts
    FAILED = "failed"  # the target failed it
    BLIND = "blind"  # the probe failed for a reason of its own: says nothing about the target


class Code(StrEnum):
    """How an operation failed (or, with ``OK``, what else is to be said)."""

    OK = "ok"
    REFUSED = "refused"  # nobody listens
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"  # no route, no such host
    CREDENTIALS = "credentials"  # the target refuses the pipeline's own account
    OWN_CREDENTIALS = "own_credentials"  # the probe's account or secret is wrong: BLIND
    OWN_FAULT = "own_fault"  # the probe raised: BLIND
    NOT_AVAILABLE = "not_available"  # what it needs is not there yet (a cold start): BLIND
    NO_LEADER = "no_leader"
    NOT_ENOUGH_REPLICAS = "not_enough_replicas"
    TOPIC_MISSING = "topic_missing"
    STORAGE = "storage"
    TRANSPORT = "transport"  # any other Kafka transport error
    REFUSES = "refuses"  # the target answers, and says no for another reason
    RATE_LIMITED = "rate_limited"  # HTTP 429
    BANNED = "banned"  # HTTP 418
    SERVER_ERROR = "server_error"  # HTTP 5xx
    # classes of a MySQL error number (include.warehouse.error_numbers.ErrorKind)
    CONNECTIVITY = "connectivity"
    CAPACITY = "capacity"
    LOCKED = "locked"
    SHUTTING_DOWN = "shutting_down"
    READ_ONLY = "read_only"
    DISK_FULL = "disk_full"
    SCHEMA = "schema"
    DATA = "data"
    CHECKPOINT = "checkpoint"  # the stream processor cannot go on from its own
    UNKNOWN = "unknown"


class _Facts(msgspec.Struct, frozen=True, kw_only=True, gc=False, tag_field="kind"):
    """Base of all facts; in JSON, ``kind`` names the type."""


class ProcessFacts(_Facts, frozen=True, tag="process"):
    """One service as its host sees it. ``state``: a word of ``include.services.controller.ServiceState``."""

    state: str
    pid: int | None = None
    age_seconds: float | None = None  # of the present process
    exit_code: int | None = None
    on_request: bool = False  # stopped or held because somebody asked for it


class ProcessesFacts(_Facts, frozen=True, tag="processes"):
    """``PROCESSES``: by service name."""

    services: dict[str, ProcessFacts]


class RoundTripFacts(_Facts, frozen=True, tag="round_trip"):
    """``KAFKA_TCP``, ``KAFKA_CANARY``, ``KAFKA_GROUP``, ``MYSQL_CANARY``."""

    seconds: float


class ClusterFacts(_Facts, frozen=True, tag="cluster"):
    """``KAFKA_METADATA``: brokers seen, and for each topic of ours what differs from the expected (empty: nothing)."""

    brokers: int
    controller: int | None
    topic_problems: dict[str, str]
    seconds: float


class PartitionFacts(_Facts, frozen=True, tag="partition"):
    """One partition of ``crypto-trades``. ``waiting_seconds``: age of the record at the committed offset, 0 if nothing
    is unread, ``None`` if it could not be read. ``committed`` is ``None`` before the first commit.
    """

    end: int
    committed: int | None
    waiting_seconds: float | None
    start: int = 0  # log start offset
    leader_epoch: int | None = None


class OffsetsFacts(_Facts, frozen=True, tag="offsets"):
    """``OFFSETS``: by partition number."""

    partitions: dict[int, PartitionFacts]
    retention_seconds: float


class ProducerSymbolFacts(_Facts, frozen=True, tag="producer_symbol"):
    """One symbol inside btc_producer: newest ids received and acknowledged by Kafka, age of the newest trade.

    ``settled``: up to here every trade is acknowledged or was left out on purpose (``ProducerFacts.sampling``).
    """

    received: int | None
    acknowledged: int | None
    event_age_seconds: float | None
    state: str  # starting, live, behind
    settled: int | None = None


class ProducerFacts(_Facts, frozen=True, tag="producer"):
    """``PRODUCER``: btc_producer's ``/health``, as numbers."""

    status: str
    pid: int
    age_seconds: float
    symbols: dict[str, ProducerSymbolFacts]
    silent_seconds: float
    silence_verdict: str | None  # include.producer.silence.Verdict
    stream_proven: bool
    polling: bool
    times_limited: int
    retry_after_seconds: float
    weight_used: int
    weight_limit: int
    open_breakers: tuple[str, ...]
    buffered: int
    oldest_unacknowledged_seconds: float
    publisher_state: str
    invalid_state: str  # include.producer.flood
    invalid_total: int
    window_valid: int
    window_invalid: int
    last_error: str | None
    sampling: int = 1  # of so many blocks of ids one is published


class ExchangeFacts(_Facts, frozen=True, tag="exchange"):
    """``EXCHANGE``: newest trade id by symbol. Failures carry ``Code`` and, in ``answers``, the code by endpoint.

    ``retry_after_seconds``: how long the exchange wants to be left alone.
    """

    newest: dict[str, int]
    answers: dict[str, str] = {}
    weight_used: int = 0
    retry_after_seconds: float = 0.0


class BatchFacts(_Facts, frozen=True, tag="batch"):
    """The newest finished micro-batch."""

    id: int
    input_rows: int
    invalid_rows: int
    duplicate_rows: int
    duration_seconds: float
    phase_seconds: dict[str, float]  # aggregate, dead_letters, recount, mysql
    committed_age_seconds: float


class ProcessorFacts(_Facts, frozen=True, tag="processor"):
    """``PROCESSOR``: stream_processor's ``/health``, as numbers."""

    status: str  # spark_jobs.lib.progress.JobStatus
    pid: int
    age_seconds: float
    query_run_id: str | None
    batch_running: bool
    batch_age_seconds: float
    batch_phase: str | None
    last_batch: BatchFacts | None
    offsets: dict[int, int]  # next offset by partition, as counted
    last_error: str | None
    last_error_age_seconds: float | None
    last_error_code: Code | None  # class of the last error
    last_error_number: int | None = None  # MySQL's, if it is one of MySQL
    phase_age_seconds: float = 0.0


class RowsFacts(_Facts, frozen=True, tag="rows"):
    """``MYSQL_LEDGER``: ids counted by symbol; ages of the newest batch and newest row (``None``: none)."""

    counted: dict[str, int]
    batches: int  # a number that grows with each batch
    batch_age_seconds: float | None
    row_age_seconds: float | None
    offsets: dict[int, int]  # next offset by partition, as committed with the rows


class SchemaFacts(_Facts, frozen=True, tag="schema"):
    """``MYSQL_SCHEMA``: what differs from the migrations, in words (empty: nothing)."""

    problems: tuple[str, ...]


class AuditFacts(_Facts, frozen=True, tag="audit"):
    """``MYSQL_AUDIT``: a sample of windows; ``missing`` names those whose rows disagree with the sums."""

    checked: int
    missing: tuple[str, ...]


class LocksFacts(_Facts, frozen=True, tag="locks"):
    """``MYSQL_LOCKS``: transactions that wait, and who blocks them, in words without values."""

    waiting: int
    longest_wait_seconds: float
    blockers: tuple[str, ...]


class HostFacts(_Facts, frozen=True, tag="host"):
    """``HOST``: free bytes and share by folder (kafka, mysql, checkpoint, incidents), free memory, open files."""

    disk_free_bytes: dict[str, int]
    disk_free_share: dict[str, float]
    memory_free_share: float
    file_descriptors_share: float
    clock_skew_seconds: float | None = None


class LogFacts(_Facts, frozen=True, tag="log"):
    """``LOGS``: lines of level error and above since the last look, by service and class; newest line of each."""

    errors: dict[str, dict[str, int]]
    newest: dict[str, str] = {}


Facts = (
    ProcessesFacts
    | RoundTripFacts
    | ClusterFacts
    | OffsetsFacts
    | ProducerFacts
    | ExchangeFacts
    | ProcessorFacts
    | RowsFacts
    | SchemaFacts
    | AuditFacts
    | LocksFacts
    | HostFacts
    | LogFacts
)


class Observation(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One result of one probe. ``error`` is one line, without secrets; ``number`` is the target's own error number."""

    probe: Probe
    outcome: Outcome
    code: Code = Code.OK
    facts: Facts | None = None  # set with OK; with FAILED if there is something to tell
    error: str | None = None
    number: int | None = None
    took_seconds: float = 0.0


class Seen(msgspec.Struct, frozen=True, gc=False):
    """Observations that arrived together at ``at`` (seconds since the epoch). An empty one is a tick of the clock."""

    at: float
    observations: tuple[Observation, ...] = ()
