"""docker-compose.yaml keeps to its rules, and each rule sees what breaks it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from include.settings import PROJECT_ROOT
from tests.support import compose_policy as policy
from tests.support.compose_policy import Document, Rule

FILE = PROJECT_ROOT / "docker-compose.yaml"
DOCUMENT: Document = yaml.safe_load(FILE.read_text())

Change = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize("rule", policy.RULES, ids=lambda rule: rule.__name__)
def test_the_file_keeps_to_the_rule(rule: Rule) -> None:
    assert rule(DOCUMENT) == []


def test_no_service_is_missing() -> None:
    assert set(policy.services(DOCUMENT)) == {
        *("kafka", "mysql", "postgres", "docker-socket-proxy", "exchange", "btc_producer", "stream_processor"),
        *("airflow-init", "airflow-api-server", "airflow-scheduler", "airflow-dag-processor", "airflow-triggerer"),
        *("spark-master", "spark-worker"),
    }


def _set(service: str, **values: object) -> Change:
    return lambda services: services[service].update(values)


def _drop(service: str, key: str) -> Change:
    return lambda services: services[service].pop(key)


def _append(service: str, key: str, value: object) -> Change:
    return lambda services: services[service].setdefault(key, []).append(value)


def _variable(service: str, name: str, value: object) -> Change:
    return lambda services: services[service]["environment"].update({name: value})


_SOCKET = "/var/run/docker.sock:/var/run/docker.sock:ro"

BROKEN: list[tuple[Rule, Change]] = [
    (policy.pinned_images, _set("kafka", image="apache/kafka:latest")),
    (policy.pinned_images, _set("kafka", image="apache/kafka")),
    (policy.pinned_images, _set("kafka", image="registry:5000/apache/kafka")),
    (policy.pinned_images, _set("btc_producer", image="crypto-pipeline/jobs:9.9.9")),
    (
        policy.base_images,
        lambda services: services["btc_producer"]["build"].update(dockerfile="docker/socket-proxy.cfg"),
    ),
    (policy.each_image_is_built_once, _drop("btc_producer", "build")),
    (policy.each_image_is_built_once, _set("exchange", build={"context": "."})),
    (policy.each_image_is_built_once, _set("btc_producer", profiles=["demo"])),
    (policy.only_the_ui_is_published, _set("airflow-api-server", ports=["8080:8080"])),
    (policy.only_the_ui_is_published, _set("airflow-api-server", ports=["0.0.0.0:8080:8080"])),
    (policy.only_the_ui_is_published, _set("airflow-api-server", ports=[8080])),
    (policy.only_the_ui_is_published, _set("airflow-api-server", ports=[{"target": 8080, "published": "8080"}])),
    (policy.only_the_ui_is_published, _set("mysql", ports=["127.0.0.1:3306:3306"])),
    (policy.only_the_ui_is_published, _set("mysql", network_mode="host")),
    (policy.no_host_port_twice, _set("spark-master", ports=["127.0.0.1:${AIRFLOW_PORT:-8080}:8080"])),
    (policy.health_checks, _drop("kafka", "healthcheck")),
    (policy.health_checks, _set("spark-worker", healthcheck={"disable": True})),
    (policy.health_checks, _set("spark-worker", healthcheck={"test": ["CMD", "true"]})),
    (policy.awaited_health_is_checked, _drop("postgres", "healthcheck")),
    (
        policy.awaited_health_is_checked,
        _set("spark-worker", depends_on={"mysql": {"condition": "service_completed_successfully"}}),
    ),
    (policy.awaited_health_is_checked, _set("btc_producer", depends_on={"exchange": {"condition": "service_healthy"}})),
    (policy.logs_are_rotated, _drop("mysql", "logging")),
    (policy.logs_are_rotated, _set("mysql", logging={"driver": "json-file", "options": {"max-size": "1m"}})),
    (policy.resources_are_limited, _drop("mysql", "mem_limit")),
    (policy.resources_are_limited, _drop("airflow-init", "cpus")),
    (policy.resources_are_limited, _drop("exchange", "pids_limit")),
    (policy.nobody_is_root, _drop("kafka", "user")),
    (policy.nobody_is_root, _set("kafka", user="0:0")),
    (policy.rights_are_dropped, _drop("mysql", "cap_drop")),
    (policy.rights_are_dropped, _set("mysql", security_opt=[])),
    (policy.rights_are_dropped, _set("mysql", cap_add=["SYS_NICE"])),
    (policy.rights_are_dropped, _set("mysql", privileged=True)),
    (policy.only_the_proxy_sees_the_socket, _append("airflow-scheduler", "volumes", _SOCKET)),
    (policy.only_the_proxy_sees_the_socket, _append("exchange", "volumes", "${DOCKER_SOCKET}:/s")),
    (policy.only_the_proxy_sees_the_socket, _set("exchange", networks=["pipeline", "docker-control"])),
    (policy.only_the_proxy_sees_the_socket, _set("docker-socket-proxy", networks=["docker-control", "pipeline"])),
    (policy.restarts_are_as_agreed, _set("kafka", restart="always")),
    (policy.restarts_are_as_agreed, _drop("postgres", "restart")),
    (policy.init_reaps_where_needed, _drop("exchange", "init")),
    (policy.init_reaps_where_needed, _append("mysql", "volumes", "pipeline-state:/state")),
    (policy.data_is_on_volumes, _append("mysql", "volumes", "./docker/absent.cnf:/etc/my.cnf:ro")),
    (policy.data_is_on_volumes, _append("mysql", "volumes", "./docker/socket-proxy.cfg:/etc/my.cnf")),
    (policy.data_is_on_volumes, _append("mysql", "volumes", "/etc/passwd:/etc/passwd:ro")),
    (policy.data_is_on_volumes, _append("mysql", "volumes", "elsewhere:/var/lib/other")),
    (policy.settings_exist, _variable("exchange", "PIPELINE_EXCHANGE_PROT", "1")),
    (policy.settings_exist, _variable("exchange", "PIPELINE_MYSQL_PASSWORD", "")),
    (policy.secrets_are_known, _append("mysql", "secrets", "other")),
    (policy.secrets_are_known, _set("mysql", secrets=["mysql_root_password"])),
    (policy.secrets_are_known, _set("mysql", read_only=True)),
    (policy.nothing_secret_is_written_down, _variable("mysql", "MYSQL_PASSWORD", "hallo")),
    (policy.nothing_secret_is_written_down, _variable("kafka", "KAFKA_OTHER", "q7Vn2bX0c9Tz4LkW8sYd1RfG")),
    (policy.nothing_secret_is_written_down, _variable("exchange", "PIPELINE_URL", "postgresql://me:word@postgres/x")),
    (policy.nothing_secret_is_written_down, _append("mysql", "command", "--password=hallo")),
    (policy.nothing_secret_is_written_down, _set("mysql", healthcheck={"test": ["CMD-SHELL", "mysql -phallo"]})),
]


@pytest.mark.parametrize(
    ("rule", "change"), BROKEN, ids=[f"{number}-{rule.__name__}" for number, (rule, _) in enumerate(BROKEN)]
)
def test_the_rule_sees_what_breaks_it(rule: Rule, change: Change) -> None:
    document = copy.deepcopy(DOCUMENT)
    change(document["services"])
    assert rule(document)


def test_every_rule_was_broken_once() -> None:
    assert {rule for rule, _ in BROKEN} == set(policy.RULES)


@pytest.mark.parametrize(
    "change",
    [
        lambda secrets: secrets.pop("airflow_jwt_secret"),
        lambda secrets: secrets.update(other={"environment": "OTHER"}),
        lambda secrets: secrets.update(postgres_password={"file": "./password"}),
    ],
    ids=["missing", "unknown", "from a file"],
)
def test_the_list_of_secrets_is_checked(change: Change) -> None:
    document = copy.deepcopy(DOCUMENT)
    change(document["secrets"])
    assert policy.secrets_are_known(document)


def test_a_control_network_with_a_way_out_is_seen() -> None:
    document = copy.deepcopy(DOCUMENT)
    document["networks"]["docker-control"]["internal"] = False
    assert policy.only_the_proxy_sees_the_socket(document)
