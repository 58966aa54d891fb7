"""What every record of the playbook's data is: frozen, with no key that is not known."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class Record(BaseModel):
    """Base of the records."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class BrokenRule(ValueError):  # noqa: N818 - never leaves the room: the loader makes a PlaybookDataError of it
    """A rule over several keys is broken: at which ``key``, what was ``received``, what is ``allowed``."""

    def __init__(self, key: str, received: object, allowed: str) -> None:
        self.key, self.received, self.allowed = key, str(received), allowed
        super().__init__(f"{key}: received {received}. Allowed: {allowed}")
