"""Windows in, roll-ups out: through journal, archive, notes and maker, on a clock that is moved by hand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from collector.rollup import source as source_file
from collector.rollup.maker import ASIDE_S
from collector.rollup.merge import roll_up
from collector.rollup.slot import HOUR_NS, SHORT_NS
from linkgauge.clock import NS_PER_S
from linkgauge.frame import Frame, concat
from linkgauge.schema import WINDOW, WINDOW_1H, WINDOW_5M
from tests.collector.rollup.windows import T0_NS, Sampled, alike, frame_of
from tests.collector.rollup.world import LINKS, World

WINDOW_S = 10


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


def _windows(first: int, count: int, links: tuple[str, ...] = LINKS) -> list[Sampled]:
    """`count` windows of each link from the window `first` after T0_NS on."""
    chance = np.random.default_rng(first)
    return [
        Sampled(T0_NS + at * WINDOW_S * NS_PER_S, tuple(chance.lognormal(14, 0.5, 9).tolist()), link=link)
        for at in range(first, first + count)
        for link in links
    ]


def _send(world: World, windows: list[Sampled], revision: int = 0) -> Frame:
    """Each agent sends its rows in a batch; returns all rows."""
    frames = []
    for agent in dict.fromkeys(one.link.partition(">")[0] for one in windows):
        own = frame_of([one for one in windows if one.link.startswith(f"{agent}>")])
        frame = Frame.of(WINDOW, {**own.columns, "revision": [revision] * own.rows}, own.rows)
        world.send(agent, frame)
        frames.append(frame)
    return concat(WINDOW, frames)


def _sorted(frame: Frame) -> Frame:
    return frame.take(np.lexsort((frame.count("start_ns"), frame.text("link").astype(str))))


def _as_rolled(world: World, frame: Frame) -> bool:
    """The archive's roll-ups are those of the frame."""
    short, hour = (
        alike(_sorted(world.read(table)), _sorted(roll_up(frame, table))) for table in (WINDOW_5M, WINDOW_1H)
    )
    return short and hour


def _hour(world: World) -> Frame:
    """An hour passes: windows come, roll-ups are made as time goes on."""
    sent = []
    for step in range(12):
        world.at(300 * (step + 1) + 5)
        sent.append(_send(world, _windows(30 * step, 30)))
        world.pump()
        world.at(300 * (step + 1) + 31)
        assert world.make() == 1
    world.at(3600 + 121)
    assert world.make() == 1
    assert world.make() == 0
    return concat(WINDOW, sent)


def test_an_hour_of_windows_becomes_twelve_rows_and_one(world: World) -> None:
    sent = _hour(world)
    assert world.read(WINDOW_5M).rows == 12 * len(LINKS)
    assert world.read(WINDOW_1H).rows == len(LINKS)
    assert _as_rolled(world, sent)
    assert world.notes.counts() == {}


def test_late_rows_and_revisions_make_their_slots_again(world: World) -> None:
    sent = _hour(world)
    world.at(2 * 3600)
    first = _windows(31, 1, LINKS[:1])
    corrected = [replace(one, rtt_ns=(*one.rtt_ns, 9e8), extent=3) for one in first]
    again = _send(world, corrected, revision=1)
    world.pump()
    assert world.make() == 1
    assert world.make() == 1, "the hour follows its part"
    assert world.make() == 0
    late = _send(world, _windows(360, 3, LINKS[1:2]))
    world.pump()
    assert world.make() == 1
    assert world.make() == 0, "the next hour is not over yet"
    stays = ~((sent.text("link") == LINKS[0]) & (sent.count("start_ns") == first[0].start_ns))
    world.at(2 * 3600 + 121)
    assert world.make() == 1
    assert _as_rolled(world, concat(WINDOW, [sent.take(stays), again, late]))
    assert world.read(WINDOW_5M, [LINKS[0]]).count("reorder_extent_max").tolist().count(3) == 1


def test_what_stands_is_not_made_again_of_fewer_windows_because_a_file_is_damaged(world: World) -> None:
    world.at(100)
    for first in (0, 3):
        _send(world, _windows(first, 3))
        world.pump()
    world.at(331)
    assert world.make() == 1
    before = world.read(WINDOW_5M).count("windows").tolist()
    assert before == [6] * len(LINKS)
    file = max((world.folder / "archive").glob("window/*/*/*.parquet"))
    whole = file.read_bytes()
    file.write_bytes(whole[:-20])
    _send(world, _windows(6, 1))
    world.pump()
    assert not world.maker.step()
    assert "fewer windows" in (world.maker.trouble or "")
    world.pump()
    assert min(world.read(WINDOW_5M).count("windows").tolist()) == 6
    file.write_bytes(whole)
    world.at(331 + ASIDE_S + 1)
    while world.maker.step():
        pass
    assert world.maker.trouble is None
    world.pump()
    assert world.read(WINDOW_5M).count("windows").tolist() == [7] * len(LINKS)


def test_killed_between_journalling_and_forgetting_gives_the_same_rows(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.at(600)
    sent = _send(world, _windows(0, 30))
    world.pump()

    class Killed(BaseException):
        pass

    def kill(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(world.notes, "forget", kill)
        with pytest.raises(Killed):
            world.maker.step()
    world.maker = world.make_maker()
    assert world.make() == 1
    keys = [key[3:] for key in world.reader.keys("window_5m")]
    assert len(keys) == 2 * len(set(keys)) == 2 * len(LINKS), "journalled twice"
    world.at(2 * 3600)
    assert world.make() == 1
    assert _as_rolled(world, sent)


def test_nothing_is_made_before_the_archive_has_the_rows(world: World) -> None:
    world.at(600)
    _send(world, _windows(0, 30))
    assert world.pumps[1].step(flush=True) == 0, "noted"
    assert world.make() == 0
    world.pump()
    assert world.make() == 1


def test_a_slot_with_a_missing_agent_is_made_and_made_again_when_it_comes(world: World) -> None:
    windows = _windows(0, 30)
    mine = [one for one in windows if one.link.startswith("j1>")]
    world.at(400)
    sent = [_send(world, mine)]
    world.pump()
    assert world.make() == 1
    assert set(world.read(WINDOW_5M).text("link")) == {LINKS[0], LINKS[2]}
    sent.append(_send(world, [one for one in windows if one not in mine]))
    world.pump()
    assert world.make() == 1
    assert len(world.reader.keys("window_5m")) == len(LINKS), "only the agent that came is made again"
    world.at(4000)
    assert world.make() == 1
    assert _as_rolled(world, concat(WINDOW, sent))


def test_small_pieces_give_the_same_rows(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_file, "MOST_LINKS", 2)
    monkeypatch.setattr(source_file, "MOST_ROWS", 7)
    world.at(2 * 3600)
    sent = _send(world, _windows(0, 60))
    world.pump()
    assert world.make() == 2
    assert world.make() == 1
    assert _as_rolled(world, sent)


def test_rebuilding_notes_every_slot_that_has_rows(world: World) -> None:
    sent = _hour(world)
    touches = [touch for day in world.source.touches(T0_NS + 1, T0_NS + HOUR_NS) for touch in day]
    slots = {touch.slot for touch in touches}
    assert len([slot for slot in slots if slot.length_ns == SHORT_NS]) == 12
    assert len([slot for slot in slots if slot.length_ns == HOUR_NS]) == 1
    assert {touch.agent for touch in touches} == {"j1", "j2"}
    few = [touch for day in world.source.touches(T0_NS, T0_NS + SHORT_NS, ["j2"]) for touch in day]
    assert {(touch.agent, touch.slot.start_ns) for touch in few} == {("j2", T0_NS)}
    world.notes.note(touches, world.clock.wall_ns)
    assert world.make() == 13
    assert world.make() == 1, "the new 5-minute rows touch the hour"
    assert _as_rolled(world, sent)


def test_an_empty_archive_has_nothing_to_rebuild(world: World) -> None:
    assert [touch for day in world.source.touches(0, T0_NS) for touch in day] == []
