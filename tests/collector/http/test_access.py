"""Who may ask for what."""

from __future__ import annotations

from pathlib import Path

import pytest

from collector.admission import Refusal
from collector.http.access import Access
from collector.http.allowance import Rate
from collector.http.tokens import Holder, Tokens, issue
from tests.collector.world import StillClock


class World:
    def __init__(self, folder: Path) -> None:
        path = folder / "tokens.yaml"
        self.agent, self.gone = (f"Bearer {issue(path, node)}" for node in ("j1", "x1"))
        self.reader, self.peer = (
            f"bearer  {issue(path, 'wall', 'reader')}",
            f"Bearer {issue(path, 'p', 'peer')}",
        )
        self.tokens = Tokens.load(path)
        rate = Rate(0.001, 5, StillClock())
        self.shut = Access(self.tokens, False, lambda: {"j1"}, rate)
        self.open = Access(self.tokens, True, lambda: {"j1"}, rate)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def refusal(ask: object, shown: str) -> tuple[int, str, str]:
    assert callable(ask)
    with pytest.raises(Refusal) as caught:
        ask(shown)
    return caught.value.status, caught.value.reason, str(caught.value)


def test_each_scope_opens_its_own_door(world: World) -> None:
    assert world.shut.bringer(world.agent) == Holder("agent", "j1")
    assert world.shut.bringer(world.peer) == Holder("peer", "p")
    assert world.shut.agent(world.agent) == "j1"
    assert world.shut.reader(world.reader) == Holder("reader", "wall")


def test_and_no_other(world: World) -> None:
    for ask, shown in (
        (world.shut.bringer, world.reader),
        (world.shut.agent, world.reader),
        (world.shut.agent, world.peer),
        (world.shut.reader, world.agent),
        (world.shut.reader, world.peer),
    ):
        assert refusal(ask, shown)[:2] == (403, "scope")
    assert refusal(world.shut.reader, world.agent)[2].startswith(
        "the token of agent j1 may only bring its own batches and read its own plan; this needs"
    )


@pytest.mark.parametrize(
    "shown", ["", "Bearer", "Bearer ", "Bearer x", "Basic abc", "\udcff \udcff", "Bearer x y"]
)
def test_without_a_token_of_ours_nothing_opens(world: World, shown: str) -> None:
    for ask in (world.shut.bringer, world.shut.agent, world.shut.reader):
        status, reason, sentence = refusal(ask, shown)
        assert (status, reason) == (401, "token")
        assert "linkgauge token" in sentence
        assert "abc" not in sentence


def test_open_reads_ask_nobody(world: World) -> None:
    assert world.open.reader("") is None
    assert refusal(world.open.bringer, "")[0] == 401


def test_a_node_that_left_the_inventory_is_told_so(world: World) -> None:
    assert refusal(world.shut.bringer, world.gone)[:2] == (403, "unknown_agent")
    status, reason, sentence = refusal(world.shut.agent, world.gone)
    assert (status, reason) == (404, "unknown_agent")
    assert sentence == "x1 is not in the inventory; add it there, or stop its agent"


def test_an_agent_that_asks_too_often_is_told_when_to_come_again_and_a_peer_is_not_bound(
    world: World,
) -> None:
    for _ in range(5):
        world.shut.bringer(world.agent)
    assert refusal(world.shut.bringer, world.agent)[:2] == (429, "rate")
    assert refusal(world.shut.agent, world.agent)[:2] == (429, "rate")
    for _ in range(20):
        world.shut.bringer(world.peer)
        world.shut.reader(world.reader)
