"""What is packed comes back; what is cut, forged or too large is refused before it fills the memory."""

from __future__ import annotations

import gzip
import tracemalloc

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from linkgauge.errors import WireError
from linkgauge.packing import pack, unpack

BODY = b"\x86" + bytes(range(256)) * 40


def reason(data: bytes, most: int = 1 << 20) -> str:
    with pytest.raises(WireError) as caught:
        unpack(data, most)
    return caught.value.reason


@given(st.binary(max_size=2000))
def test_a_batch_comes_back_however_it_was_sent(rest: bytes) -> None:
    body = b"\x86" + rest
    for data in (pack(body), gzip.compress(body), body):
        assert unpack(data, len(body)) == body


def test_a_frame_without_its_size_is_read() -> None:
    packer = zstandard.ZstdCompressor().compressobj()
    data = packer.compress(BODY) + packer.flush()
    assert unpack(data, len(BODY)) == BODY
    assert reason(data, len(BODY) - 1) == "too_large"


@pytest.mark.parametrize("data", [pack(BODY), gzip.compress(BODY)], ids=["zstd", "gzip"])
def test_cut_at_any_octet(data: bytes) -> None:
    for length in range(4, len(data)):
        assert reason(data[:length]) in ("malformed", "truncated")


def test_an_octet_that_was_flipped_is_found() -> None:
    data = pack(BODY)
    for at in range(6, len(data)):  # before: how it is packed, and how large it is
        assert reason(data[:at] + bytes([data[at] ^ 0x10]) + data[at + 1 :]) in ("malformed", "too_large")


@pytest.mark.parametrize("data", [pack(BODY), gzip.compress(BODY), BODY], ids=["zstd", "gzip", "plain"])
def test_one_octet_too_many(data: bytes) -> None:
    assert reason(data, len(BODY) - 1) == "too_large"


def _streamed(size: int) -> bytes:
    packer = zstandard.ZstdCompressor().compressobj()
    return packer.compress(bytes(size)) + packer.flush()


@pytest.mark.parametrize("data", [pack(bytes(1 << 28)), _streamed(1 << 28), gzip.compress(bytes(1 << 26))])
def test_a_bomb_does_not_fill_the_memory(data: bytes) -> None:
    tracemalloc.start()
    try:
        assert reason(data) == "too_large"
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()


@given(st.binary(min_size=1, max_size=300), st.sampled_from([b"\x28\xb5\x2f\xfd", b"\x1f\x8b"]))
def test_noise_is_refused_or_read_but_never_raises_otherwise(noise: bytes, head: bytes) -> None:
    told = ""
    try:
        unpack(head + noise, 1 << 20)
    except WireError as err:
        told = err.reason
    assert told in ("", "malformed", "truncated", "too_large")
