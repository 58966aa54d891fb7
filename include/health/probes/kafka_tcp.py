"""KAFKA_TCP: does anybody listen at the bootstrap servers? A hung broker still does."""

from __future__ import annotations

import socket
import time

from include.health.observations import Code, Observation, Outcome, RoundTripFacts
from include.health.observations import Probe as ProbeName
from include.health.probes.base import failed, seen_well

_TIMEOUT_SECONDS = 0.5


class KafkaTcp:
    """Connects to each bootstrap server. Fails when none accepts: refused if all refuse, else timeout or unreachable.

    Servers that do not accept while another does are named in ``error`` of a result that is ``OK``.
    """

    name, every, overrun = ProbeName.KAFKA_TCP, 1.0, Outcome.FAILED

    def __init__(self, bootstrap_servers: str, timeout: float = _TIMEOUT_SECONDS) -> None:
        self._servers = [_address(server) for server in bootstrap_servers.split(",")]
        self._timeout = timeout
        self.deadline = timeout * len(self._servers) + 0.2

    def look(self) -> Observation:
        """See :class:`include.health.probes.base.Probe`."""
        began = time.monotonic()
        codes = {f"{host}:{port}": self._connect(host, port) for host, port in self._servers}
        troubles = {server: code for server, code in codes.items() if code is not Code.OK}
        text = "; ".join(f"{server} {code.value}" for server, code in troubles.items())
        if len(troubles) < len(codes):
            return seen_well(self.name, RoundTripFacts(seconds=time.monotonic() - began), note=text or None)
        return failed(self.name, _worst(set(troubles.values())), text)

    def close(self) -> None:
        """Nothing is kept open."""

    def _connect(self, host: str, port: int) -> Code:
        try:
            socket.create_connection((host, port), self._timeout).close()
        except ConnectionRefusedError:
            return Code.REFUSED
        except TimeoutError:
            return Code.TIMEOUT
        except OSError:  # no route, no such host
            return Code.UNREACHABLE
        return Code.OK


def _address(server: str) -> tuple[str, int]:
    host, _, port = server.strip().rpartition(":")
    return host.strip("[]"), int(port)


def _worst(codes: set[Code]) -> Code:
    """All alike: that. Mixed: a time-out says least, so it is the honest word for all."""
    return codes.pop() if len(codes) == 1 else Code.TIMEOUT
