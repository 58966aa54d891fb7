"""Keeps one process running: adopt or start it, watch it, restart it within milliseconds, give up in good time.

Runs in an event loop that is shared with others, so everything that blocks goes to a thread. It needs the process
host only to start, and Airflow's API only to learn of the Dag's switch: while either is away the process is watched
all the same, as far as it can be seen from here (:mod:`include.services.process_table`).
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from include.runtime.clock import Clock, SystemClock
from include.services.controller import ServiceController, ServiceStatus
from include.services.dag_switch import AsksDagSwitch, DagSwitch, LastKnownSwitch
from include.services.errors import HostUnreachableError, ServiceTimeoutError, StartFailedError
from include.services.leases import LeaseAnswer, LeaseReply, NoLeases, ServiceLease, ServiceLeases, StopOrigin
from include.services.process_table import LocalProcesses, ProcessTable
from include.services.processes import ProcessIdentity
from include.services.service_handle import ServiceHandle
from include.services.supervision import RestartBudget, RestartDecision, Verdict, decide
from include.services.supervision_report import Deed, GaveUp, Log, NoNews, Pace, SupervisionNews, utc
from include.services.supervision_store import Hold, HoldReason, SupervisionState, SupervisionStore


@dataclass
class ProcessSupervisor:
    """Supervises one service. :meth:`run` ends only by giving up or by cancellation, which leaves the process alone."""

    name: str
    controller: ServiceController
    store: SupervisionStore
    source: AsksDagSwitch
    budget: RestartBudget
    log: Log
    run_id: str = ""  # of the supervision run
    clock: Clock = field(default_factory=SystemClock)
    pace: Pace = field(default_factory=Pace)
    leases: ServiceLeases = field(default_factory=NoLeases)
    news: SupervisionNews = field(default_factory=NoNews)
    processes: ProcessTable = field(default_factory=LocalProcesses)

    def __post_init__(self) -> None:
        self._switch = LastKnownSwitch(self.source)
        self._state = SupervisionState()
        self._last_exit: ServiceStatus | None = None
        self._started_once = False
        self._said: dict[str, float] = {}  # topic → when it was last said
        self._service = ServiceHandle(self.name, self.controller, self.clock, self.processes)
        self._lease = ServiceLease(self.name, self.leases, self.clock)
        self._hold_explained = False  # whether it is known who stopped what is held as stopped at the host

    # --- The loop ------------------------------------------------------------------------------------------------
    async def run(self) -> GaveUp:
        """Keep the process running until its restart budget is exhausted."""
        besides = asyncio.gather(self._keep_asking(), self._lease.open())
        try:
            while True:  # the file is the truth: an earlier run may write its person's wish while this one begins
                self._state = await asyncio.to_thread(self.store.load)
                if self._state.hold:
                    await self._stay_held(self._state.hold)
                elif process := await self._service.process(self._state.process):
                    await self._watch(process)
                elif self._state.process:
                    await self._after_exit(self._state.process, seen=False)
                elif given_up := await self._bring_back():
                    return given_up
        finally:
            besides.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await besides

    async def _keep_asking(self) -> None:
        while True:
            await self._switch.refresh()
            await asyncio.sleep(self.pace.ask_switch)

    # --- While it runs -------------------------------------------------------------------------------------------
    async def _watch(self, process: ProcessIdentity) -> None:
        if process != self._state.process:  # started by another hand, or by an earlier run: it counts like our own
            history = self._state.history.started(self.clock.time_ms())
            await self._remember(replace(self._state, process=process, history=history, starts=self._state.starts + 1))
            self.log.info(f"Adopted {self.name}, which was running already: pid {process.pid}.")
        elif not self._started_once:
            self.log.info(f"Supervision goes on: {self.name} runs as before, pid {process.pid}.")
        self._started_once = True
        ended = asyncio.create_task(self.processes.until_exit(process))
        since = self.clock.monotonic()
        try:
            while not (await asyncio.wait({ended}, timeout=self.pace.report))[0]:
                seconds = self.clock.monotonic() - since
                self.log.info(
                    f"{self.name} runs: pid {process.pid}, watched for {seconds:.0f} s, "
                    f"restarts so far {max(self._state.starts - 1, 0)}, Dag {self._switch.last}."
                )
        finally:
            ended.cancel()
        ended.result()
        await self._after_exit(process)

    async def _after_exit(self, process: ProcessIdentity, *, seen: bool = True) -> None:
        """``seen``: it ended just now; otherwise nobody looked when it did."""
        self._state = await asyncio.to_thread(self.store.load)  # a stop by a person may have left a hold in it
        status = await self._service.status_after_exit()
        lines = await self._service.tail(10)
        code = "unknown" if status is None or status.exit_code is None else status.exit_code
        log_end = "".join(f"\n  {line}" for line in lines)
        self.log.warning(f"{self.name} (pid {process.pid}) has ended, exit code {code}. End of its log:{log_end}")
        if await asyncio.to_thread(self.processes.kill_remains, process):
            self.log.warning(f"Killed what {self.name} (pid {process.pid}) had left behind in its process group.")
        await self._note_end(status, process, seen=seen)

    async def _note_end(
        self, status: ServiceStatus | None, process: ProcessIdentity | None = None, *, seen: bool = True
    ) -> None:
        """The process ended: on request of a person, which is a wish to respect; for a remedy; or on its own."""
        now_ms = self.clock.time_ms()
        state = replace(self._state, history=self._state.history.ended(now_ms, self.budget), process=None)
        if status and status.stopped_on_request and not state.hold:
            origin = await self._origin_of_stop(status, now_ms if seen else None)
            if origin is not StopOrigin.REMEDY:
                state = replace(state, hold=Hold(HoldReason.STOPPED_AT_HOST, now_ms, process))
        self._last_exit = status
        await self._remember(state)

    async def _origin_of_stop(self, status: ServiceStatus | None, seen_ms: int | None) -> StopOrigin:
        seen_at = None if seen_ms is None else datetime.fromtimestamp(seen_ms / 1000, UTC)
        origin = await self._lease.origin_of_stop(status.started_at if status else None, seen_at)
        self._hold_explained = origin is not StopOrigin.UNKNOWN
        if origin is StopOrigin.REMEDY:
            self.log.info(f"{self.name} was stopped by a remedy, which is no wish that it stay so.")
        return origin

    # --- While it does not ---------------------------------------------------------------------------------------
    async def _bring_back(self) -> GaveUp | None:
        """One step towards a running process: wait, start it, or give up."""
        if await self._switch.refresh() is DagSwitch.PAUSED:
            self._say("paused", f"{self.name} does not run. This Dag is paused, so it is not started.")
            await asyncio.sleep(self.pace.look)
            return None
        self._said.pop("paused", None)
        verdict = decide(self._state.history, self.budget, self.clock.time_ms())
        match verdict.decision:
            case RestartDecision.RESTART_NOW:
                await self._start()
            case RestartDecision.BUDGET_EXHAUSTED:
                return await self._give_up(verdict)
            case _:
                self._say(verdict.decision, self._wait_text(verdict))
                await asyncio.sleep(min(verdict.wait_seconds, self.pace.look))
        return None

    def _wait_text(self, verdict: Verdict) -> str:
        due = utc(self.clock.time_ms() + round(verdict.wait_seconds * 1000))
        if verdict.decision is RestartDecision.WAIT_COOLDOWN:
            return f"{self.name} did not stay up in the last run; cooling down, next try at {due}."
        return f"Start {verdict.starts + 1} of {self.budget.starts} after a back-off of {verdict.wait_seconds:.1f} s."

    async def _start(self) -> None:
        """Start it, unless a remedy has it in its hands; without the incident store there is no telling."""
        reply = await self._lease.take(self.pace.start + self.pace.stop)
        if reply.answer is LeaseAnswer.HELD:
            return await self._wait_for(reply)
        if reply.answer is LeaseAnswer.UNKNOWN:
            self._say("store", f"{self.name} is started without a word with the remedies: {reply.why}.")
        try:
            if await self._service.process(None) is None:  # else whoever had the lease before has started it
                await self._start_alone()
        finally:
            self._lease.give_back()

    async def _wait_for(self, reply: LeaseReply) -> None:
        text = f"{self.name} is not started now: it is in the hands of {reply.purpose}, until {utc(reply.until_ms)}."
        if "lease" not in self._said:
            self.news.tell(self.name, Deed.WAITED, text, {"holder": reply.holder, "purpose": reply.purpose})
        self._say("lease", text)
        await asyncio.sleep(self.pace.look)

    async def _start_alone(self) -> None:
        before, history = self._state, self._state.history.started(self.clock.time_ms())
        await self._remember(
            replace(before, history=history)
        )  # before the start: a triggerer that dies now must still have counted it
        try:
            await self._service.start(self.pace.start)
        except HostUnreachableError as error:
            await self._remember(before)
            self._say("host", f"{error}. {self.name} cannot be started; retrying.")
            await asyncio.sleep(self.pace.retry_host)
            return
        except ServiceTimeoutError as error:
            self.log.warning(str(error))  # whether there is a process now, the loop finds out
        except StartFailedError as error:
            self.log.warning(str(error))
            await self._note_end(await self._service.status_after_exit())
        else:
            await self._note_started()

    async def _note_started(self) -> None:
        with contextlib.suppress(HostUnreachableError):  # gone this very moment: the loop goes on asking
            if process := self.processes.identify(await self._service.status()):
                await self._remember(replace(self._state, process=process, starts=self._state.starts + 1))
                self._said.clear()
                self._started_once = True
                self.log.info(f"Started {self.name}: pid {process.pid}.")
                self._tell_start(process)
            else:  # ended again already
                await self._note_end(await self._service.status_after_exit())

    def _tell_start(self, process: ProcessIdentity) -> None:
        last, deed = self._last_exit, Deed.RESTARTED if self._state.starts > 1 else Deed.STARTED
        code = last.exit_code if last else None
        text = f"Supervision {deed} {self.name}: process id {process.pid}."
        if last and not last.pid:
            text += f" The one before ended with exit code {'unknown' if code is None else code}."
        self.news.tell(self.name, deed, text, {"pid": process.pid, "exit_code": code})

    async def _give_up(self, verdict: Verdict) -> GaveUp:
        now_ms = self.clock.time_ms()
        await self._remember(replace(self._state, history=self._state.history.gave_up(now_ms)))
        lines = await self._service.tail(20)
        exit_code = self._last_exit.exit_code if self._last_exit else None
        next_try_ms = now_ms + round(self.budget.cooldown_seconds * 1000)
        text = f"Supervision gave up on {self.name} after {verdict.starts} starts; next try at {utc(next_try_ms)}."
        self.news.tell(self.name, Deed.GAVE_UP, text, {"starts": verdict.starts, "exit_code": exit_code})
        return GaveUp(self.name, verdict.starts, exit_code, lines, next_try_ms, self.budget.window_seconds)

    # --- On hold -------------------------------------------------------------------------------------------------
    async def _stay_held(self, hold: Hold) -> None:
        """Keep the process stopped until somebody wants it back; one look a call."""
        if self.run_id in hold.ended_runs:
            return await self._release("the task was cleared")
        if hold.reason is HoldReason.STOPPED_AT_HOST and await self._is_a_mistake(hold):
            return await self._release("a remedy had stopped it")
        why = {
            HoldReason.RUN_ENDED_BY_PERSON: "its supervision was ended by a person in Airflow",
            HoldReason.STOPPED_AT_HOST: "it was stopped through the process host",
        }[hold.reason]
        self._say(
            "hold",
            f"{self.name} is held: {why} at {utc(hold.since_ms)}, so it stays stopped. To start it again: switch this "
            "Dag off and on, or clear this task, or start the process by hand.",
        )
        process = await self._service.process(None)
        if process and process != hold.process:
            return await self._release(f"pid {process.pid} was started by hand")
        if process:
            await self._stop_process(process)
        switch = await self._switch.refresh()
        if switch is DagSwitch.PAUSED and not hold.dag_paused:
            await self._remember(replace(self._state, hold=replace(hold, dag_paused=True)))
        if switch is DagSwitch.ON and hold.dag_paused:
            return await self._release("the Dag was switched off and on")
        return await asyncio.sleep(self.pace.look)

    async def _is_a_mistake(self, hold: Hold) -> bool:
        """Nobody could tell, when it ended, that a remedy had stopped it: the incident store was away."""
        return not self._hold_explained and await self._origin_of_stop(None, hold.since_ms) is StopOrigin.REMEDY

    async def _release(self, why: str) -> None:
        self._said.clear()
        self.log.info(f"{self.name} is no longer held: {why}.")
        await self._remember(SupervisionState(starts=self._state.starts))

    # --- What a person does --------------------------------------------------------------------------------------
    async def end_by_person(self) -> None:
        """The run or task was marked in Airflow: remember the wish, then stop the process gracefully."""
        self._service.close()
        state = await asyncio.to_thread(self.store.load)
        if state.hold:
            return await self._remember(replace(state, hold=state.hold.ended(self.run_id)))
        paused = await self._switch.refresh() is DagSwitch.PAUSED
        hold = Hold(HoldReason.RUN_ENDED_BY_PERSON, self.clock.time_ms(), state.process, paused, (self.run_id,))
        await self._remember(replace(state, hold=hold))  # first of all: the next run may begin any moment
        process = await self._service.settled_process(state.process)
        await self._remember(replace(self._state, hold=replace(hold, process=process)))
        self.log.info(f"The run was ended by a person: stopping {self.name}; it stays stopped until it is wanted back.")
        return await self._stop_process(process) if process else None

    async def clear_by_person(self) -> None:
        """The task was cleared in Airflow: the process runs on; if it was held, it is wanted back."""
        self._service.close()
        self._state = await asyncio.to_thread(self.store.load)
        if self._state.hold:
            await self._release("the task was cleared")

    async def _stop_process(self, process: ProcessIdentity) -> None:
        outcome = await self._service.stop(process, self.pace.stop)
        self.log.info(f"{self.name} (pid {process.pid}): {outcome}.")

    # --- Small things --------------------------------------------------------------------------------------------
    async def _remember(self, state: SupervisionState) -> None:
        self._state = state
        await asyncio.to_thread(self.store.save, state)

    def _say(self, topic: str, text: str) -> None:
        """Say it now and, while it stays so, once every report interval."""
        now = self.clock.monotonic()
        if topic not in self._said or now - self._said[topic] >= self.pace.report:
            self._said[topic] = now
            self.log.info(text)
