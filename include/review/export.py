"""A published review for readers who do not have this machine: without its paths and its name."""

from __future__ import annotations

import re
import socket
from pathlib import Path

from include.review.errors import ReviewError
from include.review.model import PublishedReview
from include.runtime.files import write_whole
from include.settings import PROJECT_ROOT, Settings

# from the root of the file system, at least two parts deep; addresses of the network have other characters before
_PATH = re.compile(r"(?<![\w.:/>…-])/(?:[^\s/|`()\"',;:<>]+/)+([^\s/|`()\"',;:<>]*)")


def export(published: PublishedReview, folder: Path, settings: Settings) -> Path:
    """Copy the Markdown into ``folder``, cleaned; returns the file. Raises :class:`ReviewError` if it is not there."""
    try:
        text = published.markdown.read_text(encoding="utf-8")
    except OSError as error:
        raise ReviewError(f"The published file is gone: {published.markdown.name}. Publish it again.") from error
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / published.markdown.name.replace("-review", "")
    write_whole(target, without_machine(text, settings))
    return target


def without_machine(text: str, settings: Settings) -> str:
    """Paths become short, and this machine's name ``host``."""
    for place, name in ((settings.home, "var"), (settings.cache, "var/cache"), (PROJECT_ROOT, ".")):
        text = text.replace(f"{place}/", f"{name}/").replace(str(place), name)
    text = _PATH.sub(r"…/\1", text)
    machine = socket.gethostname()
    return re.sub(rf"\b{re.escape(machine)}\b", "host", text) if len(machine) > 3 else text
