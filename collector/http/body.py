"""The body of a request, read within bounds of size and time."""

from __future__ import annotations

import asyncio

from starlette.requests import ClientDisconnect, Request

from collector.admission import Refusal

QUIET_S = 5.0
"""A body of which nothing comes for so long holds room that others want."""


def expected_octets(request: Request, most: int) -> int:
    """What its Content-Length tells, else `most`; raises Refusal (413) when that is too much.

    Beside Transfer-Encoding it tells nothing: the chunks are what is read (RFC 9112 section 6.3).
    """
    if "Transfer-Encoding" in request.headers:
        return most
    told = request.headers.get("Content-Length", "")
    if not told.isdigit():
        return most
    if len(told) > 18 or int(told) > most:
        raise Refusal("too_large", f"the body has {told[:18]} octets, at most {most} are taken", 413)
    return int(told)


async def read_body(request: Request, most: int, timeout_s: float) -> bytes:
    """The body as it came, never more than `most` octets of it in memory; raises Refusal (408, 413, 400).

    timeout_s: for the whole; of nobody is waited for longer than QUIET_S without anything coming.
    """
    parts, time_s = bytearray(), asyncio.get_running_loop().time
    try:
        async with asyncio.timeout(timeout_s), asyncio.timeout(QUIET_S) as quiet:
            async for part in request.stream():
                quiet.reschedule(time_s() + QUIET_S)
                parts += part
                if len(parts) > most:
                    raise Refusal("too_large", f"the body has more than {most} octets", 413)
    except TimeoutError:
        raise Refusal(
            "slow",
            f"the body was not there within {timeout_s:g} s, or nothing came of it for {QUIET_S:g} s"
            f" ({len(parts)} octets came)",
            408,
        ) from None
    except ClientDisconnect:
        raise Refusal(
            "truncated", "the connection ended within the body; send the batch again", 400
        ) from None
    return bytes(parts)
