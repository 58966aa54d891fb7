"""What the proxy before Docker's API lets through and what it refuses, as request lines; ``{id}`` is a container."""

from __future__ import annotations

import http.client

Line = tuple[str, str]

ALLOWED: tuple[Line, ...] = (
    ("GET", "/_ping"),
    ("HEAD", "/_ping"),
    ("GET", "/version"),
    ("GET", "/v1.45/version"),
    ("GET", "/v1.45/containers/json?all=1&filters=%7B%22label%22%3A%5B%22com.docker.compose.service%22%5D%7D"),
    ("GET", "/containers/json"),
    ("GET", "/v1.45/containers/{id}/json"),
    ("GET", "/v1.45/containers/{id}/logs?stdout=1&stderr=1&timestamps=1&tail=10&since=1.5"),
    ("POST", "/v1.45/containers/{id}/start"),
    ("POST", "/v1.45/containers/{id}/restart?t=1"),
    ("POST", "/v1.45/containers/{id}/stop?t=1"),
    ("POST", "/containers/{id}/start"),
    ("POST", "/containers/{id}/stop"),
)

REFUSED: tuple[Line, ...] = (
    # other words
    *(
        ("POST", f"/v1.45/containers/{{id}}/{word}")
        for word in ("kill", "exec", "attach", "pause", "unpause", "resize")
    ),
    *(("POST", f"/v1.45/containers/{{id}}/{word}") for word in ("rename?name=x", "update", "wait", "copy")),
    *(
        ("GET", f"/v1.45/containers/{{id}}/{word}")
        for word in ("export", "archive?path=/etc", "attach/ws", "top", "stats")
    ),
    ("GET", "/v1.45/containers/{id}/changes"),
    ("PUT", "/v1.45/containers/{id}/archive?path=/"),
    ("HEAD", "/v1.45/containers/{id}/archive?path=/"),
    ("DELETE", "/v1.45/containers/{id}?force=1"),
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
    *(("POST", f"/v1.45/{part}") for part in ("auth", "commit?container={id}", "session", "grpc", "swarm/init")),
    ("POST", "/v1.45/exec/{id}/start"),
    # the right word with the wrong verb
    ("POST", "/v1.45/containers/{id}/json"),
    ("POST", "/v1.45/containers/json"),
    ("POST", "/_ping"),
    ("GET", "/v1.45/containers/{id}/start"),
    ("PUT", "/v1.45/containers/{id}/start"),
    ("DELETE", "/v1.45/containers/{id}/stop"),
    ("OPTIONS", "/v1.45/containers/{id}/start"),
    ("HEAD", "/v1.45/containers/json"),
    # parameters that make another word of it
    ("POST", "/v1.45/containers/{id}/stop?signal=SIGKILL"),
    ("POST", "/v1.45/containers/{id}/stop?t=1&signal=SIGKILL"),
    ("POST", "/v1.45/containers/{id}/restart?signal=SIGUSR1&t=1"),
    ("POST", "/v1.45/containers/{id}/stop?t=-1"),
    ("POST", "/v1.45/containers/{id}/stop?t=1;signal=SIGKILL"),
    ("POST", "/v1.45/containers/{id}/start?checkpoint=x"),
    ("POST", "/v1.45/containers/{id}/start?detachKeys=a"),
    # paths that another reader would read otherwise
    ("POST", "/v1.45/containers/{id}/kill?/start"),
    ("POST", "/v1.45/containers/{id}/kill%3f/start"),
    ("POST", "/v1.45/containers/{id}%2fkill%3f/start"),
    ("POST", "/v1.45/containers/{id}/kill/../start"),
    ("POST", "/v1.45/containers/../containers/{id}/start"),
    ("POST", "/v1.45/containers/{id}/start/"),
    ("POST", "/v1.45/containers/{id}/start/../kill"),
    ("POST", "/v1.45/containers/{id}/start%2f..%2fkill"),
    ("POST", "/v1.45//containers/{id}/start"),
    ("POST", "//containers/{id}/start"),
    ("POST", "/v1.45/v1.44/containers/{id}/start"),
    ("POST", "/v1/containers/{id}/start"),
    ("POST", "/v1.45x/containers/{id}/start"),
    ("POST", "/V1.45/containers/{id}/start"),
    ("POST", "/v1.45/CONTAINERS/{id}/START"),
    ("POST", "/v1.45/containers/%7bid%7d/start"),
    ("GET", "/v1.45/images/../containers/json"),
    ("GET", "/v1.45/containers/json/../../images/json"),
    ("GET", "/v1.45/containers/..%2f..%2fimages/json"),
    ("GET", "/v1.45/containers/./json"),
    ("GET", "/"),
    ("GET", "*"),
)


def ask(address: tuple[str, int], line: Line, container: str, headers: dict[str, str], body: bytes = b"") -> int:
    """Send it as it stands, without making it any nicer; the status of the answer."""
    method, target = line
    connection = http.client.HTTPConnection(*address, timeout=30)
    try:
        connection.putrequest(method, target.replace("{id}", container), skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders(body)
        return connection.getresponse().status
    finally:
        connection.close()
