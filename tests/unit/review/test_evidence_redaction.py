"""Nothing secret leaves: planted secrets in every form that logs, statements, command lines and settings have."""

from __future__ import annotations

import json
import time
from pathlib import Path
from urllib.parse import quote

import pytest

from include.review.evidence_redaction import HIDDEN, Redactor, redactor_of
from include.settings import load_settings
from include.stack.secrets import ensure_secrets

SECRET = "hunter2Xyz"
WORDS = Redactor()


@pytest.mark.parametrize(
    "line",
    [
        f"password={SECRET}",
        f"PIPELINE_MYSQL_PASSWORD={SECRET} make up",
        f"password: '{SECRET} and more {SECRET}'",
        f'{{"user": "a", "mysql_password": "{SECRET}", "x": 1}}',
        f'said {{\\"password\\": \\"{SECRET}\\"}}',
        f"{{'token': '{SECRET} with blank', 'other': 1}}",
        f"mariadb-admin --password {SECRET} --port 3306",
        f"mysqldump -u root -p{SECRET} crypto",
        f"Authorization: Bearer {SECRET}",
        f"authorization: Basic {SECRET}==",
        f"curl -H 'Authorization: {SECRET}'",
        f"proxy said: Bearer {SECRET} was refused",
        f"Cookie: session={SECRET}; other={SECRET}",
        f"Set-Cookie: _token={SECRET}; Path=/",
        f"GET /api/v3/account?recvWindow=5&signature={SECRET}&timestamp=1",
        f"X-MBX-APIKEY: {SECRET}",
        f"api_key = {SECRET}",
        f"https://user:{SECRET}@host/x?y=1",
        f"postgresql://u:p@{SECRET}@db/name",
        f"amqp://:{SECRET}@host",
        f'sasl.jaas.config=org.x required username="u" password="{SECRET}";',
        f"sent eyJhbGciOi.eyJ{SECRET}.sig{SECRET}",
        f"-----BEGIN RSA PRIVATE KEY-----\n{SECRET}\nabc\n-----END RSA PRIVATE KEY-----",
        f"-----BEGIN PRIVATE KEY-----\n{SECRET}\nand the log was cut here",
        f"CREATE USER 'a'@'%' IDENTIFIED BY '{SECRET}' REQUIRE SSL",
        f'CREATE USER a IDENTIFIED BY "{SECRET}"',
        f"GRANT USAGE ON *.* TO `p`@`%` IDENTIFIED BY PASSWORD '*{SECRET}'",
        f"ALTER USER x IDENTIFIED WITH mysql_native_password BY '{SECRET}'",
        f"ALTER USER x IDENTIFIED WITH 'caching_sha2_password' AS '$A$005${SECRET}'",
        f"alter user x identified via ed25519 using password('{SECRET}')",
        f"SET PASSWORD FOR 'x'@'%' = '{SECRET}'",
        f"SET PASSWORD = PASSWORD('{SECRET}')",
        f"CHANGE MASTER TO MASTER_USER='r', MASTER_PASSWORD='{SECRET}', MASTER_PORT=3",
        f"ALTER USER x IDENTIFIED BY '{SECRET} and the statement was cut he",
        f"spark.ui.secretKey={SECRET}",
        f"AIRFLOW__CORE__FERNET_KEY={SECRET}",
    ],
)
def test_what_looks_like_a_secret_is_hidden(line: str) -> None:
    redacted = WORDS.text(f"2026-01-01T00:00:00.000Z [error] {line}\nnext line")
    assert SECRET not in redacted
    assert HIDDEN in redacted
    assert redacted.startswith("2026-01-01T00:00:00.000Z [error] ")
    assert redacted.endswith("next line") or "log was cut" in line


@pytest.mark.parametrize(
    "line",
    [
        "1045 ER_ACCESS_DENIED_ERROR: Access denied for user 'pipeline'@'127.0.0.1' (using password: YES)",
        "password authentication is used",
        "the token bucket is full; key = symbol, partition=3 key=BTCUSDT",
        "http://127.0.0.1:28080/api/v3/trades asked by a@b.c",
        "Caused by: org.apache.kafka.common.errors.TimeoutException: no answer from 127.0.0.1:9092 (id: 1 rack: null)",
        "SELECT id, user, host FROM mysql.user WHERE plugin = 'ed25519'",
        "mariadbd --datadir=/x/data --port=3306 -P 3306",
        "set -p is no password",
    ],
)
def test_what_is_no_secret_stays(line: str) -> None:
    assert WORDS.text(line) == line


@pytest.mark.parametrize(
    "secret", ["S3cr3t-Plant", "with \"quotes' and \\ bars", "päss wörd/1+2=3", "0123456789abcdef" * 4, "ab1"]
)
def test_a_known_secret_is_hidden_in_whatever_form_it_is_written(secret: str) -> None:
    redactor = Redactor([secret, "", "  "])
    forms = (secret, f"[{secret}]", json.dumps({"x": secret}), f"https://host/{quote(secret, safe='')}?a=b")
    for text in forms:
        redacted = redactor.text(f"said: {text} and so on")
        assert HIDDEN in redacted
        assert redacted.startswith("said: ")
        assert redacted.endswith(" and so on")
        assert secret not in redacted


def test_a_short_secret_does_not_tear_words_apart() -> None:
    assert Redactor(["ab"]).text("cab ab table") == f"cab {HIDDEN} table"


def test_structures() -> None:
    value = {
        "mysql_password": SECRET,
        "nested": [{"authorization": f"Bearer {SECRET}", "password_expired": True, "tokens": [], "secret": None}],
        f"key with token={SECRET}": 1,
        "command": ["mysql", "--password", SECRET, "--host", "here", f"--token={SECRET}"],
        "statement": f"SET PASSWORD = '{SECRET}'",
        "figures": (1, 2.5, False),
    }
    redacted = WORDS.value(value)
    assert SECRET not in json.dumps(redacted)
    assert redacted["nested"] == [{"authorization": HIDDEN, "password_expired": True, "tokens": [], "secret": None}]
    assert redacted["command"] == ["mysql", "--password", HIDDEN, "--host", "here", f"--token={HIDDEN}"]
    assert redacted["figures"] == [1, 2.5, False]


def test_every_secret_of_the_settings_and_of_the_folder_is_known(tmp_path: Path) -> None:
    settings = load_settings(home=tmp_path, incident_store_password="Store-Password-1")
    ensure_secrets(settings)
    (settings.secrets_dir / "of_two_lines").write_text("first-part-of-it\nsecond-part-of-it\n")
    (settings.secrets_dir / "folder").mkdir()
    settings = load_settings(home=tmp_path, incident_store_password="Store-Password-1")
    planted = [path.read_text().strip() for path in settings.secrets_dir.iterdir() if path.is_file()]
    planted += ["Store-Password-1", "second-part-of-it", settings.mysql_password.get_secret_value()]
    assert len(planted) > 8
    redacted = redactor_of(settings).text("\n".join(f"who knows {secret} knows all" for secret in planted))
    assert all(line == f"who knows {HIDDEN} knows all" for line in redacted.splitlines() if "part" not in line)
    assert not [secret for secret in planted if secret in redacted]


@pytest.mark.parametrize(
    "text",
    [
        "a" * 3_000_000,
        "a.a." * 500_000,
        "password" * 50_000,
        "mysql " * 50_000,
        "://a:" * 50_000,
        "'" * 100_000 + "password='",
        "SET PASSWORD " * 50_000,
        'password="' + '\\"x' * 50_000,
        "\n".join(["2026-01-01T00:00:00.000Z [info ] trades published key=BTCUSDT count=12"] * 5_000),
    ],
    ids=lambda text: text[:12],
)
def test_no_text_takes_long(text: str) -> None:
    begin = time.monotonic()
    WORDS.text(text)
    assert time.monotonic() - begin < 1.5  # all take about a tenth; a pattern that goes back and forth takes minutes


@pytest.mark.parametrize("form", ["password={}", "https://user:{}@host"])
def test_of_a_line_without_end_the_cut_leaves_no_part_of_a_secret(form: str) -> None:
    for shift in range(0, 100, 7):
        line = "x" * (8_192 - shift) + f" {form.format(SECRET * 5)} " + "y" * 100
        assert SECRET[:6] not in WORDS.text(line)
