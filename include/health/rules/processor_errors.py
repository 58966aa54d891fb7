"""What an error of the stream processor says: whose trouble it is, in the words of the playbook."""

from __future__ import annotations

from include.health.observations import Code
from include.playbook.names import Cause, Symptom

_MYSQL: dict[Code, Symptom] = {
    Code.CONNECTIVITY: Symptom.MYSQL_CONNECTIVITY,
    Code.SHUTTING_DOWN: Symptom.MYSQL_CONNECTIVITY,
    Code.CAPACITY: Symptom.MYSQL_CONNECTIONS,
    Code.LOCKED: Symptom.MYSQL_LOCKED,
    Code.READ_ONLY: Symptom.MYSQL_READ_ONLY,
    Code.DISK_FULL: Symptom.MYSQL_DISK_FULL,
    Code.CREDENTIALS: Symptom.MYSQL_CREDENTIALS,
    Code.SCHEMA: Symptom.MYSQL_SCHEMA,
    Code.DATA: Symptom.MYSQL_DATA,
}
_KAFKA: dict[Code, Symptom] = {
    Code.TOPIC_MISSING: Symptom.KAFKA_REFUSES,
    Code.REFUSES: Symptom.KAFKA_REFUSES,
    Code.TRANSPORT: Symptom.KAFKA_TRANSPORT,
    Code.TIMEOUT: Symptom.KAFKA_TRANSPORT,
    Code.NO_LEADER: Symptom.KAFKA_TRANSPORT,
    Code.NOT_ENOUGH_REPLICAS: Symptom.KAFKA_TRANSPORT,
    Code.STORAGE: Symptom.KAFKA_TRANSPORT,
}
# The canary speaks of the same server, in the words of the network too.
_CANARY: dict[Code, Symptom] = {
    Code.REFUSED: Symptom.MYSQL_CONNECTIVITY,
    Code.TIMEOUT: Symptom.MYSQL_CONNECTIVITY,
    Code.UNREACHABLE: Symptom.MYSQL_CONNECTIVITY,
    **_MYSQL,
}


def cause_of(code: Code | None) -> tuple[Cause, Symptom]:
    """Cause and symptom of a query that ended, or is tried again, with an error of this class."""
    if code in (Code.SCHEMA, Code.DATA):
        return Cause.SCHEMA_MISMATCH, _MYSQL[code]
    if code is Code.CHECKPOINT:
        return Cause.CORRUPTED_LOG, Symptom.NO_PROGRESS
    if code is not None and (symptom := _MYSQL.get(code)):
        return Cause.WRITE_FAILURE, symptom
    if code is not None and (symptom := _KAFKA.get(code)):
        return Cause.KAFKA_CONNECTION, symptom
    return Cause.QUERY_FAILED, Symptom.NO_PROGRESS


def symptom_of_canary(code: Code) -> Symptom | None:
    """What a failed write of the observer's own says of MySQL; ``None`` if nothing."""
    return _CANARY.get(code)
