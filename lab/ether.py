"""What makes wires of interface pairs in the ether namespace: netem, or else our forwarder.

Both join the same interfaces, so a world is built the same way for either.
"""

from __future__ import annotations

import dataclasses
import json
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from lab import namespace
from lab.blueprint import Wire
from lab.child import Child
from lab.impairment import Impairment
from linkgauge.errors import LabError

_LANE_LIMIT = 20_000
_STATUS_WITHIN_S = 3.0
Status = dict[str, int | float | str]


class Ether(Protocol):
    """All wires of a world."""

    def start(self) -> int | None:
        """Begin to join the wires; returns the pid of the process that does it, if one does."""

    def wait_ready(self) -> None:
        """Return when frames pass."""

    def impair(self, impairments: Sequence[Impairment]) -> None:
        """These are at work from now on, and no others; LabError where that cannot be."""

    def status(self) -> Status:
        """What it is and its counters."""

    def stop(self) -> None:
        """End; idempotent."""


class NetemEther:
    """Each wire is a bridge of two interfaces, each of which delays what it sends by netem."""

    def __init__(self, ether_namespace: str, wires: Sequence[Wire]) -> None:
        self._namespace = ether_namespace
        self._wires = wires

    def start(self) -> int | None:
        """Build the bridges."""
        namespace.run_inside({self._namespace: netem_script(self._wires)})
        return None

    def wait_ready(self) -> None:
        """The kernel is ready at once."""

    def impair(self, impairments: Sequence[Impairment]) -> None:
        """Not here: netem falls on whole interfaces, and faults on pairs of nodes."""
        if impairments:
            raise LabError("wires of netem cannot be impaired for one link: build the world with shaped=True")

    def status(self) -> Status:
        """Nothing is counted here: see `tc -s qdisc`."""
        return {"kind": "netem"}

    def stop(self) -> None:
        """The bridges go with their namespace."""


def netem_script(wires: Sequence[Wire]) -> str:
    """The `sh -e` text that joins the wires by bridges and netem. Pure."""
    ip, tc = [], []
    for number, wire in enumerate(wires):
        ip += [f"link add b{number} type bridge stp_state 0 forward_delay 0", f"link set b{number} up"]
        for end in (wire.left, wire.right):
            ip.append(f"link set {end} master b{number}")
            tc.append(f"qdisc add dev {end} root netem delay {wire.delay_us}us limit {_LANE_LIMIT}")
    return "\n".join(["ip -batch - <<END", *ip, "END", "tc -batch - <<END", *tc, "END", ""])


class ForwarderEther:
    """All wires are one process of `lab.forwarder` in the ether namespace."""

    def __init__(self, ether_namespace: str, wires: Sequence[Wire], folder: Path) -> None:
        self._wires = wires
        self._config = folder / "forwarder.json"
        self._status = folder / "forwarder-status.json"
        self._child = Child(
            "lab.forwarder",
            [str(self._config), str(self._status)],
            folder / "forwarder.log",
            ("nsenter", f"--net={namespace.path(ether_namespace)}", "--"),
        )

    def start(self) -> int | None:
        """Start the process."""
        wires = [(wire.left, wire.right, wire.delay_us) for wire in self._wires]
        self._config.write_text(json.dumps({"wires": wires}))
        return self._child.start()

    def wait_ready(self) -> None:
        """Wait until it says that it forwards."""
        if (said := self._child.hear()) != "ready":
            raise LabError(f"the forwarder said {said!r} instead of ready: look at {self._config}")

    def impair(self, impairments: Sequence[Impairment]) -> None:
        """Tell the process."""
        self._child.say(json.dumps([dataclasses.asdict(each) for each in impairments]))
        if (said := self._child.hear()) != "ok":
            raise LabError(f"the forwarder refuses the fault: {said}")

    def status(self) -> Status:
        """Ask the process for its counters (see `Forwarder.status`)."""
        self._status.unlink(missing_ok=True)
        self._child.send_signal(signal.SIGUSR1)
        deadline_s = time.monotonic() + _STATUS_WITHIN_S
        while not self._status.exists():
            if time.monotonic() > deadline_s:
                raise LabError("the forwarder does not answer: build the world anew")
            time.sleep(0.005)
        counters: Status = json.loads(self._status.read_text())
        return {"kind": "forwarder", **counters}

    def stop(self) -> None:
        """End the process."""
        self._child.end()


def choose_ether(ether_namespace: str, wires: Sequence[Wire], folder: Path, shaped: bool = False) -> Ether:
    """netem where the kernel has it, which is found out by trying; else, or where shaped, the forwarder."""
    if shaped:
        return ForwarderEther(ether_namespace, wires, folder)
    tc = ["tc", "-n", ether_namespace, "qdisc"]
    try:
        namespace.run([*tc, "add", "dev", "lo", "root", "netem", "delay", "1ms"])
    except LabError:
        return ForwarderEther(ether_namespace, wires, folder)
    namespace.run([*tc, "del", "dev", "lo", "root"])
    return NetemEther(ether_namespace, wires)
