"""``python -m tests.compose COMMAND …``: run a command where ``docker`` works, with a private engine if need be."""
# ruff: noqa: T201 - speaks to people

from __future__ import annotations

import signal
import subprocess
import sys

from include.settings import Settings
from tests.compose.engine import engine
from tests.support.debian import NotToBeHadError


def main(command: list[str]) -> int:
    """The command's exit code; 0 as well, with the reason, where no engine can be had."""
    try:
        with engine(Settings().cache / "engine") as running:
            print(f"Engine: {'private, for these tests' if running.private else 'the one of this machine'}", flush=True)
            signal.signal(
                signal.SIGINT, lambda *_: None
            )  # the command takes it, and the engine outlives its clearing up
            return subprocess.run(command, env=running.environment, check=False).returncode
    except NotToBeHadError as reason:
        print(f"Skipped, as there is no Docker engine: {reason}.")
        print("Install Docker with Compose and Buildx, or name an engine by DOCKER_HOST.")
        return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
