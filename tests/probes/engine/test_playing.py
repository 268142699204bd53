"""A drill of a running agent: begun by a file, ended by time or by taking the file away, said both times."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from linkgauge.clock import NS_PER_S, Instant
from linkgauge.errors import ConfigError
from probes.engine.drill_order import DrillOrder, read_order, write_order
from probes.engine.playing import Playing

_START = Instant(mono_ns=1_000, wall_ns=1_700_000_000 * NS_PER_S)


class _Clock:
    """Still, unless a test moves it."""

    at_s = 0.0

    def now(self) -> Instant:
        passed_ns = round(self.at_s * NS_PER_S)
        return Instant(_START.mono_ns + passed_ns, _START.wall_ns + passed_ns)


@pytest.fixture
def clock() -> _Clock:
    return _Clock()


def _order(lasts_s: float, fault: str = "loss") -> DrillOrder:
    until = datetime.fromtimestamp(_START.wall_ns / NS_PER_S + lasts_s, UTC)
    return DrillOrder(link="a>b@net", peer="10.0.0.1", fault=fault, until=until)


def _playing(path: Path, clock: _Clock) -> Playing:
    return Playing(path, clock, np.random.default_rng(5).random)


def test_a_file_begins_a_drill_and_time_ends_it(
    tmp_path: Path, clock: _Clock, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "drill.yaml"
    playing = _playing(path, clock)
    with caplog.at_level(logging.WARNING):
        playing.look(clock.now().mono_ns)
        assert playing.fault is None
        assert not playing.played()
        write_order(path, _order(30))
        clock.at_s = 2
        playing.look(clock.now().mono_ns)
        assert playing.fault is None
        assert playing.played()  # of the window in which it was announced
        assert playing.fault is not None
        assert (
            "DRILL begins with the next window: this reflector plays loss (a ratio of 0.05) on what 10.0.0.1"
            in caplog.text
        )
        clock.at_s = 31
        playing.look(clock.now().mono_ns)
    assert playing.fault is None
    assert "DRILL ends, its time is over" in caplog.text
    assert playing.played()  # of the window in which it ended
    assert not playing.played()
    assert not path.exists()


def test_a_file_that_is_taken_away_ends_it(
    tmp_path: Path, clock: _Clock, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "drill.yaml"
    write_order(path, _order(30))
    playing = _playing(path, clock)
    playing.look(clock.now().mono_ns)
    assert playing.played()
    path.unlink()
    clock.at_s = 2
    playing.look(clock.now().mono_ns)
    assert playing.fault is None
    assert "its file was taken away" in caplog.text


def test_what_is_over_or_too_long_or_not_understood_plays_nothing(
    tmp_path: Path, clock: _Clock, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "drill.yaml"
    playing = _playing(path, clock)
    for text, word in (("fault: gremlin\n", "no drill"), ("]", "no drill")):
        path.write_text(text)
        clock.at_s += 2
        playing.look(clock.now().mono_ns)
        assert playing.fault is None
        assert word in caplog.text
    write_order(path, _order(7_200))
    clock.at_s += 2
    playing.look(clock.now().mono_ns)
    assert "longer than 3600 s" in caplog.text
    write_order(path, _order(-5))
    clock.at_s += 2
    playing.look(clock.now().mono_ns)
    assert playing.fault is None
    assert not path.exists()


def test_an_order_says_what_is_wrong_with_it(tmp_path: Path) -> None:
    path = tmp_path / "drill.yaml"
    assert read_order(path) is None
    path.write_text("link: a>b@net\npeer: 10.0.0.1\nfault: gremlin\nuntil: '2026-01-01T00:00:00Z'\n")
    with pytest.raises(ConfigError, match=r"drill\.yaml: .*gremlin.* cannot be played; one of loss, "):
        read_order(path)
