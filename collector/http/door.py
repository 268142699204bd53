"""One connection to the server: uvicorn's, with a time for everything that a client may keep us waiting for.

A request's head must be there in HEAD_S. After an answer the next request is waited for KEEP_S, less while
connections are many; what a client still sends of a body that nobody wants is read away for LINGER_S, so that
it can read the answer. An answer that nobody takes ends when it has not moved for KEEP_S.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

HEAD_S = 10.0
KEEP_S = 75.0
CROWDED_KEEP_S = 1.0
LINGER_S = 5.0


class Door(H11Protocol):
    """See above. crowded: whether connections are many just now."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        loop: asyncio.AbstractEventLoop,
        crowded: Callable[[], bool],
    ) -> None:
        super().__init__(config, server_state, app_state, loop)
        self._crowded = crowded
        self._timer: asyncio.TimerHandle | None = None
        self._waits_for_next = False
        self._unsent = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn
        super().connection_made(transport)
        _answer_at_once(transport)
        self._arm(HEAD_S)

    def data_received(self, data: bytes) -> None:
        if self._waits_for_next:
            self._waits_for_next = False
            self._arm(HEAD_S)
        super().data_received(data)
        if self._working:
            self._disarm()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing() or self._working:  # the next request had come already
            return
        wanted = self.conn.their_state is not h11.SEND_BODY
        self._waits_for_next = wanted
        self._arm(LINGER_S if not wanted else CROWDED_KEEP_S if self._crowded() else KEEP_S)

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        super().connection_lost(exc)

    @property
    def _working(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _arm(self, seconds: float) -> None:
        self._disarm()
        self._unsent = self.transport.get_write_buffer_size()
        self._timer = self.loop.call_later(seconds, self._end)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _end(self) -> None:
        unsent = self.transport.get_write_buffer_size()
        if not unsent:
            self.transport.close()
        elif unsent < self._unsent:
            self._arm(KEEP_S)
        else:
            self.transport.abort()


def _answer_at_once(transport: asyncio.Transport) -> None:
    """An answer goes in two parts; the second must not wait 40 ms for a delayed acknowledgement of the first.

    asyncio sees to that only for listening sockets that were made with IPPROTO_TCP, and ours are not.
    """
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
