"""uvicorn, but it takes connections itself: never more than it is told, handshakes counted, none for ever.

Above `most` a client is answered 503 with Retry-After; a quarter above that, connections end at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
import ssl
from collections.abc import Iterator
from typing import Any

import uvicorn

from collector.event_line import event_line
from collector.health.metrics import Metrics
from collector.http.allowance import jittered_s
from collector.http.door import Door
from collector.http.server_tls import LOOK_S, ServerTls

log = logging.getLogger(__name__)
HANDSHAKE_S = 10.0
_AT_ONCE = 64
"""Connections taken one after the other before those that are there go on."""
_TICK_S = 0.1
"""How often uvicorn calls on_tick."""
_SORRY = {"reason": "busy", "error": "the collector has too many connections; come again later"}


class Server(uvicorn.Server):
    """Ends when `should_exit` is set. It has no signal handlers of its own: uvicorn's would end the process
    before the sinks are drained."""

    def __init__(self, config: uvicorn.Config, tls: ServerTls | None, most: int, metrics: Metrics) -> None:
        super().__init__(config)
        self._tls, self._most, self._metrics = tls, most, metrics
        self._accepting: list[asyncio.Task[None]] = []
        self._greeting: set[asyncio.Task[None]] = set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    @property
    def present(self) -> int:
        """Connections, those whose handshake is under way included."""
        return len(self.server_state.connections) + len(self._greeting)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self.servers = []
        self._accepting = [asyncio.create_task(self._accept(listening)) for listening in sockets or []]
        self.started = True

    async def on_tick(self, counter: int) -> bool:
        if self._tls is not None and counter % round(LOOK_S / _TICK_S) == 0:
            self._tls.look()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        tasks = [*self._accepting, *self._greeting]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await super().shutdown(sockets)

    async def _accept(self, listening: socket.socket) -> None:
        loop, taken = asyncio.get_running_loop(), 0
        while True:
            taken += 1
            if taken % _AT_ONCE == 0:  # where connections wait already, they are taken without a pause
                await asyncio.sleep(0)
            try:
                came, _ = await loop.sock_accept(listening)
            except OSError as err:  # no descriptor is left, or the client has gone again
                log.error(event_line("accept_failed", error=err))
                self._metrics.turned_away("accept_failed")
                await asyncio.sleep(1)
                continue
            if self.present >= self._most * 5 // 4:
                self._metrics.turned_away("ended")
                came.close()
                continue
            task = loop.create_task(self._greet(came, self.present >= self._most))
            self._greeting.add(task)
            task.add_done_callback(self._greeting.discard)

    async def _greet(self, came: socket.socket, full: bool) -> None:
        loop = asyncio.get_running_loop()
        context = self._tls.context if self._tls is not None else None

        def make() -> Door:
            door = Door(self.config, self.server_state, {}, loop, lambda: 2 * self.present > self._most)
            if full:
                door.app = self._sorry
            return door

        if full:
            self._metrics.turned_away("busy")
        try:
            await loop.connect_accepted_socket(
                make, came, ssl=context, ssl_handshake_timeout=HANDSHAKE_S if context else None
            )
        except (OSError, ssl.SSLError, TimeoutError) as err:
            self._metrics.turned_away("handshake")
            log.warning(event_line("handshake_failed", error=getattr(err, "reason", None) or err))
            came.close()

    async def _sorry(self, _scope: Any, _receive: Any, send: Any) -> None:
        body = json.dumps(_SORRY).encode()
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            (b"retry-after", str(jittered_s(1)).encode()),
            (b"connection", b"close"),
        ]
        await send({"type": "http.response.start", "status": 503, "headers": headers})
        await send({"type": "http.response.body", "body": body})
