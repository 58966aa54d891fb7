"""What must not be seen is taken out of evidence: the secrets that we know, and whatever looks like one."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pydantic import SecretStr

from include.settings import Settings

HIDDEN = "(hidden)"
_SHORT = 8  # a secret so short may be a part of harmless words: it is hidden where it stands alone
_LONGEST_FILE = 65_536
_LONGEST_LINE = 8_192  # of a line that is searched; what is cut off may have begun in a secret,
_CUT_END = 512  # so that the end goes too

_NAMES = (
    r"(?:pass(?:word|wd|phrase)|pwd|secret|token|credential|(?:api|access|private|fernet|jwt)[_\-. ]?key|signature"
    r"|jaas[_\-.]config)"
)
_QUOTED = r"\\?'(?:[^'\\]|\\.|'')*(?:\\?'|$)|\\?\"(?:[^\"\\]|\\[^\"]|\\\"(?=[^\s,;:}\])]))*(?:\\?\"|$)"
_NO_SECRETS = r"(?:yes|no|true|false|none|null|on|off)\b|\(hidden\)"  # "using password: YES" tells a lot

_SECRET_KEY = re.compile(rf"{_NAMES}|authorization|cookie", re.IGNORECASE)
# Without one of these no pattern fits; looking for words is a hundred times quicker than for patterns.
_SUSPICIOUS = (
    *("://", "pass", "pwd", "secret", "token", "key", "credential", "signature", "jaas", "authoriz", "cookie"),
    *("bearer", "basic", "digest", "negotiate", "identified", "eyj", " -p", "\t-p"),
)
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL)


def _pattern(pattern: str, instead: str = rf"\1{HIDDEN}") -> tuple[re.Pattern[str], str]:
    return re.compile(pattern, re.IGNORECASE), instead


# All repetitions before a name are bounded, so that a long line without blanks does not take for ever.
_PATTERNS = (
    # scheme://user:password@host; a password may have any sign but a blank, also an "@"
    _pattern(r"(\b[a-z][a-z0-9+.\-]{0,20}://[^\s/:@\"']{0,100}):[^\s\"']*@", rf"\1:{HIDDEN}@"),
    _pattern(r"\b(Bearer|Basic|Digest|Negotiate)\s+[a-z0-9+/=._~\-]{6,}", rf"\1 {HIDDEN}"),
    _pattern(r"\beyJ[a-z0-9_\-]{5,}\.[a-z0-9_\-]+(?:\.[a-z0-9_\-]*)?", HIDDEN),  # a JSON web token
    # SQL: CREATE USER … IDENTIFIED BY 'x', … IDENTIFIED VIA plugin USING 'x', SET PASSWORD … = 'x', PASSWORD('x')
    _pattern(
        r"(\bIDENTIFIED\s+(?:BY|WITH|VIA)\b(?:\s+PASSWORD)?(?:\s+[`'\"]?\w+[`'\"]?\s+(?:BY|AS|USING))?"
        rf"(?:\s+PASSWORD)?\s*\(?\s*)(?:{_QUOTED}|0x[0-9a-f]+)"
    ),
    _pattern(rf"(\bPASSWORD\s*\(\s*)(?:{_QUOTED})"),
    _pattern(rf"(\bSET\s+PASSWORD\b[^=]*=\s*)(?:{_QUOTED})"),
    # headers go on to the end of the line
    _pattern(rf"(\b(?:authorization|cookie)\\?['\"]?\s*[:=]\s*)(?!{_NO_SECRETS})(?:{_QUOTED}|[^\"'}}]+)"),
    # name = value, name: value, "name": "value"; then --name value
    _pattern(
        rf"({_NAMES}[\w.\-]{{0,40}}(?:\\?['\"])?\s{{0,20}}(?:=>|[:=])\s{{0,20}})(?!{_NO_SECRETS}|PASSWORD\s*\()"
        rf"(?:{_QUOTED}|[^\s,;&'\"}}\])]+)"
    ),
    _pattern(rf"(--?[\w.\-]{{0,40}}{_NAMES}[\w.\-]{{0,40}}\s{{1,20}})(?!-|{_NO_SECRETS})(?:{_QUOTED}|[^\s'\"]+)"),
    _pattern(r"(\b(?:mysql|mariadb)[\w\-]{0,20}\s(?:[^\s]+\s+){0,30}?-p)[^\s\-][^\s]*"),
)


class Redactor:
    """Hides ``secrets`` wherever they stand, in whatever form they are written, and everything of a secret's looks.

    It rather hides too much: names are kept, so that one sees what was there.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms = sorted({form for secret in secrets if secret.strip() for form in _forms(secret)}, key=len, reverse=True)
        self._long = [form for form in forms if len(form) >= _SHORT]
        short = [rf"(?<!\w){re.escape(form)}(?!\w)" for form in forms if len(form) < _SHORT]
        self._short = re.compile("|".join(short)) if short else None

    def text(self, text: str) -> str:
        """The text without secrets. Redact before cutting: a part of a secret is not recognised."""
        return "\n".join(_line(line) for line in _PRIVATE_KEY.sub(HIDDEN, self.known(text)).split("\n"))

    def known(self, text: str) -> str:
        """The text without the secrets that are known."""
        for form in self._long:
            text = text.replace(form, HIDDEN)
        return self._short.sub(HIDDEN, text) if self._short else text

    def value(self, value: Any) -> Any:
        """JSON values likewise; what a secret's name stands for is hidden whatever it is."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {
                self.text(str(key)): HIDDEN if _hides(str(key), each) else self.value(each)
                for key, each in value.items()
            }
        if isinstance(value, list | tuple):
            return [self.value(each) for each in self._command_line(value)]
        return value

    @staticmethod
    def _command_line(values: list[Any] | tuple[Any, ...]) -> list[Any]:
        """The argument behind ``--password`` is one too."""
        found = list(values)
        for index, each in enumerate(found[:-1]):
            following = found[index + 1]
            if isinstance(each, str) and isinstance(following, str) and each.startswith("-") and "=" not in each:
                found[index + 1] = HIDDEN if _SECRET_KEY.search(each) else following
        return found


def redactor_of(settings: Settings) -> Redactor:
    """Knows every secret of the settings, and what lies in the folder of secrets."""
    secrets = [value.get_secret_value() for _, value in settings if isinstance(value, SecretStr)]
    if settings.secrets_dir.is_dir():
        for path in sorted(settings.secrets_dir.iterdir()):
            secrets += _in_file(path)
    return Redactor(secrets)


def _line(line: str) -> str:
    if long := len(line) > _LONGEST_LINE:
        line = line[:_LONGEST_LINE]
    small = line.lower()
    if any(word in small for word in _SUSPICIOUS):
        for pattern, instead in _PATTERNS:
            line = pattern.sub(instead, line)
    return f"{line[:-_CUT_END]}…" if long else line


def _in_file(path: Path) -> list[str]:
    """The file's text as a whole and line by line; a folder or a file that we may not read has nothing for us."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            text = file.read(_LONGEST_FILE).strip()
    except OSError:
        return []
    return [text, *(line.strip() for line in text.splitlines() if len(line.strip()) >= _SHORT)]


def _forms(secret: str) -> set[str]:
    """As it is, as JSON, in a URL, in base64."""
    secret = secret.strip()
    forms = {secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], quote(secret, safe="")}
    if len(secret) >= _SHORT:
        forms.add(base64.b64encode(secret.encode()).decode())
    return forms


def _hides(key: str, value: Any) -> bool:
    """Numbers and truth values are no secrets: ``password_expired: true`` is a fact."""
    if value is None or isinstance(value, bool) or value == "":
        return False
    return bool(_SECRET_KEY.search(key)) and not (isinstance(value, dict | list | tuple) and not value)
