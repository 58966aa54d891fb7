"""What the proxy before Docker's API lets through and what it refuses, as request lines. ``{project}``: of compose."""

from __future__ import annotations

import http.client

Line = tuple[str, str]

_LIST = "/v1.45/containers/json?limit=-1&all=1&size=0&trunc_cmd=0&filters="
_OURS = "%7B%22label%22%3A+%5B%22com.docker.compose.project%3D{project}%22%2C+%22com.docker.compose.service%22%5D%7D"
_OTHERS = _OURS.replace("{project}", "another")
_ALL = "%7B%22label%22%3A+%5B%22com.docker.compose.service%22%5D%7D"
LISTING: Line = ("GET", f"{_LIST}{_OURS}")  # the adapter's own question

ALLOWED: tuple[Line, ...] = (
    ("GET", "/_ping"),
    ("HEAD", "/_ping"),
    ("GET", "/version"),
    ("GET", "/v1.45/version"),
    LISTING,
    ("GET", "/v1.45/containers/{project}-exchange-1/json"),
    ("GET", "/v1.45/containers/{project}-exchange-1/logs?stdout=1&stderr=1&timestamps=1&tail=10&since=1.5"),
    ("POST", "/v1.45/containers/{project}-exchange-1/start"),
    ("POST", "/v1.45/containers/{project}-exchange-1/restart?t=1"),
    ("POST", "/v1.45/containers/{project}-exchange-1/stop?t=1"),
    ("POST", "/containers/{project}-exchange-1/start"),
    ("POST", "/containers/{project}-exchange-1/stop"),
)

REFUSED: tuple[Line, ...] = (
    # other words
    *(
        ("POST", f"/v1.45/containers/{{project}}-exchange-1/{word}")
        for word in ("kill", "exec", "attach", "pause", "unpause", "resize")
    ),
    *(
        ("POST", f"/v1.45/containers/{{project}}-exchange-1/{word}")
        for word in ("rename?name=x", "update", "wait", "copy")
    ),
    *(
        ("GET", f"/v1.45/containers/{{project}}-exchange-1/{word}")
        for word in ("export", "archive?path=/etc", "attach/ws", "top", "stats")
    ),
    ("GET", "/v1.45/containers/{project}-exchange-1/changes"),
    ("PUT", "/v1.45/containers/{project}-exchange-1/archive?path=/"),
    ("HEAD", "/v1.45/containers/{project}-exchange-1/archive?path=/"),
    ("DELETE", "/v1.45/containers/{project}-exchange-1?force=1"),
    ("POST", "/v1.45/containers/create?name=x"),
    ("POST", "/v1.45/containers/prune"),
    *(
        ("GET", f"/v1.45/{part}")
        for part in ("info", "events", "images/json", "volumes", "networks", "secrets", "configs")
    ),
    *(
        ("GET", f"/v1.45/{part}")
        for part in ("services", "nodes", "swarm", "plugins", "system/df", "distribution/a/json")
    ),
    *(
        ("POST", f"/v1.45/{part}")
        for part in ("build", "images/create?fromImage=a", "volumes/create", "networks/create")
    ),
    *(("POST", f"/v1.45/{part}") for part in ("auth", "session", "grpc", "swarm/init")),
    ("POST", "/v1.45/commit?container={project}-exchange-1"),
    ("POST", "/v1.45/exec/{project}-exchange-1/start"),
    # the right word with the wrong verb
    ("POST", "/v1.45/containers/{project}-exchange-1/json"),
    ("POST", f"{_LIST}{_OURS}"),
    ("POST", "/_ping"),
    ("GET", "/v1.45/containers/{project}-exchange-1/start"),
    ("PUT", "/v1.45/containers/{project}-exchange-1/start"),
    ("DELETE", "/v1.45/containers/{project}-exchange-1/stop"),
    ("OPTIONS", "/v1.45/containers/{project}-exchange-1/start"),
    ("HEAD", f"{_LIST}{_OURS}"),
    # parameters that make another word of it
    ("POST", "/v1.45/containers/{project}-exchange-1/stop?signal=SIGKILL"),
    ("POST", "/v1.45/containers/{project}-exchange-1/stop?t=1&signal=SIGKILL"),
    ("POST", "/v1.45/containers/{project}-exchange-1/restart?signal=SIGUSR1&t=1"),
    ("POST", "/v1.45/containers/{project}-exchange-1/stop?t=-1"),
    ("POST", "/v1.45/containers/{project}-exchange-1/stop?t=1;signal=SIGKILL"),
    ("POST", "/v1.45/containers/{project}-exchange-1/start?checkpoint=x"),
    ("POST", "/v1.45/containers/{project}-exchange-1/start?detachKeys=a"),
    # containers that are no service of this project, or whose name only looks like one
    *(
        ("POST", f"/v1.45/containers/{name}/stop?t=1")
        for name in (
            "{project}-postgres-1",
            "{project}-airflow-scheduler-1",
            "{project}-docker-socket-proxy-1",
            "another-exchange-1",
            "x{project}-exchange-1",
            "{project}-exchange-1x",
            "{project}-exchange-",
            "{project}-exchange",
            "{project}-kafka-exchange-1",
            "4fa6e0f0c678",
        )
    ),
    ("GET", "/v1.45/containers/{project}-postgres-1/json"),
    ("GET", "/v1.45/containers/another-kafka-1/logs?stdout=1"),
    # lists of more than this project
    ("GET", "/v1.45/containers/json"),
    ("GET", "/v1.45/containers/json?all=1"),
    ("GET", f"{_LIST}{_ALL}"),
    ("GET", f"{_LIST}{_OTHERS}"),
    ("GET", f"{_LIST}{_OURS}&filters={_ALL}"),
    ("GET", f"{_LIST}{_ALL}&filters={_OURS}"),
    ("GET", f"/v1.45/containers/json?%66ilters={_ALL}&filters={_OURS}"),
    ("GET", f"/v1.45/containers/json?limit=-1&all=1%26filters={_OURS}"),
    # paths that another reader would read otherwise
    ("POST", "/v1.45/containers/{project}-exchange-1/kill?/start"),
    ("POST", "/v1.45/containers/{project}-exchange-1/kill%3f/start"),
    ("POST", "/v1.45/containers/{project}-exchange-1%2fkill%3f/start"),
    ("POST", "/v1.45/containers/{project}-exchange-1/kill/../start"),
    ("POST", "/v1.45/containers/../containers/{project}-exchange-1/start"),
    ("POST", "/v1.45/containers/{project}-exchange-1/start/"),
    ("POST", "/v1.45/containers/{project}-exchange-1/start/../kill"),
    ("POST", "/v1.45/containers/{project}-exchange-1/start%2f..%2fkill"),
    ("POST", "/v1.45//containers/{project}-exchange-1/start"),
    ("POST", "//containers/{project}-exchange-1/start"),
    ("POST", "/v1.45/v1.44/containers/{project}-exchange-1/start"),
    ("POST", "/v1/containers/{project}-exchange-1/start"),
    ("POST", "/v1.45x/containers/{project}-exchange-1/start"),
    ("POST", "/V1.45/containers/{project}-exchange-1/start"),
    ("POST", "/v1.45/CONTAINERS/{project}-exchange-1/START"),
    ("POST", "/v1.45/containers/%7bid%7d/start"),
    ("GET", "/v1.45/images/../containers/json"),
    ("GET", "/v1.45/containers/json/../../images/json"),
    ("GET", "/v1.45/containers/..%2f..%2fimages/json"),
    ("GET", "/v1.45/containers/./json"),
    ("GET", "/"),
    ("GET", "*"),
)


def ask(address: tuple[str, int], line: Line, project: str, headers: dict[str, str], body: bytes = b"") -> int:
    """Send it as it stands, without making it any nicer; the status of the answer."""
    method, target = line
    connection = http.client.HTTPConnection(*address, timeout=30)
    try:
        connection.putrequest(method, target.replace("{project}", project), skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders(body)
        return connection.getresponse().status
    finally:
        connection.close()
