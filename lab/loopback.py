"""The world without root: every node is an address of 127.0.0.0/8 on this host, without delay.

The one fault is loss of what one node sends to one reflector, made by `lab.relay` in front of it.
"""

from __future__ import annotations

import json
import socket
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from lab.child import Child
from lab.faults import truths
from lab.faults.fault import Fault, Truth
from lab.record import Record, sweep
from lab.topology import Topology
from lab.world import truth
from linkgauge.errors import LabError

RELAY_DELAY_US = 500
"""What the relay adds in either direction: more than it takes to work, so that it can be exact."""
_SEED = 20_250_501


class LoopbackWorld:
    """A topology of loopback addresses.

    `fronted` is the (node, network) whose reflector has the relay before it. Peers probe that reflector at
    public_port as all others; the reflector itself binds `reflector_port(node, network, public_port)`.
    Agents bind their own node's address, which is how the relay knows them.
    """

    def __init__(
        self,
        topology: Topology,
        state_dir: Path,
        fronted: tuple[str, str],
        public_port: int,
        seed: int = _SEED,
    ) -> None:
        self._topology = topology
        self._state_dir = state_dir
        self._fronted = fronted
        self._address = topology.address(*fronted)
        self.public_port = public_port
        self._inner_port = 0
        self._seed = seed
        self._record: Record | None = None
        self._relay: Child | None = None

    def __enter__(self) -> Self:
        sweep(self._state_dir)
        if self._record is not None:
            raise LabError("this world is built already: make another LoopbackWorld")
        self._record = record = Record.claim(self._state_dir, lambda _: ())
        try:
            self._inner_port = _free_port(self._address)
            numbers = (self.public_port, self._inner_port, self._seed, RELAY_DELAY_US)
            self._relay = Child("lab.relay", [self._address, *map(str, numbers)], record.folder / "relay.log")
            record.add_process(self._relay.start())
            self._relay.hear()
        except BaseException:  # also Ctrl-C: nothing may stay
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the relay and remove the record. Idempotent."""
        if self._relay is not None:
            self._relay.end()
            self._relay = None
        if self._record is not None:
            self._record.clear()
            self._record = None

    @property
    def topology(self) -> Topology:
        """Addresses and links; delays and capacities are 0."""
        return self._topology

    def command(self, node: str, argv: list[str]) -> list[str]:
        """argv unchanged: every node is this host."""
        self._topology.node(node)
        return list(argv)

    def listen_in_center(self, port: int) -> socket.socket:
        """A listening TCP socket at the center's address; LabError when the port is taken."""
        address = (self._topology.center_address, port)
        try:
            return socket.create_server(address)
        except OSError as error:
            raise LabError(f"cannot listen at {address[0]} port {port}: {error.strerror}") from error

    def reflector_port(self, node: str, network: str, public_port: int) -> int:
        """The port behind the relay for the fronted reflector, public_port for all others."""
        self._topology.address(node, network)
        if (node, network) != self._fronted:
            return public_port
        if public_port != self.public_port:
            raise LabError(f"the relay stands at port {self.public_port}, not {public_port}: use one port")
        return self._inner_port

    def true_delay_us(self, src: str, dst: str, network: str) -> int:
        """0, but for links to the fronted reflector: what the relay adds."""
        self._topology.true_delay_us(src, dst, network)
        return RELAY_DELAY_US if (dst, network) == self._fronted else 0

    def inject_loss(self, src: str, dst: str, network: str, ratio: float) -> None:
        """Lose that share (0..1) of the UDP datagrams that src sends to the fronted reflector."""
        self.inject(Fault("loss", (src, dst, network), magnitude=ratio))

    def inject(self, fault: Fault) -> Truth:
        """Loss and blackhole of the UDP datagrams to the fronted reflector."""
        src, dst, network = fault.link
        truth = self.truth_of(fault)
        if fault.kind not in ("loss", "blackhole"):
            raise LabError(f"without root there is no {fault.kind}, only loss and blackhole: be root")
        if (dst, network) != self._fronted:
            node, plane = self._fronted
            raise LabError(f"without root only links to {node} on {plane} can lose: name that one")
        self._order(f"loss {self._topology.address(src, network)} {fault.size!r}")
        return truth

    def truth_of(self, fault: Fault) -> Truth:
        """What the fault would do."""
        return truths.truth(self._topology, fault)

    def clear_faults(self) -> None:
        """End all faults; idempotent."""
        self._order("clear")

    def describe(self) -> dict[str, Any]:
        """What the world consists of, ready for JSON; `relay` has the relay's counters."""
        node, network = self._fronted
        counters = json.loads(self._order("count"))
        return {
            "kind": "loopback",
            "relay": {"node": node, "network": network, "address": self._address, **counters},
            "links": truth(self),
        }

    def _order(self, line: str) -> str:
        if self._relay is None:
            raise LabError("the world is not built: use it in a with statement")
        self._relay.say(line)
        verdict, _, rest = self._relay.hear().partition(" ")
        if verdict != "ok":
            raise LabError(f"the relay refuses `{line}`: {rest}")
        return rest


def _free_port(address: str) -> int:
    """A UDP port that is free at the address now."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((address, 0))
        return int(sock.getsockname()[1])
