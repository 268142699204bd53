"""Labels are read from extensions, and no octets a router may send raise anything."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.contrib.mpls import MPLS, ICMPExtension_MPLS
from scapy.layers.inet import ICMPExtension_Header, ICMPExtension_InterfaceInformation
from scapy.packet import Packet

from probes.path.extension import NO_LABELS, Extensions

STACK = ICMPExtension_MPLS(
    stack=[MPLS(label=24001, s=0, ttl=1), MPLS(label=0, s=0), MPLS(label=16, s=1, ttl=7)]
)
PORT = ICMPExtension_InterfaceInformation(has_ifindex=1, ifindex=3)
QUOTED = bytes(100)


@pytest.mark.parametrize("objects", [[STACK], [STACK, PORT], [PORT, STACK]], ids=["alone", "first", "last"])
def test_labels_are_read_outermost_first(objects: list[Packet]) -> None:
    structure = bytes(ICMPExtension_Header(chksum=0)) + b"".join(map(bytes, objects))
    extensions = Extensions()
    assert extensions.labels(QUOTED + structure, len(QUOTED), v6=False) == "24001,0,16"
    assert extensions.malformed == 0


@pytest.mark.parametrize(("v6", "quoted"), [(False, 100), (True, 80)])
def test_a_router_that_tells_no_length_is_understood(v6: bool, quoted: int) -> None:
    structure = bytes(ICMPExtension_Header() / STACK)
    assert Extensions().labels(bytes(quoted) + structure, -1, v6=v6) == "24001,0,16"


def test_padding_behind_a_quotation_is_no_extension() -> None:
    extensions = Extensions()
    assert extensions.labels(bytes(44), -1, v6=False) == NO_LABELS
    assert extensions.labels(bytes(200), -1, v6=True) == NO_LABELS
    assert extensions.malformed == 0


def test_other_objects_tell_no_labels() -> None:
    extensions = Extensions()
    assert extensions.labels(bytes(ICMPExtension_Header() / PORT), 0, v6=False) == NO_LABELS
    assert extensions.malformed == 0


@pytest.mark.parametrize(
    "structure",
    [
        b"",
        b"\x20\0\0",
        b"\x10\0\0\0",
        bytes.fromhex("2000000000040101"),  # a stack without a label
        bytes.fromhex("200000000008010105dc1001")[:10],  # cut off
        bytes.fromhex("20000000000801010001f001"),  # no bottom
        bytes.fromhex("2000000000020101"),  # an object shorter than its header
        bytes.fromhex("20001234000801010001f101"),  # a wrong checksum
    ],
    ids=lambda octets: octets.hex(),
)
def test_a_malformed_extension_is_counted(structure: bytes) -> None:
    extensions = Extensions()
    assert extensions.labels(structure, 0, v6=False) == NO_LABELS
    assert extensions.malformed == 1


@given(st.binary(max_size=300), st.integers(-1, 400), st.booleans())
def test_no_octets_raise(data: bytes, at: int, v6: bool) -> None:
    Extensions().labels(data, at, v6=v6)


@given(st.binary(max_size=120))
def test_no_objects_behind_a_right_header_raise(objects: bytes) -> None:
    Extensions().labels(b"\x20\0\0\0" + objects, 0, v6=False)


@given(st.lists(st.tuples(st.integers(0, 2**20 - 1), st.integers(0, 255)), min_size=1, max_size=8))
def test_any_stack_is_read(entries: list[tuple[int, int]]) -> None:
    last = len(entries) - 1
    words = [
        (label << 12 | (at == last) << 8 | ttl).to_bytes(4, "big") for at, (label, ttl) in enumerate(entries)
    ]
    body = b"".join(words)
    structure = b"\x20\0\0\0" + (len(body) + 4).to_bytes(2, "big") + b"\1\1" + body
    assert Extensions().labels(structure, 0, v6=False) == ",".join(str(label) for label, _ in entries)
