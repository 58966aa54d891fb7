"""One transaction on the tables; see :class:`include.incidents.book.Book`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Connection,
    Select,
    String,
    Table,
    func,
    insert,
    select,
    type_coerce,
    union,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError

from include.incidents import sql_rows
from include.incidents.book import IncidentRow, OpenTwiceError
from include.incidents.ids import parse_incident_id
from include.incidents.model import CLOSED_STATES, AttachedSymptom, DecisionRecord, Entry, HandOver, Incident
from include.incidents.sql_errors import is_second_open
from include.incidents.tables import COUNTERS, DECISIONS, HAND_OVERS, INCIDENTS, SYMPTOMS, TIMELINE, Moment
from include.incidents.timeline import RawEntry
from include.playbook.names import Component, ScenarioId

_OPEN = INCIDENTS.c.state.not_in([state.value for state in sorted(CLOSED_STATES)])
_BY_OPENING = (INCIDENTS.c.opened_at, func.length(INCIDENTS.c.id), INCIDENTS.c.id)
_NEWEST_FIRST = tuple(column.desc() for column in _BY_OPENING)


class SqlBook:
    """See the protocol. Lives as long as the connection's transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
        self.last_entry: Entry | None = None  # written by this transaction

    @property
    def connection(self) -> Connection:
        """For the rooms that keep tables of their own beside the incidents."""
        return self._connection

    def next_number(self, year: int) -> int:
        """See the protocol. The row stays locked until the end, so numbers are given one after the other."""
        first = self._insert(COUNTERS).values(year=year, last=1)
        counted = first.on_conflict_do_update(index_elements=["year"], set_={"last": COUNTERS.c.last + 1})
        return int(self._connection.execute(counted.returning(COUNTERS.c.last)).scalar_one())

    def row(self, incident_id: str, *, lock: bool = False) -> IncidentRow | None:
        """See the protocol."""
        return self._one(select(INCIDENTS).where(INCIDENTS.c.id == incident_id), lock)

    def open_row(self, scenario: ScenarioId, target: Component, *, lock: bool = False) -> IncidentRow | None:
        """See the protocol."""
        return self._one(_about(scenario, target).where(_OPEN), lock)

    def last_closed_row(self, scenario: ScenarioId, target: Component) -> IncidentRow | None:
        """See the protocol."""
        return self._one(_about(scenario, target).where(~_OPEN).order_by(*_NEWEST_FIRST).limit(1), True)

    def open_incidents(self) -> tuple[Incident, ...]:
        """See the protocol."""
        return self._incidents(select(INCIDENTS).where(_OPEN).order_by(*_BY_OPENING))

    def recent(self, limit: int) -> tuple[Incident, ...]:
        """See the protocol."""
        return self._incidents(select(INCIDENTS).order_by(*_NEWEST_FIRST).limit(limit))

    def insert(self, row: IncidentRow) -> None:
        """See the protocol."""
        self._once_open(insert(INCIDENTS).values(sql_rows.columns(row)))

    def update(self, row: IncidentRow) -> None:
        """See the protocol."""
        values = sql_rows.columns(row)
        self._once_open(update(INCIDENTS).where(INCIDENTS.c.id == values.pop("id")).values(values))

    def add_entry(self, entry: Entry) -> None:
        """See the protocol."""
        self._connection.execute(insert(TIMELINE).values(sql_rows.columns(entry)))
        self.last_entry = entry

    def has_entry(self, entry: Entry) -> bool:
        """Whether this very entry lies in the database."""
        columns = TIMELINE.c
        wanted = select(columns.hash).where(columns.incident_id == entry.incident_id, columns.number == entry.number)
        return self._connection.execute(wanted).scalar() == entry.hash

    def entries(self, incident_id: str) -> tuple[Entry, ...]:
        """See the protocol."""
        wanted = select(TIMELINE).where(TIMELINE.c.incident_id == incident_id).order_by(TIMELINE.c.number)
        return tuple(map(sql_rows.entry, self._connection.execute(wanted).mappings()))

    def symptoms(self, incident_id: str) -> tuple[AttachedSymptom, ...]:
        """See the protocol."""
        columns = SYMPTOMS.c
        order = (columns.attached_at, columns.scenario, columns.target)
        wanted = select(SYMPTOMS).where(columns.incident_id == incident_id).order_by(*order)
        return tuple(map(sql_rows.symptom, self._connection.execute(wanted).mappings()))

    def put_symptom(self, symptom: AttachedSymptom) -> None:
        """See the protocol."""
        values = sql_rows.columns(symptom)
        keys = [column.name for column in SYMPTOMS.primary_key]
        rest = {name: value for name, value in values.items() if name not in keys}
        new = self._insert(SYMPTOMS).values(values)
        self._connection.execute(new.on_conflict_do_update(index_elements=keys, set_=rest))

    def hand_overs(self, incident_id: str) -> tuple[HandOver, ...]:
        """See the protocol."""
        columns = HAND_OVERS.c
        order = (columns.occurrence, columns.at, columns.scenario)
        wanted = select(HAND_OVERS).where(columns.incident_id == incident_id).order_by(*order)
        return tuple(map(sql_rows.hand_over, self._connection.execute(wanted).mappings()))

    def add_hand_over(self, hand_over: HandOver) -> None:
        """See the protocol."""
        self._connection.execute(insert(HAND_OVERS).values(sql_rows.columns(hand_over)))

    def add_decision(self, key: str, decision: DecisionRecord) -> None:
        """See the protocol."""
        new = self._insert(DECISIONS).values(key=key, **sql_rows.columns(decision))
        self._connection.execute(new.on_conflict_do_nothing(index_elements=["key"]))

    def decisions(self, since: datetime | None, incident_id: str | None, limit: int) -> tuple[DecisionRecord, ...]:
        """See the protocol."""
        wanted = select(DECISIONS).order_by(DECISIONS.c.at.desc(), DECISIONS.c.number.desc()).limit(limit)
        if since is not None:
            wanted = wanted.where(DECISIONS.c.at >= since)
        if incident_id is not None:
            wanted = wanted.where(DECISIONS.c.incident_id == incident_id)
        return tuple(map(sql_rows.decision, self._connection.execute(wanted).mappings()))

    def counters(self) -> Mapping[int, int]:
        """See the protocol."""
        return {row.year: row.last for row in self._connection.execute(select(COUNTERS))}

    def known_ids(self) -> tuple[str, ...]:
        """See the protocol."""
        both = union(select(INCIDENTS.c.id), select(TIMELINE.c.incident_id))
        names = self._connection.execute(both).scalars()
        return tuple(sorted(names, key=lambda name: (parse_incident_id(name) or (0, 0), name)))

    def raw_row(self, incident_id: str) -> Mapping[str, Any] | None:
        """See the protocol."""
        row = self._connection.execute(self._raw(INCIDENTS).where(INCIDENTS.c.id == incident_id)).mappings().first()
        return {name: sql_rows.raw_value(value) for name, value in row.items()} if row else None

    def raw_entries(self, incident_id: str) -> tuple[RawEntry, ...]:
        """See the protocol."""
        wanted = self._raw(TIMELINE).where(TIMELINE.c.incident_id == incident_id).order_by(TIMELINE.c.number)
        return tuple(sql_rows.raw_entry(dict(row)) for row in self._connection.execute(wanted).mappings())

    def _raw(self, table: Table) -> Select[Any]:
        """All columns; SQLite's moments as the text that they are."""
        as_text = self._connection.dialect.name == "sqlite"
        return select(
            *(
                type_coerce(column, String).label(column.name)
                if as_text and isinstance(column.type, Moment)
                else column
                for column in table.c
            )
        )

    def _one(self, wanted: Select[Any], lock: bool) -> IncidentRow | None:
        row = self._connection.execute(wanted.with_for_update() if lock else wanted).mappings().first()
        return sql_rows.incident_row(row) if row else None

    def _incidents(self, wanted: Select[Any]) -> tuple[Incident, ...]:
        return tuple(sql_rows.incident_row(row).incident for row in self._connection.execute(wanted).mappings())

    def _once_open(self, statement: Any) -> None:
        try:
            self._connection.execute(statement)
        except IntegrityError as error:
            if is_second_open(error):
                raise OpenTwiceError from error
            raise


def _about(scenario: ScenarioId, target: Component) -> Select[Any]:
    return select(INCIDENTS).where(INCIDENTS.c.scenario == scenario.value, INCIDENTS.c.target == target.value)
