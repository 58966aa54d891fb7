"""The connections of one repair, and what it waits for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from confluent_kafka import KafkaException
from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError

from include.broker.offsets import OffsetReader
from include.market.rest import RestClient
from include.repair.errors import RepairError
from include.repair.exchange import Exchange, Progress
from include.repair.model import Span
from include.repair.survey import Survey
from include.repair.tables import read_coverage, read_tables
from include.repair.waiting import Waited, wait_while_moving
from include.runtime.clock import Clock
from include.settings import Settings
from include.warehouse.engine import create_warehouse_engine
from include.warehouse.error_numbers import describe
from include.warehouse.errors import WarehouseError
from include.warehouse.id_ranges import IdRanges
from include.warehouse.ledger import read_position

_STUCK_SECONDS = 30.0  # a stream processor that was just started needs some ten to count its first trade
_STATEMENT_SECONDS = 60.0


@dataclass(frozen=True)
class Opened:
    """Everything that a repair asks."""

    survey: Survey
    engine: Engine
    offsets: OffsetReader
    clock: Clock
    progress: Progress

    def await_stream(self) -> Waited:
        """Until the stream has read what is in the topic now."""
        ends = self.offsets.end_offsets()

        def left() -> int:
            with self.engine.connect() as connection:
                position = read_position(connection)
            known = {} if position is None else position.offsets
            return sum(max(0, end - known.get(partition, 0)) for partition, end in ends.items())

        return self._wait(left, "records are still to be read by the stream processor")

    def await_counted(self, ids: Mapping[str, IdRanges]) -> Waited:
        """Until the stream has counted these trades."""

        def left() -> int:
            with self.engine.connect() as connection:
                return sum(_uncounted(read_coverage(connection, s, *_ends(own)), own) for s, own in ids.items())

        return self._wait(left, "published trades are still to be counted by the stream processor")

    def _wait(self, left: Callable[[], int], what: str) -> Waited:
        waited = wait_while_moving(
            left,
            stuck_seconds=_STUCK_SECONDS,
            clock=self.clock,
            on_move=lambda figure: self.progress(f"{figure:,} {what}"),
        )
        if waited is Waited.STUCK:
            self.progress(f"the stream processor has not moved for {_STUCK_SECONDS:g} s: going on without it")
        return waited


@contextmanager
def opened(settings: Settings, span: Span, clock: Clock, progress: Progress) -> Iterator[Opened]:
    """Connections for one repair. Errors of exchange, Kafka and MySQL come out as :class:`RepairError`."""
    engine = create_warehouse_engine(settings, _STATEMENT_SECONDS)
    client = RestClient(settings.rest_endpoints, clock)
    offsets = OffsetReader(settings.bootstrap_servers, timeout=5.0, topic=settings.trades_topic)
    survey = Survey(
        span,
        settings.windows,
        tables=lambda firsts: read_tables(engine, span, settings.windows, firsts),
        exchange=Exchange(client, progress),
        ends=offsets.end_offsets,
        clock=clock,
        progress=progress,
    )
    try:
        with told():
            yield Opened(survey, engine, offsets, clock, progress)
    finally:
        offsets.close()
        client.close()
        engine.dispose()


@contextmanager
def told() -> Iterator[None]:
    """What Kafka or MySQL raise, in words, as :class:`RepairError`."""
    try:
        yield
    except KafkaException as error:
        raise RepairError(f"Kafka cannot be asked: {error.args[0].str()}.") from error
    except WarehouseError as error:
        raise RepairError(str(error)) from error
    except SQLAlchemyError as error:
        raise RepairError(f"MySQL cannot be asked: {describe(error)}.") from error


def _uncounted(counted: IdRanges, ids: IdRanges) -> int:
    return sum(last - first + 1 - counted.overlap(first, last) for first, last in ids)


def _ends(ids: IdRanges) -> tuple[int, int]:
    ranges = list(ids)
    return ranges[0][0], ranges[-1][1]
