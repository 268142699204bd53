"""What may be asked in a second and at once."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.http.allowance import AT_ONCE, EACH_AT_ONCE, SPREAD_S, Later, Rate, Workload, jittered_s
from linkgauge.clock import NS_PER_S, Instant


class Clock:
    def __init__(self) -> None:
        self.mono_ns = 0

    def now(self) -> Instant:
        return Instant(self.mono_ns, 0)


def takes(rate: Rate, name: str) -> bool:
    try:
        rate.take(name)
    except Later:
        return False
    return True


def test_a_burst_passes_and_then_the_rate_for_each_name() -> None:
    clock = Clock()
    rate = Rate(2, 5, clock)
    assert [takes(rate, "a") for _ in range(7)] == [True] * 5 + [False] * 2
    assert takes(rate, "b")
    with pytest.raises(Later, match="a asks more than 2 times a second") as caught:
        rate.take("a")
    assert (caught.value.status, caught.value.reason) == (429, "rate")
    clock.mono_ns += NS_PER_S
    assert [takes(rate, "a") for _ in range(3)] == [True, True, False]
    clock.mono_ns += 3600 * NS_PER_S
    assert [takes(rate, "a") for _ in range(6)] == [True] * 5 + [False]


@given(st.lists(st.integers(0, NS_PER_S), max_size=200))
def test_never_more_than_burst_and_rate_allow(steps_ns: list[int]) -> None:
    clock = Clock()
    rate = Rate(3, 4, clock)
    taken = 0
    for step_ns in steps_ns:
        clock.mono_ns += step_ns
        taken += takes(rate, "a")
        assert taken <= 4 + 3 * clock.mono_ns / NS_PER_S + 1e-6


def test_those_turned_away_come_again_at_different_times() -> None:
    waits = {jittered_s(2.5) for _ in range(300)}
    assert min(waits) >= 3
    assert max(waits) <= 3 + SPREAD_S
    assert len(waits) > 3


async def refused(work: Workload, name: str, octets: int = 1) -> tuple[int, str]:
    with pytest.raises(Later) as caught:
        async with work.room(name, octets):
            pass
    assert caught.value.retry_after_s >= 1
    return caught.value.status, caught.value.reason


def test_batches_in_work_are_bounded_for_each_and_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collector.http.allowance.WAIT_S", 0.05)

    async def crowd() -> None:
        work = Workload(1000)
        async with AsyncExitStack() as held:
            for _ in range(EACH_AT_ONCE):
                await held.enter_async_context(work.room("a", 1))
            assert await refused(work, "a") == (429, "rate")
            for at in range(AT_ONCE - EACH_AT_ONCE):
                await held.enter_async_context(work.room(f"n{at}", 1))
            assert await refused(work, "b") == (503, "busy")
        assert work.batches == 0
        async with work.room("b", 1):
            assert work.batches == 1

    asyncio.run(crowd())


def test_their_octets_are_bounded_and_one_always_finds_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collector.http.allowance.WAIT_S", 0.05)

    async def crowd() -> None:
        work = Workload(1000)
        async with work.room("a", 5000):
            assert await refused(work, "b") == (503, "busy")
        async with AsyncExitStack() as held:
            for name in "abcdefgh":
                await held.enter_async_context(work.room(name, 125))
            assert await refused(work, "a") == (429, "rate")  # its share is taken
            assert await refused(work, "i") == (503, "busy")
        async with work.room("a", 600), work.room("b", 400):
            assert await refused(work, "c") == (503, "busy")
        assert work.batches == 0

    asyncio.run(crowd())


def test_who_waits_counts_as_the_holders_and_nobody_fills_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collector.http.allowance.WAIT_S", 600.0)

    async def crowd() -> None:
        work = Workload(8000)
        async with AsyncExitStack() as held:
            for at in range(AT_ONCE):
                await held.enter_async_context(work.room(f"n{at}", 1))
            waiting = [asyncio.create_task(_bring(work, "a")) for _ in range(EACH_AT_ONCE)]
            await asyncio.sleep(0)
            assert await refused(work, "a") == (429, "rate")
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
            again = asyncio.create_task(_bring(work, "a"))
            await asyncio.sleep(0)
        await again
        assert work.batches == 0
        assert work._of == {}

    asyncio.run(crowd())


async def _bring(work: Workload, name: str) -> None:
    async with work.room(name, 1):
        pass


def test_who_waits_has_room_in_turn_and_who_goes_away_holds_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("collector.http.allowance.WAIT_S", 600.0)

    async def crowd() -> list[str]:
        work, order = Workload(AT_ONCE), list[str]()

        async def bring(name: str) -> None:
            async with work.room(name, 1):
                assert work.batches <= AT_ONCE
                order.append(name)
                await asyncio.sleep(0)

        async with AsyncExitStack() as held:
            for at in range(AT_ONCE):
                await held.enter_async_context(work.room(f"n{at}", 1))
            tasks = [asyncio.create_task(bring(f"w{at}")) for at in range(200)]
            await asyncio.sleep(0)
            for task in tasks[::2]:
                task.cancel()
            await asyncio.sleep(0)
            assert order == []
        await asyncio.gather(*tasks, return_exceptions=True)
        assert work.batches == 0
        return order

    assert asyncio.run(crowd()) == [f"w{at}" for at in range(1, 200, 2)]
