"""The services by hand: ``python -m include.services check|status|start|stop|restart|tail [NAME]``."""

from __future__ import annotations

import argparse
import sys

from include.services.controller import ServiceController
from include.services.errors import ServicesError
from include.services.factory import check_rights, controller_from_settings
from include.settings import get_settings
from include.settings_errors import SettingsError


def main(arguments: list[str] | None = None) -> int:
    """Run one verb; 0 when it was done, 1 with the reason on standard error otherwise."""
    parser = argparse.ArgumentParser(prog="python -m include.services", description=__doc__)
    parser.add_argument("verb", choices=["check", "status", "start", "stop", "restart", "tail"])
    parser.add_argument("name", nargs="?", help="the service; status shows all without it")
    parser.add_argument("--timeout", type=float, default=30.0, help="seconds (default: %(default)g)")
    parser.add_argument("--lines", type=int, default=50, help="lines of the log (default: %(default)d)")
    options = parser.parse_args(arguments)
    if options.name is None and options.verb not in ("check", "status"):
        parser.error(f"{options.verb} needs a NAME")
    try:
        settings = get_settings()
        if options.verb == "check":
            check_rights(settings)
            print(f"All that is needed of {settings.service_adapter} is there and allowed.")
        else:
            print(_answer(controller_from_settings(settings), options))
    except (ServicesError, SettingsError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _answer(controller: ServiceController, options: argparse.Namespace) -> str:
    if options.verb == "status":
        shown = [controller.status(options.name)] if options.name else controller.statuses()
        return "\n".join(f"{s.name:24} {s.state:10} {s.description}" for s in shown)
    if options.verb == "tail":
        return "\n".join(controller.tail(options.name, options.lines))
    return f"{options.name}: {getattr(controller, options.verb)(options.name, options.timeout)}"


if __name__ == "__main__":
    sys.exit(main())
