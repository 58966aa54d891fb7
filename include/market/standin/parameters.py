"""Reads REST parameters as strictly as the exchange does; each violation is an :class:`ApiError`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

_SYMBOL = re.compile(r"[A-Z0-9\-_.]{1,20}\Z")
_NUMBER = re.compile(r"[0-9]{1,19}\Z")


class ApiError(Exception):
    """An error answer: HTTP status with the exchange's code and message."""

    def __init__(self, code: int, message: str, status: int = 400, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.status, self.headers = code, message, status, dict(headers or {})

    def body(self) -> dict[str, Any]:
        """The JSON of the answer."""
        return {"code": self.code, "msg": self.message}


class Parameters:
    """The query of one request; every parameter that is sent has to be read (see :meth:`check_all_read`)."""

    def __init__(self, query: Mapping[str, str], symbols: tuple[str, ...]) -> None:
        self._query, self._symbols = query, symbols
        self._read: set[str] = set()

    def text(self, name: str) -> str | None:
        """A parameter as it is; ``None`` when it was not sent. Raises −1105 for an empty one."""
        self._read.add(name)
        if (value := self._query.get(name)) == "":
            raise ApiError(-1105, f"Parameter '{name}' was empty.")
        return value

    def number(self, name: str, default: int | None = None) -> int | None:
        """A whole number ≥ 0. Raises −1100 for other characters."""
        if (value := self.text(name)) is None:
            return default
        if not _NUMBER.match(value):
            raise ApiError(-1100, f"Illegal characters found in parameter '{name}'; legal range is '^[0-9]{{1,20}}$'.")
        return int(value)

    def limit(self, default: int = 500, most: int = 1000) -> int:
        """Parameter ``limit``: larger values count as ``most``. Raises −1130 for 0."""
        value = self.number("limit", default)
        if not value:
            raise ApiError(-1130, "Data sent for parameter 'limit' is not valid.")
        return min(value, most)

    def symbol(self) -> str:
        """Parameter ``symbol``, mandatory. Raises −1102, −1100, −1121."""
        self._read.add("symbol")
        if not (value := self._query.get("symbol")):
            raise ApiError(-1102, "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed.")
        return self._known(value, "symbol")

    def symbols(self) -> list[str] | None:
        """Parameters ``symbol`` or ``symbols`` (JSON array); ``None`` when neither was sent. Raises −1128 for both."""
        many, one = self.text("symbols"), self.text("symbol")
        if many is not None and one is not None:
            raise ApiError(-1128, "Combination of optional parameters invalid.")
        if one is not None:
            return [self._known(one, "symbol")]
        if many is None:
            return None
        try:
            names = json.loads(many)
        except ValueError:
            names = None
        if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
            legal = '^\\[("[A-Z0-9-_.]{1,20}"(,"[A-Z0-9-_.]{1,20}"){0,}){0,1}\\]$'
            raise ApiError(-1100, f"Illegal characters found in parameter 'symbols'; legal range is '{legal}'.")
        if len(set(names)) != len(names):
            raise ApiError(-1151, "Symbol is present multiple times in the list.")
        return [self._known(name, "symbols") for name in names]

    def check_all_read(self) -> None:
        """Raises −1104 when a parameter was sent that the endpoint does not have."""
        if set(self._query) - self._read:
            read, sent = len(set(self._query) & self._read), len(self._query)
            message = f"Not all sent parameters were read; read '{read}' parameter(s) but was sent '{sent}'."
            raise ApiError(-1104, message)

    def _known(self, value: str, name: str) -> str:
        if not _SYMBOL.match(value):
            legal = "^[A-Z0-9-_.]{1,20}$"
            raise ApiError(-1100, f"Illegal characters found in parameter '{name}'; legal range is '{legal}'.")
        if value not in self._symbols:
            raise ApiError(-1121, "Invalid symbol.")
        return value
