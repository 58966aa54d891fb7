"""A port in use is found before anything starts, and its holder is named."""

from __future__ import annotations

import os
import socket

import pytest

from include.stack.errors import PortInUseError
from include.stack.ports import check_ports, free_ports
from include.stack.processes import Process


def test_free_ports_pass() -> None:
    first, second = free_ports(2)
    check_ports([Process("kafka", (("kafka_port", first), ("kafka_controller_port", second)))])


def test_a_taken_port_names_setting_process_and_holder() -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with pytest.raises(PortInUseError) as refused:
            check_ports([Process("kafka", (("kafka_port", port),))])
    for part in (str(port), "PIPELINE_KAFKA_PORT", "for kafka", f"pid {os.getpid()}"):
        assert part in str(refused.value)


def test_two_settings_with_the_same_port_are_refused() -> None:
    (port,) = free_ports(1)
    with pytest.raises(PortInUseError, match=r"PIPELINE_MYSQL_PORT, for mysql.* is also PIPELINE_KAFKA_PORT"):
        check_ports([Process("kafka", (("kafka_port", port),)), Process("mysql", (("mysql_port", port),))])
