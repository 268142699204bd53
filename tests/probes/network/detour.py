"""A second way between the two ends, which takes longer: some packets go there and are overtaken."""

from __future__ import annotations

import fcntl
import os
import select
import struct
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from tests.probes.network.cable import Cable

DEVICE = "lgttun"
_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
_MARK, _TABLE = 7, 70


@contextmanager
def detour(cable: Cable, match: Mapping[str, Sequence[str]], every: int, delay_ns: int) -> Iterator[None]:
    """match: of each end what leaves it: every `every`th comes delay_ns later than by the cable."""
    handles = {end: cable.inside(end, _tun) for end in ("near", "far")}
    done = threading.Event()
    carriers = []
    try:
        for end, other in (("near", "far"), ("far", "near")):
            _lead(cable, end, match[end], every)
            way = (handles[end], handles[other], delay_ns, done)
            carriers.append(threading.Thread(target=_carry, args=way))
        for carrier in carriers:
            carrier.start()
        yield
    finally:
        done.set()
        for carrier in carriers:
            carrier.join()
        for handle in handles.values():
            os.close(handle)


def _lead(cable: Cable, end: str, match: Sequence[str], every: int) -> None:
    """Send some of what leaves by the device of the longer way."""
    names = ("all", DEVICE)
    quiet = " ".join(f"net.ipv4.conf.{name}.rp_filter=0" for name in names)
    cable.run(end, "sh", "-ec", f"ip link set {DEVICE} up; sysctl -qw {quiet}")
    rules = [f"{each} numgen inc mod {every} == 0 meta mark set {_MARK}" for each in match]
    chain = "chain aside { type route hook output priority 0;\n" + "\n".join(rules) + "\n}\n"
    cable.run(end, "nft", "-f", "-", text=f"table inet lgtdetour {{\n{chain}}}\n")
    for family in ("-4", "-6"):
        cable.run(end, "ip", family, "rule", "add", "fwmark", str(_MARK), "table", str(_TABLE), "pref", "0")
        cable.run(end, "ip", family, "route", "add", "default", "dev", DEVICE, "table", str(_TABLE))


def _tun() -> int:
    handle = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(handle, _TUNSETIFF, struct.pack("16sH22x", DEVICE.encode(), _IFF_TUN | _IFF_NO_PI))
    return handle


def _carry(way_in: int, way_out: int, delay_ns: int, done: threading.Event) -> None:
    waiting: deque[tuple[int, bytes]] = deque()
    while not done.is_set():
        wait_s = 0.05 if not waiting else max(0.0, (waiting[0][0] - time.monotonic_ns()) / 1e9)
        if select.select([way_in], [], [], wait_s)[0]:
            waiting.append((time.monotonic_ns() + delay_ns, os.read(way_in, 2048)))
        while waiting and waiting[0][0] <= time.monotonic_ns():
            os.write(way_out, waiting.popleft()[1])
