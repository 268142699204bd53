"""Plays a course: real requests over the links to real reflectors, and their replies back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from probes.sockets.arrival import Received
from probes.sockets.raw_name import address_of
from probes.stamp.reflector import SOMEWHERE, Reflector
from probes.stamp.requests import Requests
from probes.stamp.session_table import identities
from tests.probes.simulation.course import ERROR, INTERVAL_NS, LAYOUT, Course, Played, Replies

TURN_NS = 2_000_000
"""The reflector comes by so often; what came meanwhile waited, and is answered in one batch."""
PORT_UNREACHABLE, PROHIBITED = (3 << 8 | 3, 1 << 8 | 4), (3 << 8 | 13, 1 << 8 | 1)
_SPACING_NS, _LEAVING_NS = 2_000, 1_500

Ints = NDArray[np.int64]
Octets = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class _Answers:
    """Replies as they left the reflector, (k,) each."""

    packet: Ints
    left_ns: Ints
    data: Octets
    life: Ints
    number: Ints
    t2_ns: Ints
    t3_ns: Ints


def play(course: Course) -> Played:
    """What happens on that course; the same for the same seed."""
    random = np.random.default_rng(course.seed)
    n = course.packets
    requests = _requests(course)
    left_ns = np.arange(n) // course.sessions * INTERVAL_NS + np.arange(n) % course.sessions * _SPACING_NS
    stamped = random.random(n) >= course.unstamped
    told_ns = course.near.read(np.arange(n) // course.sessions * INTERVAL_NS)
    t1_ns = np.where(stamped, course.near.read(left_ns), told_ns)
    fate = random.random(n)
    failed = fate < course.failed
    refused = ~failed & (fate < course.failed + course.refused)
    prohibited = ~failed & ~refused & (fate < course.failed + course.refused + course.prohibited)
    told_off = np.where(refused, PORT_UNREACHABLE[course.v6], np.where(prohibited, PROHIBITED[course.v6], 0))
    told_off_ns = left_ns + 2 * course.forward.base_ns
    sent = np.flatnonzero(~failed & (told_off == 0))
    packet, at_ns = course.forward.carry(sent, left_ns[sent], random)
    away = _away(course, at_ns)
    if course.refuses:
        told_off[packet[away]] = PORT_UNREACHABLE[course.v6]
    packet, at_ns = packet[~away], at_ns[~away]
    answers = _reflect(course, requests, packet, at_ns)
    back, back_ns = course.backward.carry(np.arange(len(answers.packet)), answers.left_ns, random)
    replies = Replies(
        answers.packet[back], back_ns, answers.data[back], answers.life[back], answers.number[back],
        answers.t2_ns[back], answers.t3_ns[back],
    )  # fmt: skip
    arrived = np.bincount(packet, minlength=n)
    told_off = np.where(arrived > 0, 0, told_off)
    return Played(course, t1_ns, stamped, failed, arrived, told_off, told_off_ns, requests, replies)


def _requests(course: Course) -> Octets:
    """The octets of every packet, (packets, LAYOUT.size)."""
    n = course.sessions
    block = np.zeros((n, LAYOUT.size), np.uint8)
    maker = Requests(block, [LAYOUT] * n, [0] * n, [None] * n, 1)
    maker.set_ssid(course.ssid())
    maker.set_error(ERROR)
    made = np.empty((course.ticks, n, LAYOUT.size), np.uint8)
    told_ns = course.near.read(np.arange(course.ticks) * INTERVAL_NS)
    for tick in range(course.ticks):
        maker.write(0, n, course.first_seq + tick, int(told_ns[tick]))
        made[tick] = block
    return made.reshape(-1, LAYOUT.size)


def _away(course: Course, at_ns: Ints) -> NDArray[np.bool_]:
    away = np.zeros(len(at_ns), np.bool_)
    for begin_ns, end_ns in course.down:
        away |= (at_ns >= begin_ns) & (at_ns < end_ns)
    return away


def _reflector(course: Course, life: int) -> Reflector:
    """The first life has answered first_number packets of each session already."""
    near = course.names()[0]
    made = Reflector(lambda name: address_of(name) == address_of(near), salt=course.seed)
    if life == 0 and course.first_number:
        names = np.tile(near, (course.sessions, 1))
        sessions = identities(names, course.ssid().astype(">u2").view(np.uint16), SOMEWHERE.index)
        made._table.number[made._table.add(sessions, 0)] = course.first_number
    return made


def _reflect(course: Course, requests: Octets, packet: Ints, at_ns: Ints) -> _Answers:
    """All answers to packets (k,) that come at these times: every one gets one."""
    life = np.sum([at_ns >= end_ns for _, end_ns in course.down], axis=0, dtype=np.int64)
    life = np.broadcast_to(life, packet.shape)
    turn = at_ns // TURN_NS + life * (1 << 40)
    data = np.ascontiguousarray(requests[packet])
    k = len(packet)
    left_ns, t3_ns, number = np.zeros(k, np.int64), np.zeros(k, np.int64), np.zeros(k, np.int64)
    t2_ns = course.far.read(at_ns)
    begins = np.flatnonzero(np.diff(turn, prepend=-1))
    reflector, lives = _reflector(course, 0), 0
    for begin, end in zip(begins.tolist(), [*begins[1:].tolist(), k], strict=True):
        if life[begin] != lives:
            lives = int(life[begin])
            reflector = _reflector(course, lives)
        part = slice(begin, end)
        count = np.arange(end - begin)
        awake_ns = (int(at_ns[begin]) // TURN_NS + 1) * TURN_NS
        got = _arrivals(course, data[part], t2_ns[part])
        replies = reflector.reflect(got, ERROR, awake_ns)[0]
        assert len(replies.rows) == end - begin
        t3_ns[part] = course.far.read(np.array([awake_ns]))[0]
        replies.stamp(int(t3_ns[begin]))
        number[part] = replies.number
        left_ns[part] = awake_ns
        if course.follow_up:
            left_ns[part] += count * _LEAVING_NS
            t3_ns[part] = course.far.read(left_ns[part])
            reflector.departed(replies.slots, replies.number, t3_ns[part])
    assert reflector.refused.sum() == 0
    assert number[0] == course.first_number
    return _Answers(packet, left_ns, data, life, number, t2_ns, t3_ns)


def _arrivals(course: Course, data: Octets, t2_ns: Ints) -> Received:
    count = len(data)
    return Received(
        data, np.full(count, LAYOUT.size), np.tile(course.names()[0], (count, 1)), t2_ns,
        np.full(count, 250, np.uint8), np.full(count, 2, np.uint8),
    )  # fmt: skip
