"""Error budgets outlive a restart, and a damaged or unwritable file hinders nobody."""

from __future__ import annotations

from pathlib import Path

import pytest

from collector.live.kept_budget import EVERY_NS, KeptBudget
from linkgauge.errors import StoreError
from tests.collector.world import StillClock


class World:
    def __init__(self, folder: Path) -> None:
        self.path, self.clock, self.body = folder / "budget", StillClock(), b"one"
        self.failures = 0
        self.budget = KeptBudget(self.path, lambda: self.body, self.clock, self.fail)
        self.taken: list[bytes] = []

    def fail(self) -> None:
        self.failures += 1

    def refuse(self, _body: bytes) -> None:
        raise StoreError("this is no budget")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_it_is_written_every_five_minutes_and_taken_up_again(world: World) -> None:
    world.budget.restore(world.taken.append)
    world.budget.step()
    assert not world.path.exists()
    world.clock.wall_ns += EVERY_NS
    world.budget.step()
    world.body = b"two"
    world.clock.wall_ns += EVERY_NS - 1
    world.budget.step()
    world.budget.restore(world.taken.append)
    world.budget.write()
    world.budget.restore(world.taken.append)
    assert world.taken == [b"one", b"two"]
    assert [each.name for each in world.path.parent.iterdir()] == ["budget"]


def test_what_is_damaged_is_moved_aside(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.path.write_bytes(b"old")
    world.budget.restore(world.refuse)
    assert not world.path.exists()
    assert "this is no budget" in caplog.text
    (aside,) = world.path.parent.iterdir()
    assert aside.read_bytes() == b"old"


def test_a_folder_that_cannot_be_written_is_told_once_and_counted(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.path.mkdir()
    for _ in range(3):
        world.budget.write()
    assert world.failures == 3
    assert caplog.text.count("budget_not_kept") == 1
    world.budget.restore(world.taken.append)
    assert "budget_unreadable" in caplog.text
    world.path.rmdir()
    world.budget.write()
    assert world.path.read_bytes() == b"one"
