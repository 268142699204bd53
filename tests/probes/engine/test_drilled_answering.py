"""A drill between real sockets and the reflector: what is lost, late or twice for the sender."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from linkgauge.clock import NS_PER_S, SystemClock
from probes.engine.answering import Answering
from probes.engine.drill_order import DrillOrder, write_order
from probes.engine.playing import Playing
from probes.sockets.raw_name import raw_name
from probes.sockets.sockets import BatchSocket
from probes.stamp.reflector import Reflector
from tests.probes.loopback import FAR4, HOME4, PATIENCE_S, SYNCED

_CLOCK = SystemClock()
MORE_TURNS = 200
"""So often what waits is still answered and read when all has come that should."""


def _replies(path: Path, fault: str, magnitude: float | None, packets: int, wanted: int) -> tuple[int, float]:
    """(replies, s from sending to the first) of so many packets from HOME4 while the fault plays.

    wanted: so many replies are waited for; then it is looked whether there are more.
    """
    until = time.time() + 600
    order = {"link": "a>b@net", "peer": HOME4, "fault": fault, "magnitude": magnitude}
    write_order(path, DrillOrder.model_validate({**order, "until": _text(until)}))
    playing = Playing(path, _CLOCK, np.random.default_rng(3).random)
    playing.look(_CLOCK.now().mono_ns)
    playing.played()
    reflector = Reflector(lambda name: True)
    answering = Answering([(FAR4, 0)], reflector, _CLOCK, playing)
    sender = BatchSocket(HOME4, 0)
    try:
        target = np.tile(raw_name(FAR4, answering.sockets[0].port), (packets, 1))
        data = np.zeros((packets, 44), np.uint8)
        data[:, 3] = np.arange(packets)
        data[:, 12:14] = SYNCED >> 8, SYNCED & 0xFF
        began_s = time.monotonic()
        sender.send(data, target)
        return _count(sender, answering, began_s, wanted)
    finally:
        sender.close()
        answering.close()


def _count(sender: BatchSocket, answering: Answering, began_s: float, wanted: int) -> tuple[int, float]:
    came, first_s, turns_after = 0, 0.0, 0
    while time.monotonic() < began_s + PATIENCE_S and turns_after < MORE_TURNS:
        turns_after += came >= wanted
        answering.answer(SYNCED)
        answering.answer_held(SYNCED)
        if (got := sender.receive()) is not None:
            came += len(got.length)
            first_s = first_s or time.monotonic() - began_s
    return came, first_s


def _text(moment_s: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment_s))


def test_a_blackhole_has_no_replies(tmp_path: Path) -> None:
    assert _replies(tmp_path / "drill.yaml", "blackhole", None, 20, 0) == (0, 0.0)


def test_duplicates_are_answered_twice(tmp_path: Path) -> None:
    came, _ = _replies(tmp_path / "drill.yaml", "duplicate", 1.0, 20, 40)
    assert came == 40


def test_delay_comes_later_and_nothing_is_lost(tmp_path: Path) -> None:
    came, first_s = _replies(tmp_path / "drill.yaml", "delay", 200_000.0, 20, 20)
    assert came == 20
    assert first_s >= 0.2


@pytest.mark.parametrize("fault", ["remark", "mark-ce", "jitter", "flow-blackhole"])
def test_the_others_answer_what_they_should(tmp_path: Path, fault: str) -> None:
    wanted = 0 if fault == "flow-blackhole" else 20
    assert _replies(tmp_path / "drill.yaml", fault, None, 20, wanted)[0] == wanted


def test_without_a_drill_nothing_is_due() -> None:
    answering = Answering([(FAR4, 0)], Reflector(lambda name: True), _CLOCK)
    try:
        answering.answer_held(SYNCED)
        assert answering.due_ns(5 * NS_PER_S) == 5 * NS_PER_S
        assert answering.drilled() == 0
    finally:
        answering.close()
