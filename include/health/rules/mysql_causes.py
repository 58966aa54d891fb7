"""From the class of a MySQL error to the cause and the symptom that it stands for."""

from __future__ import annotations

from include.health.observations import Code
from include.playbook.names import Cause, Symptom

# Only a person, or a remedy made for it, ends these; so they count at once. What the server itself says so clearly
# needs one confirmation and no more.
STRUCTURAL: dict[Code, tuple[Cause, Symptom]] = {
    Code.CREDENTIALS: (Cause.CREDENTIALS, Symptom.MYSQL_CREDENTIALS),
    Code.SCHEMA: (Cause.SCHEMA_MISMATCH, Symptom.MYSQL_SCHEMA),
    Code.READ_ONLY: (Cause.READ_ONLY, Symptom.MYSQL_READ_ONLY),
    Code.DISK_FULL: (Cause.DISK_FULL, Symptom.MYSQL_DISK_FULL),
}

PASSING: dict[Code, tuple[Cause, Symptom]] = {
    Code.CAPACITY: (Cause.CONNECTIONS, Symptom.MYSQL_CONNECTIONS),
    Code.LOCKED: (Cause.LOCKS, Symptom.MYSQL_LOCKED),
}

LOST = frozenset({Code.CONNECTIVITY, Code.SHUTTING_DOWN})  # a connection that there was

SENTENCES: dict[Code, str] = {
    Code.CREDENTIALS: "MySQL refuses the pipeline's account or lacks its rights",
    Code.SCHEMA: "A table or column that the pipeline writes is not there",
    Code.READ_ONLY: "MySQL takes no writes: it is read-only",
    Code.DISK_FULL: "MySQL has no space left to write",
    Code.CAPACITY: "MySQL has no room for another connection",
    Code.LOCKED: "Writes wait for a lock that another transaction holds",
}
