"""Worlds: a topology made real. `World` is what a user of the lab sees, `NamespaceWorld` the real network.

A world is a context manager. Entering sweeps after crashed worlds, then builds; leaving takes everything
down, also when the build or the body failed or was interrupted.
"""

from __future__ import annotations

import socket
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from lab import namespace
from lab.blueprint import Blueprint
from lab.ether import Ether, choose_ether
from lab.faults import truths
from lab.faults.fault import Fault, Truth
from lab.faults.faults import Faults
from lab.names import center_namespace, ether_namespace, node_namespace
from lab.record import Record, sweep
from lab.topology import Topology
from linkgauge.errors import LabError


class World(Protocol):
    """A network that runs, with its truth in `topology`."""

    @property
    def topology(self) -> Topology:
        """Addresses, links, true delays and capacities."""

    def command(self, node: str, argv: list[str]) -> list[str]:
        """argv as it has to be run so that it runs on that node."""

    def listen_in_center(self, port: int) -> socket.socket:
        """A listening TCP socket at the center's management address, which all nodes reach; 0: any port."""

    def reflector_port(self, node: str, network: str, public_port: int) -> int:
        """The port the node's reflector has to bind on that network so that peers reach it at public_port."""

    def true_delay_us(self, src: str, dst: str, network: str) -> int:
        """The one-way delay of a link in microseconds."""

    def inject(self, fault: Fault) -> Truth:
        """Make a fault, beside those at work; LabError where this world cannot. Returns what it does."""

    def truth_of(self, fault: Fault) -> Truth:
        """What the fault would do."""

    def inject_loss(self, src: str, dst: str, network: str, ratio: float) -> None:
        """Lose that share (0..1) of what src sends to dst on the network."""

    def clear_faults(self) -> None:
        """End all faults; idempotent."""

    def describe(self) -> dict[str, Any]:
        """What the world consists of, ready for JSON."""


def truth(world: World) -> list[dict[str, Any]]:
    """One row per link: what a measurement should find."""
    return [
        {
            "src": src,
            "dst": dst,
            "network": network,
            "true_delay_us": world.true_delay_us(src, dst, network),
            "capacity_bps": world.topology.capacity_bps(network),
        }
        for src, dst, network in world.topology.links()
    ]


class NamespaceWorld:
    """The topology as network namespaces. Needs root, iproute2, nftables, and writes below state_dir.

    shaped: faults of delay, order and number of packets can be injected; our forwarder then joins the wires.
    """

    def __init__(self, topology: Topology, state_dir: Path, shaped: bool = False) -> None:
        self._topology, self._shaped = topology, shaped
        self._state_dir = state_dir
        self._record: Record | None = None
        self._ether: Ether | None = None
        self._faults: Faults | None = None

    def __enter__(self) -> Self:
        sweep(self._state_dir)
        if self._record is not None:
            raise LabError("this world is built already: make another NamespaceWorld")
        self._record = Record.claim(
            self._state_dir, lambda world: Blueprint(self._topology, world).namespaces
        )
        try:
            self._build(self._record)
        except BaseException:  # also Ctrl-C: nothing may stay
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _build(self, record: Record) -> None:
        blueprint = Blueprint(self._topology, record.world)
        namespace.ip_batch(blueprint.creation())
        scripts = blueprint.scripts()
        between = ether_namespace(record.world)
        namespace.run_inside({between: scripts.pop(between)})
        self._ether = choose_ether(between, blueprint.wires, record.folder, self._shaped)
        if (pid := self._ether.start()) is not None:
            record.add_process(pid)
        namespace.run_inside(scripts)
        self._ether.wait_ready()
        self._faults = Faults(self._topology, record.world, blueprint.wires, self._ether)

    def close(self) -> None:
        """Take everything down: processes in the world, namespaces, interfaces, records. Idempotent."""
        self._faults = None
        if self._ether is not None:
            self._ether.stop()
            self._ether = None
        if self._record is not None:
            self._record.clear()
            self._record = None

    @property
    def topology(self) -> Topology:
        """Addresses, links, true delays and capacities."""
        return self._topology

    @property
    def id(self) -> str:
        """The id with which every namespace of this world begins."""
        return self._built().world

    @property
    def faults(self) -> Faults:
        """The faults at work, with their counters."""
        if self._faults is None:
            raise LabError("the world is not built: use it in a with statement")
        return self._faults

    def command(self, node: str, argv: list[str]) -> list[str]:
        """argv as it has to be run so that it runs in the node's namespace."""
        name = self._topology.node(node).name
        return ["ip", "netns", "exec", node_namespace(self.id, name), *argv]

    def listen_in_center(self, port: int) -> socket.socket:
        """A listening TCP socket at the center's management address; LabError when the port is taken."""
        address = (self._topology.center_address, port)
        try:
            return namespace.inside(center_namespace(self.id), lambda: socket.create_server(address))
        except OSError as error:
            raise LabError(f"cannot listen at {address[0]} port {port}: {error.strerror}") from error

    def reflector_port(self, node: str, network: str, public_port: int) -> int:
        """public_port: nothing stands before the reflectors here."""
        self._topology.address(node, network)
        return public_port

    def true_delay_us(self, src: str, dst: str, network: str) -> int:
        """The sum of the wires on the link's path."""
        return self._topology.true_delay_us(src, dst, network)

    def inject_loss(self, src: str, dst: str, network: str, ratio: float) -> None:
        """Lose that share (0..1) of what src sends to dst on the network, of every protocol."""
        self.inject(Fault("loss", (src, dst, network), magnitude=ratio))

    def inject(self, fault: Fault) -> Truth:
        """Make a fault, beside those at work."""
        return self.faults.inject(fault)

    def truth_of(self, fault: Fault) -> Truth:
        """What the fault would do."""
        return truths.truth(self._topology, fault)

    def clear_faults(self) -> None:
        """End all faults; idempotent."""
        self.faults.clear()

    def describe(self) -> dict[str, Any]:
        """What the world consists of, ready for JSON; `wires` has the counters of what delays the frames."""
        record = self._built()
        if self._ether is None:
            raise LabError("the world is not built: use it in a with statement")
        return {
            "kind": "namespaces",
            "id": record.world,
            "namespaces": list(record.namespaces),
            "wires": self._ether.status(),
            "links": truth(self),
        }

    def _built(self) -> Record:
        if self._record is None:
            raise LabError("the world is not built: use it in a with statement")
        return self._record
