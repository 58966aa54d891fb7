"""Airflow's own command line with the settings and secrets of this stack: ``bin/airflow db clean …``."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from include.settings import PROJECT_ROOT, load_settings
from include.settings_errors import SettingsError
from include.stack import airflow
from include.stack.running import remembered


def main(arguments: list[str]) -> NoReturn:
    """Become ``airflow ARGUMENTS``; exits with 2 and the reason on standard error when that cannot be done."""
    try:
        settings = remembered(load_settings())
        extra = airflow.environment(settings)
    except SettingsError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    except FileNotFoundError as error:
        print(f"The secret {error.filename} is not there: start the stack first (make up).", file=sys.stderr)
        sys.exit(2)
    os.chdir(PROJECT_ROOT)
    os.execve(sys.executable, [sys.executable, "-m", "airflow", *arguments], {**os.environ, **extra})  # noqa: S606 - no shell: this is the point


if __name__ == "__main__":
    main(sys.argv[1:])
