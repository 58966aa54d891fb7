"""The watch: followers that come and go, delays, errors that nobody must wait for in silence."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from include.health.observations import Seen
from include.health.verdicts import Assessment, State, Verdict
from include.incidents.correlation import Correlator
from include.incidents.errors import StoreUnavailableError, WatchError
from include.incidents.followers import Followers
from include.incidents.memory_store import MemoryIncidentStore
from include.incidents.model import HandOver, IncidentState
from include.incidents.situation import Situation
from include.incidents.sql_store import SqlIncidentStore
from include.incidents.store import IncidentStore
from include.incidents.watch import Watch, WatchPace
from include.incidents.watch_parts import WatchParts
from include.playbook.names import ScenarioId
from include.playbook.playbook import get_playbook
from include.settings import load_settings
from tests.support.correlating import HEALTHY, KAFKA_GONE, NAMES, UNKNOWN, Desk
from tests.support.incident_stores import Backend

K, S, M, P, L = ScenarioId
QUICK = WatchPace(
    refresh=0.03,
    situation=0.03,
    grace=0.2,
    idle=0.3,
    start=1.0,
    stall=0.15,
    store=0.2,
    back_off=0.02,
    longest_back_off=0.05,
)


class Plant:
    """Prober and detector in one: what is shown is seen, a look each 20 ms, or at once after ``show``."""

    def __init__(self) -> None:
        self.desk = Desk(started=False)  # only its verdicts are used
        self.desk.show(**dict.fromkeys(NAMES, HEALTHY))
        self.news = asyncio.Event()
        self.looks = self.starts = self.closed = 0
        self.hangs = False
        self.fault: Exception | None = None

    def show(self, **verdicts: Verdict) -> float:
        self.desk.clock.advance(time.time() - self.desk.at)
        self.desk.show(**verdicts)
        self.news.set()
        return time.time()

    async def seen(self) -> AsyncIterator[Seen]:
        self.starts += 1
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self.news.wait(), 3600 if self.hangs else 0.02)
            self.news.clear()
            if self.hangs:
                continue
            self.looks += 1
            yield Seen(time.time())

    def feed(self, seen: Seen) -> Assessment:
        if self.fault is not None:
            raise self.fault
        return Assessment(at=seen.at, verdicts=dict(self.desk.verdicts))

    async def aclose(self) -> None:
        self.closed += 1


class Rig:
    """A watch over a plant."""

    def __init__(self, store: Callable[[], IncidentStore], pace: WatchPace = QUICK) -> None:
        self.plant = Plant()
        self.builds = 0
        self.build_fault: Exception | None = None
        self.make_store = store
        self.watch = Watch(self._build, pace=pace)

    def _build(self) -> WatchParts:
        self.builds += 1
        if self.build_fault is not None:
            raise self.build_fault
        return WatchParts(
            prober=self.plant, detector=self.plant, correlator=Correlator(get_playbook()), store=self.make_store()
        )

    async def until(self, scenario: ScenarioId, fits: Callable[[Situation], object], timeout: float = 3) -> Situation:
        """The first situation that fits."""
        async with asyncio.timeout(timeout), aclosing(self.watch.follow(scenario)) as situations:
            async for situation in situations:
                if fits(situation):
                    return situation
        raise AssertionError("the watch ended")


class Kept(MemoryIncidentStore):
    """Survives being closed; may be away, or hang."""

    away = False
    hang = 0.0

    def __init__(self) -> None:
        super().__init__()
        self.asked_on: set[int] = set()

    def _do(self, work: Any, *, write: bool) -> Any:
        self.asked_on.add(threading.get_ident())
        time.sleep(self.hang)
        if self.away:
            raise StoreUnavailableError("the disk is full")
        return super()._do(work, write=write)

    def close(self) -> None:
        self.asked_on.add(threading.get_ident())


@pytest.fixture
def store() -> Kept:
    return Kept()


@pytest.fixture
async def rig(store: Kept) -> AsyncGenerator[Rig, None]:
    made = Rig(lambda: store)
    yield made
    await made.watch.close()


async def test_a_healthy_pipeline_is_told_at_a_steady_pace(rig: Rig) -> None:
    seen: list[float] = []
    async with aclosing(rig.watch.follow(K)) as situations:
        async for situation in situations:
            assert (situation.verdict.state, situation.incident, situation.needs_hand_over) == (
                State.HEALTHY,
                None,
                False,
            )
            seen.append(time.monotonic())
            if len(seen) == 5:
                break
    assert all(0.025 < later - earlier < 0.5 for earlier, later in pairwise(seen))


async def test_from_an_observation_to_the_row_takes_milliseconds(database: Backend) -> None:
    rig = Rig(lambda: SqlIncidentStore(database.url), WatchPace())
    other = SqlIncidentStore(database.url)
    try:
        await rig.until(K, lambda s: s.verdict.state is State.HEALTHY)
        following = asyncio.create_task(rig.until(K, lambda s: s.needs_hand_over))
        await asyncio.sleep(0.1)
        shown = rig.plant.show(kafka=KAFKA_GONE)
        situation = await following
        told = time.time() - shown
        [row] = other.open_incidents()
        written = row.opened_at.timestamp() - shown
        print(f"row after {written * 1000:.1f} ms, follower told after {told * 1000:.1f} ms")  # noqa: T201
        assert situation.incident is not None
        assert situation.incident.id == row.id
        assert written < 0.5
        assert told < 0.5
    finally:
        await rig.watch.close()
        other.close()


async def test_followers_of_several_scenarios_share_one_pipeline(rig: Rig) -> None:
    rig.plant.show(kafka=KAFKA_GONE)
    both = await asyncio.gather(
        rig.until(K, lambda s: s.needs_hand_over), rig.until(S, lambda s: s.verdict.state is State.HEALTHY)
    )
    assert (rig.builds, rig.plant.starts) == (1, 1)
    assert both[1].incident is None
    await rig.until(K, lambda s: s.incident)  # and one who comes later


async def test_a_recorded_hand_over_is_known_to_the_next_follower_at_once(rig: Rig, store: Kept) -> None:
    rig.plant.show(kafka=KAFKA_GONE)
    found = await rig.until(K, lambda s: s.needs_hand_over)
    assert found.incident is not None
    store.hand_over(HandOver(found.incident.id, K, "run", "nobody", found.at))
    async with aclosing(rig.watch.follow(K)) as situations:
        assert not (await anext(situations)).needs_hand_over


async def test_a_follower_need_not_wait_for_the_next_reading_of_the_incidents(store: Kept) -> None:
    rig = Rig(lambda: store, WatchPace(refresh=60))
    await rig.until(K, lambda s: True)
    await rig.until(K, lambda s: True, timeout=1)
    await rig.watch.close()


async def test_only_what_is_followed_opens_and_for_a_moment_after(rig: Rig, store: Kept) -> None:
    await rig.until(K, lambda s: True)
    async with aclosing(rig.watch.follow(S)) as situations:
        await anext(situations)
        await asyncio.sleep(0.3)  # Kafka's last follower left too long ago
        rig.plant.show(kafka=KAFKA_GONE)
        await asyncio.sleep(0.1)
        assert store.open_incidents() == ()
    await rig.until(K, lambda s: s.needs_hand_over)
    rig.plant.show(kafka=HEALTHY)
    await asyncio.sleep(0.05)
    rig.plant.show(mysql=KAFKA_GONE)
    await rig.until(M, lambda s: s.incident)


async def test_it_stops_looking_when_nobody_follows_and_begins_anew(rig: Rig) -> None:
    await rig.until(K, lambda s: True)
    await asyncio.sleep(0.6)
    looks = rig.plant.looks
    assert rig.plant.closed == 1
    await asyncio.sleep(0.1)
    assert rig.plant.looks == looks
    await rig.until(K, lambda s: True)
    assert (rig.builds, rig.plant.starts) == (2, 2)


async def test_an_unexpected_error_is_told_and_the_watch_starts_anew(rig: Rig) -> None:
    await rig.until(K, lambda s: True)
    rig.plant.fault = ZeroDivisionError("by zero")
    with pytest.raises(WatchError, match="ZeroDivisionError: by zero"):
        await rig.until(K, lambda s: False)
    rig.plant.fault = None
    await rig.until(K, lambda s: s.verdict.state is State.HEALTHY)
    assert rig.builds > 1
    assert rig.plant.closed == rig.builds - 1


async def test_a_watch_that_cannot_be_built_says_why(rig: Rig) -> None:
    rig.build_fault = FileNotFoundError("graph.toml")
    with pytest.raises(WatchError, match=r"graph\.toml"):
        await rig.until(K, lambda s: True)
    rig.build_fault = None
    await rig.until(K, lambda s: True)


async def test_a_prober_that_hangs_is_told(rig: Rig) -> None:
    await rig.until(K, lambda s: True)
    rig.plant.hangs = True
    began = time.monotonic()
    with pytest.raises(WatchError, match="nothing has been seen for"):
        await rig.until(K, lambda s: False)
    assert time.monotonic() - began < 1


@pytest.mark.parametrize("how", ["away", "hang"])
async def test_a_store_that_is_away_is_told_and_nothing_is_forgotten(rig: Rig, store: Kept, how: str) -> None:
    await rig.until(K, lambda s: True)
    setattr(store, how, 0.6)
    rig.plant.show(kafka=KAFKA_GONE)
    with pytest.raises(WatchError, match="the incident store has been away for"):
        await rig.until(K, lambda s: False)
    setattr(store, how, 0)
    rig.plant.show(kafka=HEALTHY)
    async with asyncio.timeout(5):
        while not store.recent():
            with suppress(WatchError):
                await rig.until(K, lambda s: True)
            await asyncio.sleep(0.02)
    [incident] = store.recent()
    assert incident.scenario is K
    assert rig.builds == 1  # it went on looking


async def test_the_loop_never_waits_for_the_store(rig: Rig, store: Kept) -> None:
    """However slow it is: it is asked on a thread of its own, also by what opens an incident, and when it is closed."""
    await rig.until(K, lambda s: True)
    rig.plant.show(kafka=KAFKA_GONE)
    await rig.until(K, lambda s: s.incident)
    await rig.watch.close()
    assert len(store.asked_on) == 1
    assert threading.get_ident() not in store.asked_on


async def test_two_watches_on_one_store_make_one_incident(store: Kept) -> None:
    rigs = Rig(lambda: store), Rig(lambda: store)
    for rig in rigs:
        await rig.until(K, lambda s: True)
    for rig in rigs:
        rig.plant.show(kafka=KAFKA_GONE)
    found = await asyncio.gather(*(rig.until(K, lambda s: s.incident) for rig in rigs))
    assert len({s.incident.id for s in found if s.incident}) == len(store.recent()) == 1
    for rig in rigs:
        rig.plant.show(kafka=UNKNOWN)
        await rig.watch.close()
    assert store.recent()[0].state is IncidentState.DETECTED


async def test_closing_ends_it_for_everybody(rig: Rig) -> None:
    following = asyncio.create_task(rig.until(K, lambda s: False))
    await rig.until(K, lambda s: True)
    await rig.watch.close()
    with pytest.raises(WatchError, match="closed"):
        await following
    assert rig.plant.closed == 1


async def test_another_event_loop_is_refused_while_one_follows(rig: Rig) -> None:
    await rig.until(K, lambda s: True)
    with pytest.raises(WatchError, match="another event loop"):
        await asyncio.to_thread(asyncio.run, rig.until(K, lambda s: True))


async def test_the_shared_watch_is_one_for_a_home(tmp_path: Path) -> None:
    one, other = load_settings(home=tmp_path / "a"), load_settings(home=tmp_path / "b")
    assert await asyncio.to_thread(Watch.shared, one) is Watch.shared(one)
    assert Watch.shared(one) is not Watch.shared(other)


def test_who_follows() -> None:
    followers = Followers(grace=30)
    assert (followers.followed(0), followers.alone_for(5)) == (frozenset(), 0)
    followers.join(K)
    followers.join(K)
    followers.join(S)
    followers.leave(K, 10)
    assert followers.followed(100) == {K, S}
    followers.leave(K, 110)
    followers.leave(S, 120)
    assert followers.followed(139) == {K, S}
    assert followers.followed(145) == {S}
    assert followers.alone_for(150) == 30
