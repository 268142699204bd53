"""What the engine remembers over a restart, as octets: the memory of the evaluation, the roll of alerts
and the places that explain some.

Version 1 knew links only and counted streaks; its alerts that fired go on as ones that were told. Pure.
"""

from __future__ import annotations

import msgspec

from alerts.causes.located import Recalled
from alerts.evaluation.memory import Memory, Remembered
from alerts.event import Fired
from alerts.roll.roll import Alert
from linkgauge.errors import WireError
from linkgauge.packing import pack, unpack

_VERSION = 2
_MOST = 1 << 31


class Kept(msgspec.Struct, frozen=True):
    memory: Memory
    alerts: list[Alert]
    version: int = _VERSION
    ours: list[str] = []
    """Ids of the alerts of which this collector's receivers were told; the others its peer told."""
    places: Recalled = Recalled()
    wider: dict[str, list[str]] = {}
    """Teams that this collector's receivers told of an alert which its peer told to others, by its id."""
    passed: dict[str, list[tuple[int, str]]] = {}
    """Teams that had to be told later while the peer was on duty: by id, with the window's end, Unix ns."""
    peer_told_ns: int = 0
    """Windows that ended before, Unix ns, were told by the peer for sure."""


class _Streak(msgspec.Struct, frozen=True):
    """Of version 1: a link under a watch."""

    rule: str
    direction: str
    link: str
    since_ns: int
    seen_ns: int
    fired: Fired | None


class _Streaks(msgspec.Struct, frozen=True):
    version: int
    last_ns: int
    length_ns: int
    entries: list[_Streak]


def written(kept: Kept) -> bytes:
    """As octets; packed, for alerts resemble each other."""
    return pack(msgspec.msgpack.encode(kept))


def read(data: bytes) -> Kept:
    """From octets; raises ValueError with a sentence for what is no memory of alerts."""
    try:
        body = unpack(data, _MOST)
        version = msgspec.msgpack.decode(body, type=dict[str, msgspec.Raw]).get("version")
        number = msgspec.msgpack.decode(version or b"\xc0", type=int | None)
        if number == 1:
            return _of_streaks(msgspec.msgpack.decode(body, type=_Streaks))
        if number != _VERSION:
            raise ValueError(f"this memory of alerts has version {number}, not {_VERSION}")
        return msgspec.msgpack.decode(body, type=Kept)
    except (msgspec.DecodeError, WireError) as err:
        raise ValueError(f"this is no memory of alerts ({err})") from None


def _of_streaks(former: _Streaks) -> Kept:
    """A history full of breaches for each alert that fires, so that as many clear windows end it as ever."""
    alerts: list[Alert] = []
    by_watch: dict[tuple[str, str], list[_Streak]] = {}
    for one in former.entries:
        if one.fired is not None:
            fired = msgspec.structs.replace(one.fired, about=one.link)
            alerts.append(Alert(one.rule, one.direction, one.link, fired, told=True))
            by_watch.setdefault((one.rule, one.direction), []).append(one)
    remembered = [
        Remembered(
            rule, direction, [one.link for one in ones], [(1 << 64) - 1] * len(ones), [0] * len(ones),
            [0] * len(ones), [one.since_ns for one in ones], [one.seen_ns for one in ones],
            [True] * len(ones),
        )
        for (rule, direction), ones in by_watch.items()
    ]  # fmt: skip
    memory = Memory({"state": (former.last_ns, former.length_ns)}, remembered)
    return Kept(memory, alerts, ours=[alert.fired.id for alert in alerts])
