"""Answers for a router with ICMP errors that tell MPLS labels, made with scapy and sent from a raw socket."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading

from scapy.contrib.mpls import MPLS, ICMPExtension_MPLS
from scapy.layers.inet import ICMPExtension_Header
from scapy.utils import checksum

MARK = 77
"""Firewall mark of its packets, by which those of the kernel are told apart."""
LABELS = (24001, 16)
_ETH_P_IP, _SO_MARK = 0x0800, 36
_QUOTED = 128


class LabelRouter:
    """Runs from its making, inside the router's namespace, until `close`.

    address: the router's own. tells_length: whether errors say how much they quote (RFC 4884), or not, as
    before.
    """

    def __init__(self, address: str, *, tells_length: bool) -> None:
        self._address, self._words = socket.inet_aton(address), _QUOTED // 4 if tells_length else 0
        self._heard = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_IP))
        self._heard.settimeout(0.05)
        self._said = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        self._said.setsockopt(socket.SOL_SOCKET, _SO_MARK, MARK)
        self._said.bind((address, 0))
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def close(self) -> None:
        self._closing.set()
        self._thread.join()
        self._heard.close()
        self._said.close()

    def _run(self) -> None:
        while not self._closing.is_set():
            with contextlib.suppress(TimeoutError):
                packet, (_, _, kind, _, _) = self._heard.recvfrom(2048)
                if kind == socket.PACKET_HOST and packet[8] == 1 and packet[9] == socket.IPPROTO_UDP:
                    self._said.sendto(self._error(packet), (socket.inet_ntoa(packet[12:16]), 0))

    def _error(self, packet: bytes) -> bytes:
        stack = [MPLS(label=label, s=int(label == LABELS[-1]), ttl=1) for label in LABELS]
        extension = bytes(ICMPExtension_Header() / ICMPExtension_MPLS(stack=stack))
        body = packet[:_QUOTED].ljust(_QUOTED, b"\0") + extension
        header = struct.pack("!BBHBBH", 11, 0, 0, 0, self._words, 0)
        return header[:2] + struct.pack("!H", checksum(header + body)) + header[4:] + body
