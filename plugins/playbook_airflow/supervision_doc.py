"""What a person reads on the page of a supervision Dag."""
# ruff: noqa: E501 - a row of a Markdown table is one line

from __future__ import annotations

_TEXT = """\
### {service}: {summary}

Keeps the process `{service}` running. The process belongs to the process host, not to Airflow: it survives the death
of any Airflow component. The one task `supervise` watches it from the triggerer (no worker slot) and has it running
again within about a second after a death. {checks} look at what the process needs when a run begins; they report and
do not hold anything up.

| You want to | Do this |
|---|---|
| see what it is doing | the task's button **Process log**, or the log of the task `supervise` (a status line each minute, every end with its exit code) |
| **stop it, and have it stay stopped** | mark the run **failed** (or success). The process ends gracefully (SIGTERM; SIGKILL after 20 s). The next run appears at once and is *held*: it starts nothing, and says so in its log |
| start it again | switch this Dag **off and on**; or **clear** the task `supervise` of the run that you ended, or of the held one; or start the process by hand (`python -m include.services start {service}` in the project's environment), which is adopted |
| leave it running, but have nothing restarted | switch this Dag off (**pause**). The process runs on; if it dies it stays down until the Dag is switched on |
| restart it once | `python -m include.services restart {service}`; supervision adopts the new process |
| supervise it anew without touching it | clear the running task `supervise` |

**Crash loop** (settings `restart_budget`, `restart_budget_seconds`, `restart_cooldown_seconds`; here their defaults).
The first restart comes at once, the next ones after 0.5, 1, 2 … s. After {starts} starts within
{window:g} s the run **fails** with the exit code and the end of the process log. The next run waits {cooldown:g} s, tries
once, and fails again if that did not help; a life of {window:g} s counts as healthy and wipes the slate. To try at once:
remove the cause, then start the process by hand.

**Stopped by somebody else.** A stop through the process host is a wish too: supervision holds the process until it is
started again, as above.

**While something is away.** Without the process host a running process is watched by its process id, and a dead one is
restarted once the host is back. Without the triggerer the process runs on unwatched, and the next triggerer adopts it
(about ten seconds); a run marked failed in that very moment stops nothing: mark the next one. Without the API server
the last known position of the switch counts.
"""


def supervision_doc(service: str, summary: str, checks: str) -> str:
    """Markdown for ``doc_md``. ``checks`` names the tasks beside ``supervise``."""
    from include.settings import Settings

    defaults = {name: Settings.model_fields[name].default for name in _BUDGET_FIELDS}
    starts, window, cooldown = defaults.values()
    return _TEXT.format(
        service=service, summary=summary, checks=checks, starts=starts, window=window, cooldown=cooldown
    )


_BUDGET_FIELDS = ("restart_budget", "restart_budget_seconds", "restart_cooldown_seconds")
