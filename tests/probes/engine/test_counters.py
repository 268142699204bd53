"""Counters of a window: what came since the last time, each from where it arises."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from linkgauge.clock import SystemClock
from probes.engine.answering import Answering
from probes.engine.closing import Closings
from probes.engine.counters import Counters
from probes.engine.flights import Flights
from probes.engine.noted import Fitness
from probes.engine.plan_sessions import staff
from probes.engine.sender import Sender
from probes.stamp.policy import Refusal
from probes.stamp.reflector import Reflector
from probes.stamp.sessions import Discard
from tests.probes.loopback import FAR4, stamp_plan


class Parts:
    """What an engine counts in."""

    def __init__(self) -> None:
        self.reflector = Reflector(lambda name: True)
        self.answering = Answering([(FAR4, 0)], self.reflector, SystemClock())
        made = [staff(stamp_plan(7, flows=flows), {}, 0, Flights(7, 44, {})) for flows in (1, 3)]
        self.senders: list[Sender] = [one.sender for one in made]
        self.closings = Closings(self.senders[0].sessions, made[0].groups)
        self.counters = Counters(self.answering, self.reflector, self.senders, [self.closings])

    def close(self) -> None:
        self.answering.close()
        for sender in self.senders:
            sender.close()


@pytest.fixture
def parts() -> Iterator[Parts]:
    made = Parts()
    yield made
    made.close()


def noted(parts: Parts) -> dict[str, int]:
    """Those that are not 0."""
    return {name: value for name, value in parts.counters.noted().items() if value}


def test_names_are_those_of_fitness(parts: Parts) -> None:
    given = {
        "start_ns",
        "length_ns",
        "unfit",
        "loop_lag_max_us",
        "self_rtt_p50_us",
        "self_rtt_max_us",
        "self_lost",
        "drill",
    }
    assert set(parts.counters.noted()) == set(Fitness.__slots__) - given


def test_what_came_is_told_once(parts: Parts) -> None:
    assert noted(parts) == {}
    parts.reflector.reflected += 3
    parts.senders[0].sessions.missed += 2
    assert noted(parts) == {"reflected": 3, "missed": 2}
    parts.reflector.reflected += 1
    assert noted(parts) == {"reflected": 1}
    assert noted(parts) == {}


@pytest.mark.parametrize(
    ("why", "name"),
    [
        (Discard.SHORT, "malformed"),
        (Discard.CORRUPT, "malformed"),
        (Discard.UNAUTHENTIC, "malformed"),
        (Discard.UNMATCHED, "unmatched"),
        (Discard.TOO_LATE, "too_late"),
    ],
)
def test_discards_of_all_senders_are_added_up(parts: Parts, why: Discard, name: str) -> None:
    for sender in parts.senders:
        sender.sessions.discarded[why] += 2
    assert noted(parts) == {name: 4}


def test_every_discard_has_a_counter(parts: Parts) -> None:
    for why in Discard:
        parts.senders[0].sessions.discarded[why] += 1
        assert sum(noted(parts).values()) == 1


def test_every_refusal_has_a_counter(parts: Parts) -> None:
    seen = set()
    for why in Refusal:
        parts.reflector.refused[why] += 5
        told = noted(parts)
        assert list(told.values()) == [5]
        seen |= set(told)
    assert seen == {
        f"refused_{name}"
        for name in ("peer", "loop", "malformed", "authentication", "replay", "rate", "table")
    }


def test_replies_after_their_correction_are_too_late(parts: Parts) -> None:
    parts.closings.too_late += 7
    assert noted(parts) == {"too_late": 7}


def test_full_send_buffers_are_counted_at_every_socket(parts: Parts) -> None:
    parts.answering.sockets[0].send_retried += 1
    parts.senders[1].ports[2].socket.send_retried += 4
    assert noted(parts) == {"send_retried": 5}


def test_missed_slots_of_all_sessions_are_added_up(parts: Parts) -> None:
    parts.senders[1].sessions.missed[:] = np.array([1, 2, 3])
    assert noted(parts) == {"missed": 6}
