"""What a raw ICMP socket lets in: echo replies with one identifier, as a program for the kernel.

A raw socket is shown all ICMP of the host, the replies to other programs' pings among it. A classic BPF
program (bpf(4), socket(7) SO_ATTACH_FILTER) keeps them out of the receive queue, where they would cost time
and room. ICMP errors come by the error queue, which no filter touches.
"""

from __future__ import annotations

import ctypes
import socket
import struct

from probes.icmp.packet import REPLY

_SO_ATTACH_FILTER = 26
_PROGRAM = struct.Struct("=H6xQ")
"""struct sock_fprog."""
_HEADER_TO_X, _ZERO_TO_X, _HALF_AT_X, _IF_EQUAL, _RETURN = 0xB1, 0x01, 0x48, 0x15, 0x06
_INSTRUCTION = struct.Struct("=HBBI")
_WHOLE = 0xFFFF


def program(version: int, ident: int) -> bytes:
    """The instructions (struct sock_filter): pass replies of `version` with `ident`, drop what is else.

    An IPv4 socket's packets begin with the IP header, an IPv6 socket's with the ICMPv6 header.
    """
    to_header = (_HEADER_TO_X, 0, 0, 0) if version == 4 else (_ZERO_TO_X, 0, 0, 0)
    instructions = (
        to_header,
        (_HALF_AT_X, 0, 0, 0),  # type and code
        (_IF_EQUAL, 0, 3, REPLY[version] << 8),
        (_HALF_AT_X, 0, 0, 4),
        (_IF_EQUAL, 0, 1, ident),
        (_RETURN, 0, 0, _WHOLE),
        (_RETURN, 0, 0, 0),
    )
    return b"".join(_INSTRUCTION.pack(*one) for one in instructions)


def attach(sock: socket.socket, version: int, ident: int) -> None:
    """Let only such replies into a raw socket; raises OSError."""
    instructions = program(version, ident)
    code = ctypes.create_string_buffer(instructions, len(instructions))
    count = len(instructions) // _INSTRUCTION.size
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, _PROGRAM.pack(count, ctypes.addressof(code)))
