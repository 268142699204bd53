"""One end of a wire: a packet socket that takes whole frames from an interface and puts whole frames on it.

Frames travel with the kernel's virtio_net_hdr in front (packet(7), PACKET_VNET_HDR), so that a frame whose
checksum is not filled in yet, or which is to be cut into segments later, passes as it is.
"""

from __future__ import annotations

import socket
import struct

_SOL_PACKET = 263
_PACKET_ADD_MEMBERSHIP = 1
_PACKET_STATISTICS = 6
_PACKET_VNET_HDR = 15
_PACKET_IGNORE_OUTGOING = 23
_PACKET_MR_PROMISC = 1
_SO_RCVBUFFORCE = 33
_SO_SNDBUFFORCE = 32
_SO_TIMESTAMPNS = 35
_ETH_P_ALL = 3
_BUFFER_OCTETS = 8 << 20
_FRAME_OCTETS = 10 + 14 + 4 + 65_536
_CONTROL_OCTETS = socket.CMSG_SPACE(16)
_TIMESPEC = struct.Struct("@qq")


class WireEnd:
    """A packet socket on `interface`; OSError when the interface is not there or we may not open it."""

    def __init__(self, interface: str) -> None:
        self._socket = sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER_OCTETS)
        sock.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, _BUFFER_OCTETS)
        sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        sock.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
        sock.setsockopt(_SOL_PACKET, _PACKET_VNET_HDR, 1)
        sock.bind((interface, _ETH_P_ALL))
        promiscuous = struct.pack("@iHH8s", socket.if_nametoindex(interface), _PACKET_MR_PROMISC, 0, b"")
        sock.setsockopt(_SOL_PACKET, _PACKET_ADD_MEMBERSHIP, promiscuous)
        self._buffer = bytearray(_FRAME_OCTETS)
        self._view = memoryview(self._buffer)
        self.kernel_drops = 0
        """Frames that the kernel dropped because the socket's buffer was full, as of `count_drops`."""

    def fileno(self) -> int:
        """The descriptor, for epoll."""
        return self._socket.fileno()

    def receive(self) -> tuple[int, bytes]:
        """The next frame and its kernel receive stamp, ns of the wall clock (0 when there is no stamp).

        BlockingIOError when none waits, another OSError when the interface is down.
        """
        size, control, _, _ = self._socket.recvmsg_into([self._buffer], _CONTROL_OCTETS)
        for _, kind, data in control:
            if kind == _SO_TIMESTAMPNS:
                seconds, nanoseconds = _TIMESPEC.unpack(data)
                return seconds * 1_000_000_000 + nanoseconds, bytes(self._view[:size])
        return 0, bytes(self._view[:size])

    def send(self, frame: bytes) -> None:
        """Put a frame of `receive` on the interface; OSError when the kernel does not take it."""
        self._socket.send(frame)

    def count_drops(self) -> int:
        """Add the kernel's drops since the last call (it forgets them when read) and return all so far."""
        _, drops = struct.unpack("@II", self._socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8))
        self.kernel_drops += drops
        return self.kernel_drops

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
