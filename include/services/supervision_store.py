"""What supervision must remember when the triggerer dies or the next run begins: one small JSON file a process."""

from __future__ import annotations

import contextlib
import json
import tempfile
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from include.services.processes import ProcessIdentity
from include.services.supervision import RestartHistory


class HoldReason(StrEnum):
    """Why a process is to stay stopped."""

    RUN_ENDED_BY_PERSON = "run_ended_by_person"  # its supervision run or task was marked in Airflow
    STOPPED_AT_HOST = "stopped_at_host"  # the process host was asked to stop it, by a remedy or by hand


@dataclass(frozen=True, slots=True)
class Hold:
    """A wish of a person, or of a remedy, that the process stay stopped until it is started again on purpose.

    ``process`` is the one that was stopped: any other that runs was started on purpose. ``dag_paused``: the Dag was
    seen paused since, so seeing it unpaused is the wish to have the process back. ``ended_runs``: ids of the runs that
    a person ended; if one of them runs again, its task was cleared, which is that wish too.
    """

    reason: HoldReason
    since_ms: int
    process: ProcessIdentity | None = None
    dag_paused: bool = False
    ended_runs: tuple[str, ...] = ()

    def ended(self, run_id: str) -> Hold:
        """A person ended one more run."""
        return replace(self, ended_runs=(*self.ended_runs, run_id)[-20:])


@dataclass(frozen=True, slots=True)
class SupervisionState:
    """Everything that is remembered of one process."""

    history: RestartHistory = field(default_factory=RestartHistory)
    process: ProcessIdentity | None = None  # the one seen running, until its end was noted
    starts: int = 0  # since this memory began
    hold: Hold | None = None


class SupervisionStore:
    """Loads and saves the state of one process under ``<run_dir>/supervision``."""

    def __init__(self, name: str, run_dir: Path) -> None:
        self.path = run_dir / "supervision" / f"{name}.json"

    def load(self) -> SupervisionState:
        """The state; a fresh one when there is none or the file is unreadable (it is then set aside)."""
        try:
            return _decode(json.loads(self.path.read_text()))
        except FileNotFoundError:
            return SupervisionState()
        except (ValueError, KeyError, TypeError):
            self.path.replace(self.path.with_suffix(".unreadable"))
            return SupervisionState()

    def save(self, state: SupervisionState) -> None:
        """Write it whole or not at all."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=self.path.parent, prefix=self.path.stem, delete=False) as partial:
            json.dump(asdict(state), partial, indent=1)
        Path(partial.name).replace(self.path)

    def forget(self) -> None:
        """Start afresh: no hold, no history. For a person's explicit start of the whole pipeline."""
        with contextlib.suppress(FileNotFoundError):
            self.path.unlink()


def _decode(data: dict[str, Any]) -> SupervisionState:
    history, hold = data["history"], data["hold"]
    return SupervisionState(
        RestartHistory(tuple(history["starts_ms"]), history["last_exit_ms"], history["exhausted_ms"]),
        _identity(data["process"]),
        data["starts"],
        hold and _hold(hold),
    )


def _hold(data: dict[str, Any]) -> Hold:
    reason, process = HoldReason(data["reason"]), _identity(data["process"])
    return Hold(reason, data["since_ms"], process, data["dag_paused"], tuple(data["ended_runs"]))


def _identity(data: dict[str, int] | None) -> ProcessIdentity | None:
    return ProcessIdentity(data["pid"], data["start_ticks"]) if data else None
