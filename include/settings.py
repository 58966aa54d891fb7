"""Every knob of the pipeline, once.

Precedence: environment (``PIPELINE_<NAME>``), then ``.env`` in the project root, then the secret files, then the
defaults here. Settings are validated at start and frozen; a wrong value is refused with a message that names the
setting, what was received and what is allowed (see :func:`load_settings`). docs/configuration.md is made of this file.
"""

from __future__ import annotations

import os
import re
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import Field, FilePath, SecretStr, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from include.settings_errors import SettingsError, explain, refuse_unknown

PROJECT_ROOT = Path(__file__).resolve().parents[1]
PREFIX = "PIPELINE_"
ENV_FILE_VARIABLE = "PIPELINE_ENV_FILE"  # another file than .env; an empty one for none

LOOPBACK = "127.0.0.1"

Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=1)]


class Feed(StrEnum):
    """Where the trades come from."""

    GENERATED = "generated"  # the loopback stand-in exchange, trades made from a seed
    REPLAY = "replay"  # the loopback stand-in exchange, trades from a file of the exchange's public archive
    LIVE = "live"  # the real exchange


class ServiceAdapter(StrEnum):
    """Who owns the long-running processes."""

    SUPERVISORD = "supervisord"  # this machine, without root
    DOCKER = "docker"  # docker-compose.yaml
    SYSTEMD = "systemd"  # units of a host


class Settings(BaseSettings):
    """All settings, validated and frozen. Field descriptions are the documentation of record."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_file_encoding="utf-8", frozen=True, extra="ignore")

    # --- Places ------------------------------------------------------------------------------------------------
    home: Path = Field(PROJECT_ROOT / "var", description="Folder of all run-time state: data, logs, sockets, secrets.")
    cache: Path = Field(PROJECT_ROOT / "var" / "cache", description="Folder of downloaded artifacts; kept by clean.")

    secrets_folder: Path | None = Field(None, description="Folder of the secret files; unset: secrets in the home.")
    listen_host: str = Field(
        LOOPBACK,
        min_length=1,
        description="Address that the pipeline's own processes listen on; all only in containers.",
    )

    ivy_settings: FilePath | None = Field(None, description="Ivy settings file of a site's artifact mirror.")

    # --- What is computed --------------------------------------------------------------------------------------
    symbols: Annotated[tuple[str, ...], NoDecode] = Field(
        ("BTCUSDT", "ETHUSDT"), min_length=1, description="Trading pairs, comma-separated, upper case."
    )
    windows: Annotated[tuple[int, ...], NoDecode] = Field(
        (1, 5, 15), min_length=1, description="Lengths of the moving-average windows in minutes, comma-separated."
    )

    # --- Feed --------------------------------------------------------------------------------------------------
    feed: Feed = Field(Feed.GENERATED, description="Source of the trades.")
    replay_file: Path | None = Field(None, description="CSV in the layout of the exchange's public trade archive.")
    replay_factor: Annotated[float, Field(gt=0)] = Field(1.0, description="Replay speed; 1 is the recorded pace.")
    generator_rate: Annotated[float, Field(ge=0, le=200_000)] = Field(
        20.0, description="Generated trades per second, over all symbols."
    )
    generator_seed: int = Field(1, description="Seed of the generated trades.")

    # --- Stand-in exchange -------------------------------------------------------------------------------------
    exchange_host: str = Field(LOOPBACK, min_length=1, description="Host of the stand-in exchange.")
    exchange_port: Port = Field(28080, description="Loopback port of the stand-in exchange (REST and WebSocket).")
    exchange_control_port: Port = Field(28081, description="Loopback port of the stand-in's control endpoint.")

    # --- Real exchange -----------------------------------------------------------------------------------------
    live_stream_endpoints: Annotated[tuple[str, ...], NoDecode] = Field(
        ("wss://stream.binance.com:9443", "wss://stream.binance.com:443", "wss://data-stream.binance.vision"),
        min_length=1,
        description="WebSocket bases in order of preference, comma-separated.",
    )
    live_rest_endpoints: Annotated[tuple[str, ...], NoDecode] = Field(
        (
            "https://api.binance.com",
            "https://api-gcp.binance.com",
            "https://api1.binance.com",
            "https://api2.binance.com",
            "https://api3.binance.com",
            "https://api4.binance.com",
            "https://data-api.binance.vision",
        ),
        min_length=1,
        description="REST bases in order of preference, comma-separated.",
    )

    # --- Producer ----------------------------------------------------------------------------------------------
    producer_host: str = Field(LOOPBACK, min_length=1, description="Host of btc_producer.")
    producer_health_port: Port = Field(28101, description="Loopback port of btc_producer's /health and /metrics.")
    producer_start_from: str = Field(
        "auto",
        pattern="^(auto|live|oldest)$",
        description="Where an empty topic starts: live (next trade), oldest (first the exchange has), auto (by feed).",
    )
    producer_buffer_trades: Count = Field(
        200_000, description="Trades held in memory while Kafka is away; beyond it the feed pauses."
    )
    producer_backfill_limit: Count = Field(
        2_000_000, description="Most trades fetched for one gap after a long stop; older ones are reported as skipped."
    )
    producer_invalid_flood_ratio: Annotated[float, Field(gt=0, le=1)] = Field(
        0.05, description="Share of invalid frames within a window of 10 s that counts as a flood."
    )
    producer_sampling: Annotated[int, Field(ge=1, le=100)] = Field(
        1, description="Trades are published in one of this many blocks of ids only; 1 publishes all."
    )
    avoid_endpoints: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="WebSocket and REST bases that are tried last, comma-separated."
    )
    silence_seconds: Seconds = Field(5.0, description="Seconds without a trade before the exchange is asked by REST.")
    stream_rotation_hours: Annotated[float, Field(gt=0, lt=24)] = Field(
        23.0, description="Age at which a stream connection is replaced by overlap (the exchange closes at 24 h)."
    )

    # --- Kafka -------------------------------------------------------------------------------------------------
    kafka_port: Port = Field(29092, description="Loopback port of the local broker.")
    kafka_controller_port: Port = Field(29093, description="Loopback port of the local broker's KRaft controller.")
    kafka_bootstrap_servers: str = Field("", description="Brokers as host:port[,…]; empty means the local broker.")
    kafka_heap_megabytes: Annotated[int, Field(ge=256)] = Field(512, description="Heap of the local broker.")
    trades_topic: str = Field("crypto-trades", min_length=1, description="Topic that the stream processor reads.")
    topic_partitions: Count = Field(3, description="Partitions of crypto-trades.")
    topic_retention_hours: Annotated[float, Field(gt=0)] = Field(168.0, description="Retention of crypto-trades.")

    # --- MySQL -------------------------------------------------------------------------------------------------
    mysql_host: str = Field(LOOPBACK, min_length=1, description="Host of the MySQL-compatible server.")
    mysql_port: Port = Field(23306, description="Port of the MySQL-compatible server.")
    mysql_database: str = Field("crypto", pattern="^[A-Za-z0-9_]{1,64}$", description="Database name.")
    mysql_user: str = Field("pipeline", pattern="^[A-Za-z0-9_]{1,32}$", description="Account of the pipeline.")
    mysql_password: SecretStr = Field(SecretStr(""), description="Password of the pipeline's account.")
    mysql_pool_size: Count = Field(4, description="Pooled connections per process.")
    mysql_timeout_seconds: Seconds = Field(5.0, description="Connect, read and write deadline of one statement.")
    mysql_retry_seconds: Annotated[float, Field(ge=0)] = Field(
        60.0, description="How long one micro-batch is retried over transient MySQL errors before the job fails."
    )

    # --- Spark -------------------------------------------------------------------------------------------------
    spark_master: str = Field(
        "local[*]",
        pattern=r"^(local(\[.+\])?|spark://[^:/,]+:\d+)$",
        description="Spark: local[*] or spark://host:port.",
    )
    spark_driver_memory: str = Field("1g", pattern="^[0-9]+[mg]$", description="Heap of the Spark driver.")
    spark_worker_cores: Count = Field(1, description="Cores of a Spark worker on a cluster; its executor has all.")
    spark_worker_memory: str = Field("1g", pattern="^[0-9]+[mg]$", description="Memory of a Spark worker's executor.")
    spark_master_ui_port: Port = Field(28110, description="Loopback port of the Spark master's own page and state.")
    spark_worker_ui_port: Port = Field(28111, description="Loopback port of a Spark worker's; the next one if taken.")
    spark_shuffle_partitions: Count = Field(1, description="Shuffle partitions of a micro-batch.")
    micro_batch_seconds: Annotated[float, Field(ge=0)] = Field(
        1.0, description="Micro-batch interval; 0 starts the next batch as soon as the last one ends."
    )
    max_offsets_per_trigger: Count = Field(500_000, description="Most records in one micro-batch.")
    watermark_seconds: Annotated[float, Field(ge=0)] = Field(
        10.0, description="How far a window's end must lie behind the newest event time to be marked final."
    )
    stream_retry_seconds: Annotated[float, Field(ge=0)] = Field(
        120.0, description="How long the streaming query is restarted over Kafka errors before the job fails."
    )
    processor_stop_seconds: Seconds = Field(
        8.0, description="How long a stopping stream processor waits for its running micro-batch before abandoning it."
    )
    processor_host: str = Field(LOOPBACK, min_length=1, description="Host of stream_processor; its Spark driver's too.")
    processor_health_port: Port = Field(28102, description="Loopback port of stream_processor's /health and /metrics.")

    # --- Health and incidents ----------------------------------------------------------------------------------
    health_window_seconds: Seconds = Field(600.0, description="How long one run of a health Dag watches.")
    incident_store_url: str = Field(
        "",
        pattern=r"^$|^(sqlite|postgresql)://",
        description="Database of the incidents: postgresql://user@host/name; empty: SQLite under data/incidents.",
    )
    incident_store_password: SecretStr = Field(SecretStr(""), description="Password of the incidents' database.")
    incident_reopen_minutes: Annotated[float, Field(ge=0)] = Field(
        10.0, description="An incident that comes back within this time after it was resolved is reopened."
    )

    # --- Airflow -----------------------------------------------------------------------------------------------
    airflow_host: str = Field(LOOPBACK, min_length=1, description="Host of Airflow's API server.")
    airflow_port: Port = Field(8080, description="Port of the Airflow UI and API; people reach it on loopback.")
    airflow_database_url: str = Field(
        "",
        pattern=r"^$|^postgresql://",
        description="Airflow's metadata database: postgresql://user@host/name; empty: SQLite in Airflow's home.",
    )
    airflow_database_password: SecretStr = Field(SecretStr(""), description="Password of Airflow's metadata database.")
    airflow_parallelism: Count = Field(8, description="Most task processes at a time.")
    airflow_admin_user: str = Field("admin", pattern="^[A-Za-z0-9_]{1,32}$", description="Login of the Airflow UI.")
    airflow_oncall_user: str = Field(
        "oncall", pattern="^[A-Za-z0-9_]{1,32}$", description="Second login, which may approve what the first one asks."
    )

    # --- Services ----------------------------------------------------------------------------------------------
    service_adapter: ServiceAdapter = Field(ServiceAdapter.SUPERVISORD, description="Who owns the processes.")
    docker_api_url: str = Field(
        "unix:///var/run/docker.sock",
        pattern="^(unix|tcp|http|https)://.+",
        description="Docker's API or the proxy before it (adapter docker).",
    )
    docker_project: str = Field(
        "crypto-pipeline",
        pattern="^[a-z0-9][a-z0-9_-]*$",
        description="Compose project whose containers are the services (adapter docker).",
    )
    systemd_units: Annotated[dict[str, str], NoDecode] = Field(
        {},
        description="Units of the services where they are called otherwise: kafka=confluent-kafka.service,… (systemd).",
    )
    restart_budget: Count = Field(5, description="Starts of a supervised process within the budget window.")
    restart_budget_seconds: Seconds = Field(60.0, description="Length of the budget window.")
    restart_cooldown_seconds: Seconds = Field(60.0, description="Pause after an exhausted budget, before new tries.")
    log_rotate_megabytes: Count = Field(20, description="Size at which a process log is rotated (5 are kept).")

    @field_validator(
        "symbols", "windows", "live_stream_endpoints", "live_rest_endpoints", "avoid_endpoints", mode="before"
    )
    @classmethod
    def _split(cls, value: Any) -> Any:
        """Accept ``A,B`` from the environment; tuples from code pass as they are."""
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("symbols")
    @classmethod
    def _symbols(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if bad := [s for s in value if not (s.isascii() and s.isalnum() and s == s.upper() and 2 <= len(s) <= 20)]:
            raise ValueError(f"symbols of 2 to 20 upper-case letters and digits, for example BTCUSDT; not {bad}")
        if len(set(value)) != len(value):
            raise ValueError("each symbol once")
        return value

    @field_validator("windows")
    @classmethod
    def _windows(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if 1 not in value or any(not 1 <= w <= 1440 for w in value) or len(set(value)) != len(value):
            raise ValueError("distinct minutes from 1 to 1440, among them 1 (longer windows are summed from minutes)")
        return tuple(sorted(value))

    @field_validator("systemd_units", mode="before")
    @classmethod
    def _units(cls, value: Any) -> Any:
        """Accept ``kafka=a.service,mysql=b.service`` from the environment."""
        if not isinstance(value, str):
            return value
        pairs = [part.partition("=") for part in value.split(",") if part.strip()]
        if bad := [name for name, _, unit in pairs if not re.fullmatch(r"[A-Za-z0-9@:._-]+", unit.strip())]:
            raise ValueError(f"name=unit, comma-separated, for example kafka=kafka.service; not {bad}")
        return {name.strip(): unit.strip() for name, _, unit in pairs}

    @field_validator("incident_store_url", "airflow_database_url")
    @classmethod
    def _no_password(cls, value: str, info: ValidationInfo) -> str:
        if urlsplit(value).password is not None:
            own = f"{PREFIX}{str(info.field_name).removesuffix('_url').upper()}_PASSWORD"
            raise ValueError(f"the password has a setting of its own, {own}")
        return value

    @field_validator("home", "cache")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return (PROJECT_ROOT / value).resolve()

    @field_validator("replay_file")
    @classmethod
    def _from_here(cls, value: Path | None) -> Path | None:
        """Processes run in the project's root, whereas a person names the file from where they are."""
        return value.resolve() if value else None

    @model_validator(mode="after")
    def _consistent(self) -> Settings:
        if self.feed is Feed.REPLAY and self.replay_file is None:
            raise ValueError("PIPELINE_REPLAY_FILE: a replay needs a file (make up FEED=replay FILE=trades.csv)")
        if len(os.fsencode(self.supervisor_socket)) > 96:  # 107 bytes, less what supervisord appends while it binds
            raise ValueError(f"PIPELINE_HOME: too long for a unix socket (at most 96 bytes): {self.supervisor_socket}")
        return self

    # --- Derived -----------------------------------------------------------------------------------------------
    @property
    def bootstrap_servers(self) -> str:
        """Kafka brokers as ``host:port[,…]``."""
        return self.kafka_bootstrap_servers or f"{LOOPBACK}:{self.kafka_port}"

    @property
    def stream_endpoints(self) -> tuple[str, ...]:
        """WebSocket bases in order of preference."""
        local = (f"ws://{self.exchange_host}:{self.exchange_port}",)
        return self._avoided_last(self.live_stream_endpoints if self.feed is Feed.LIVE else local)

    @property
    def rest_endpoints(self) -> tuple[str, ...]:
        """REST bases in order of preference."""
        local = (f"http://{self.exchange_host}:{self.exchange_port}",)
        return self._avoided_last(self.live_rest_endpoints if self.feed is Feed.LIVE else local)

    def _avoided_last(self, urls: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(sorted(urls, key=lambda url: url in self.avoid_endpoints))  # stable

    @property
    def start_from(self) -> str:
        """``live`` or ``oldest``: where the producer starts on an empty topic."""
        if self.producer_start_from != "auto":
            return self.producer_start_from
        return "live" if self.feed is Feed.LIVE else "oldest"

    @property
    def exchange_control_url(self) -> str:
        """Base of the stand-in's control endpoint."""
        return f"http://{self.exchange_host}:{self.exchange_control_port}"

    @property
    def airflow_users(self) -> tuple[str, ...]:
        """The logins of people."""
        return (self.airflow_admin_user, self.airflow_oncall_user)

    @property
    def run_dir(self) -> Path:
        """Sockets, lock files and generated configuration."""
        return self.home / "run"

    @property
    def log_dir(self) -> Path:
        """One log per process, named as the playbook names them (``btc_producer.log``)."""
        return self.home / "log"

    @property
    def data_dir(self) -> Path:
        """Broker log, database files, checkpoints."""
        return self.home / "data"

    @property
    def secrets_dir(self) -> Path:
        """Generated secrets, one file each, readable by the owner only."""
        return self.secrets_folder or self.home / "secrets"

    @property
    def checkpoint_dir(self) -> Path:
        """Checkpoint of the stream processor."""
        return self.data_dir / "checkpoint" / "stream_processor"

    @property
    def spark_jars_dir(self) -> Path:
        """Jars that the stream processor adds to Spark's own."""
        return self.cache / "jars" / "spark"

    @property
    def supervisor_socket(self) -> Path:
        """Private unix socket of the process host."""
        return self.run_dir / "supervisor.sock"


def load_settings(env_file: Path | None = None, **overrides: Any) -> Settings:
    """Read and validate the settings.

    ``env_file`` defaults to the one named by ``PIPELINE_ENV_FILE``, else ``.env`` in the project root; ``overrides``
    win over everything. Raises :class:`SettingsError`, whose text names each wrong setting, the value received and what
    is allowed.
    """
    env_file = env_file or Path(os.environ.get(ENV_FILE_VARIABLE, PROJECT_ROOT / ".env"))
    refuse_unknown(env_file, {ENV_FILE_VARIABLE, *(PREFIX + field.upper() for field in Settings.model_fields)}, PREFIX)
    try:
        probe = Settings(_env_file=env_file, **overrides)  # finds home, which holds the secret files
        return Settings(_env_file=env_file, _secrets_dir=_existing(probe.secrets_dir), **overrides)
    except ValidationError as error:
        raise SettingsError(explain(error, Settings.model_fields, PREFIX)) from error


def _existing(folder: Path) -> Path | None:
    return folder if folder.is_dir() else None


@cache
def get_settings() -> Settings:
    """The settings of this process, read once."""
    return load_settings()
