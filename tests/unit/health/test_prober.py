"""The prober: cadence, deadlines, faults of a probe, and an end that nothing can hold up."""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from include.health.errors import ProberInUseError
from include.health.observations import Code, Observation, Outcome, Probe, RoundTripFacts, Seen
from include.health.prober import Prober
from include.health.probes.base import failed, one_line, seen_well
from include.runtime.clock import ManualClock
from include.settings import PROJECT_ROOT


def _fine() -> Observation:
    return seen_well(Probe.HOST, RoundTripFacts(seconds=0.001))


def _held(gate: threading.Event) -> Callable[[], Observation]:
    """A look that hangs until the gate opens."""

    def look() -> Observation:
        gate.wait(30)
        return _fine()

    return look


@pytest.fixture(autouse=True)
def _quick_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("include.health.prober.TICK_SECONDS", 0.2)


@dataclass
class FakeProbe:
    """Answers with what ``act`` says."""

    act: Callable[[], Observation] = _fine
    name: Probe = Probe.HOST
    every: float = 0.05
    deadline: float = 0.2
    overrun: Outcome = Outcome.FAILED
    starts: list[float] = field(default_factory=list)
    closed: threading.Event = field(default_factory=threading.Event)

    def look(self) -> Observation:
        self.starts.append(time.monotonic())
        return self.act()

    def close(self) -> None:
        self.closed.set()


async def follow(prober: Prober, until: Callable[[list[Seen]], object], timeout: float = 5.0) -> list[Seen]:
    """All that is seen until the condition holds."""
    found: list[Seen] = []
    async with asyncio.timeout(timeout):
        stream = prober.seen()
        async for seen in stream:
            found.append(seen)
            if until(found):
                break
        await stream.aclose()
    return found


def observations(found: list[Seen], name: Probe = Probe.HOST) -> list[Observation]:
    return [o for seen in found for o in seen.observations if o.probe is name]


async def test_each_probe_has_its_own_cadence() -> None:
    quick, slow = FakeProbe(every=0.04), FakeProbe(name=Probe.LOGS, every=0.2)
    prober = Prober([quick, slow])
    await follow(prober, lambda found: len(quick.starts) >= 11)
    prober.close()
    gaps = [b - a for a, b in zip(quick.starts, quick.starts[1:], strict=False)]
    assert statistics.median(gaps) > 0.02, "a look is not started before its time"
    assert 2 <= len(slow.starts) <= 4


async def test_first_looks_are_spread() -> None:
    probes = [FakeProbe(name=name, every=0.3) for name in (Probe.HOST, Probe.LOGS, Probe.PRODUCER)]
    prober = Prober(probes)
    await follow(prober, lambda found: all(p.starts for p in probes))
    prober.close()
    first = [p.starts[0] for p in probes]
    assert first[1] - first[0] > 0.05
    assert first[2] - first[1] > 0.05


async def test_a_result_is_handed_on_at_once_and_a_tick_comes_without_any() -> None:
    clock = ManualClock(1_700_000_000_000)
    gate = threading.Event()
    probe = FakeProbe(_held(gate), every=60, deadline=30)
    prober = Prober([probe], clock)
    stream = prober.seen()
    next_one = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0.05)
    assert not next_one.done(), "nothing has come, and no second has gone by"
    clock.advance(1.0)
    empty = await asyncio.wait_for(next_one, 3)
    assert empty == Seen(1_700_000_001.0, ()), "the time is the clock's"
    next_one = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0.05)
    released = time.monotonic()
    gate.set()
    seen = await asyncio.wait_for(next_one, 3)
    assert [o.outcome for o in seen.observations] == [Outcome.OK]
    assert time.monotonic() - released < 0.2
    await stream.aclose()
    prober.close()


async def test_without_probes_there_is_still_the_clock() -> None:
    prober = Prober([])
    found = await follow(prober, lambda found: len(found) == 2)
    assert [seen.observations for seen in found] == [(), ()]
    assert found[1].at - found[0].at < 0.5
    prober.close()


async def test_results_that_arrived_together_come_as_one() -> None:
    gate = threading.Event()
    probes = [FakeProbe(_held(gate), name=name, every=60) for name in (Probe.HOST, Probe.LOGS)]
    for probe in probes:
        probe.deadline = 30
    prober = Prober(probes)
    task = asyncio.create_task(follow(prober, lambda found: found[-1].observations))
    while not all(probe.starts for probe in probes):
        await asyncio.sleep(0.005)
    gate.set()
    time.sleep(0.05)  # holds the event loop while both results arrive
    assert len((await task)[-1].observations) == 2
    prober.close()


@pytest.mark.parametrize("declared", [Outcome.FAILED, Outcome.BLIND])
async def test_an_overrun_is_reported_at_the_deadline_once_and_not_started_again(declared: Outcome) -> None:
    gate = threading.Event()
    probe = FakeProbe(_held(gate), every=0.02, deadline=0.1, overrun=declared)
    prober = Prober([probe])
    found = await follow(prober, observations)
    (report,) = observations(found)
    assert (report.outcome, report.code) == (declared, Code.TIMEOUT)
    assert found[-1].at > 0
    assert time.monotonic() - probe.starts[0] < 0.6
    rest = await follow(prober, lambda found: len(found) >= 1)
    assert observations(rest) == [], "reported once"
    assert len(probe.starts) == 1, "never two looks at a time"
    gate.set()
    later = await follow(prober, observations)
    assert observations(later)[0].outcome is Outcome.OK
    assert len(probe.starts) >= 2, "the late result was dropped, and a new look made"
    prober.close()


async def test_what_a_probe_raises_is_its_own_fault_and_holds_no_secret() -> None:
    def broken() -> Observation:
        raise ValueError("no way to mysql://root:hunter2@127.0.0.1,\n password='hunter2' token=hunter2")

    prober = Prober([FakeProbe(broken)])
    (report, *_) = observations(await follow(prober, observations))
    prober.close()
    assert (report.outcome, report.code) == (Outcome.BLIND, Code.OWN_FAULT)
    assert report.error is not None
    assert report.error.startswith("ValueError: no way to")
    assert "hunter2" not in report.error
    assert "\n" not in report.error


async def test_a_broken_probe_does_not_disturb_the_others() -> None:
    gate = threading.Event()
    hung = FakeProbe(_held(gate), name=Probe.LOGS)
    fine = FakeProbe()
    prober = Prober([hung, fine])
    await follow(prober, lambda found: len(observations(found)) >= 5)
    gate.set()
    prober.close()


async def test_time_outs_of_a_while_in_which_the_observer_stood_still_say_nothing_about_the_target() -> None:
    clock, gate = ManualClock(), threading.Event()

    def timed_out() -> Observation:
        gate.wait(10)
        return failed(Probe.HOST, Code.TIMEOUT, "no answer")

    probe = FakeProbe(timed_out, every=60, deadline=2)
    prober = Prober([probe], clock)
    stream = prober.seen()
    next_one = asyncio.ensure_future(anext(stream))
    while not probe.starts:
        await asyncio.sleep(0.005)
    clock.advance(20)  # as if the process had been stopped for 20 s
    seen = await asyncio.wait_for(next_one, 3)
    assert seen.observations == (), "the overrun is no overrun"
    next_one = asyncio.ensure_future(anext(stream))
    gate.set()
    (report,) = (await asyncio.wait_for(next_one, 3)).observations
    assert (report.outcome, report.code) == (Outcome.BLIND, Code.OWN_FAULT)
    await stream.aclose()
    prober.close()


async def test_cancelled_and_followed_again() -> None:
    probe = FakeProbe()
    prober = Prober([probe])
    task = asyncio.create_task(follow(prober, lambda found: False, 60))
    while not probe.starts:
        await asyncio.sleep(0.005)
    with pytest.raises(ProberInUseError):
        await anext(prober.seen())
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.sleep(0)  # the generator's own end
    assert observations(await follow(prober, observations))
    prober.close()
    assert probe.closed.is_set()
    with pytest.raises(ProberInUseError):
        await anext(prober.seen())


async def test_closing_ends_the_follower_and_closes_probes_that_never_looked() -> None:
    probe = FakeProbe(every=60)
    prober = Prober([probe])
    task = asyncio.create_task(follow(prober, lambda found: False, 60))
    await asyncio.sleep(0.02)
    await prober.aclose()
    await asyncio.wait_for(task, 1)
    idle = FakeProbe()
    Prober([idle]).close()
    assert probe.closed.is_set()
    assert idle.closed.is_set()


async def test_closing_does_not_wait_for_a_look_that_hangs() -> None:
    gate = threading.Event()
    probe = FakeProbe(_held(gate), deadline=0.05)
    prober = Prober([probe])
    await follow(prober, observations)
    began = time.monotonic()
    prober.close(timeout=0.1)
    assert time.monotonic() - began < 1.0
    gate.set()


def test_the_process_can_end_while_a_look_hangs() -> None:
    program = """
        import asyncio, threading
        from include.health.observations import Outcome, Probe
        from include.health.prober import Prober

        class Hung:
            name, every, deadline, overrun = Probe.HOST, 1.0, 0.05, Outcome.FAILED
            def look(self): threading.Event().wait()
            def close(self): pass

        async def main():
            prober = Prober([Hung()])
            async for seen in prober.seen():
                if seen.observations:
                    break
            prober.close(0.1)

        asyncio.run(main())
        print("ended")
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "ended"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("two\nlines", "two lines"),
        ("https://key:pass@host/x", "https://host/x"),
        ("PASSWORD: abc, more", "PASSWORD: (hidden), more"),
        ("password = 'a b'", "password = (hidden)"),
        ("x" * 400, "x" * 299 + "…"),
        ("", "str"),
    ],
)
def test_one_line(text: str, line: str) -> None:
    assert one_line(text) == line
