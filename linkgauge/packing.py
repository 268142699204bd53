"""Compression of encoded batches: zstd where we choose, zstd, gzip or none where we read. Pure.

What is kept and sent is packed; the first octets tell how (RFC 8878 section 3.1.1, RFC 1952 section 2.3.1). A
batch that is not packed begins with the octet of a MessagePack map, so the three never look alike.
"""

from __future__ import annotations

import zlib

import zstandard

from linkgauge.errors import WireError

ZSTD, GZIP = b"\x28\xb5\x2f\xfd", b"\x1f\x8b"
LEVEL = 1
_GZIP_BITS = 16 + zlib.MAX_WBITS


def pack(body: bytes) -> bytes:
    """An encoded batch, compressed, with a checksum that goes with it from the outbox to the stores."""
    return zstandard.ZstdCompressor(level=LEVEL, write_checksum=True).compress(body)


def unpack(data: bytes, most: int) -> bytes:
    """The encoded batch in `data`, at most `most` octets of it in memory.

    Raises WireError with reason malformed, truncated or too_large.
    """
    if data.startswith(ZSTD):
        return _bounded(_zstd(data, most), most)
    if data.startswith(GZIP):
        return _bounded(_gzip(data, most), most)
    return _bounded(data, most)


def _zstd(data: bytes, most: int) -> bytes:
    unpacker = zstandard.ZstdDecompressor(max_window_size=1 << 27)
    try:
        told = zstandard.frame_content_size(data)
        if told > most:
            raise _too_large(most)
        if told >= 0:
            return unpacker.decompress(data, max_output_size=most)
        # cut short, this gives what there is; decoding tells
        with unpacker.stream_reader(data) as reader:
            return bytes(reader.read(most + 1))
    except zstandard.ZstdError as err:
        raise WireError("malformed", f"the body is no whole zstd frame ({err}); send it again") from None


def _gzip(data: bytes, most: int) -> bytes:
    unpacker = zlib.decompressobj(_GZIP_BITS)
    try:
        body = unpacker.decompress(data, most + 1)
    except zlib.error as err:
        raise WireError("malformed", f"the body is no gzip data ({err})") from None
    if len(body) <= most and not unpacker.eof:
        raise WireError("truncated", "the gzip data end too soon; send the batch again")
    return body


def _bounded(body: bytes, most: int) -> bytes:
    if len(body) > most:
        raise _too_large(most)
    return body


def _too_large(most: int) -> WireError:
    return WireError("too_large", f"the batch unpacks to more than {most} octets")


def encoding_of(data: bytes) -> str:
    """What Content-Encoding a body has (RFC 9110 section 8.4.1): zstd, gzip or identity."""
    if data.startswith(ZSTD):
        return "zstd"
    return "gzip" if data.startswith(GZIP) else "identity"
