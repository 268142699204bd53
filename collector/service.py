"""Serves a collector over HTTP until it is told to end: uvicorn on sockets that are ours or systemd's."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import socket
import threading
from collections.abc import Iterator, MutableMapping, Sequence
from types import FrameType

import uvicorn

from collector.assembly import Collector, build
from collector.settings import Settings, host_and_port
from linkgauge.errors import ConfigError

__all__ = ["Collector", "build", "listen", "make_server", "serve", "sockets_from_environment"]
_FIRST_FD = 3
GRACE_S = 5


class _Server(uvicorn.Server):
    """uvicorn without its own signal handlers: it would end the process before the sinks are drained."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def serve(collector: Collector, sockets: Sequence[socket.socket] = ()) -> None:
    """Start the collector, answer until SIGTERM or SIGINT, then stop it in order.

    sockets: listening sockets handed over; none: bind `listen` of the settings. Raises ConfigError.
    """
    settings = collector.settings
    listening = list(sockets) or [listen(settings)]
    server = make_server(collector)
    with _until_signal(server):
        collector.start()
        try:
            server.run(listening)
        finally:
            collector.stop()


def make_server(collector: Collector) -> uvicorn.Server:
    """The HTTP server of a collector; set `should_exit` to end it."""
    tls = collector.settings.tls
    config = uvicorn.Config(
        collector.app,
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,
        ssl_certfile=str(tls.certificate) if tls else None,
        ssl_keyfile=str(tls.key) if tls else None,
    )
    try:
        config.load()
    except (OSError, ValueError) as err:
        raise ConfigError(
            f"{collector.settings.file}: the certificate or key of tls cannot be used ({err}); correct it"
        ) from None
    return _Server(config)


def listen(settings: Settings) -> socket.socket:
    """A listening socket on `listen`; raises ConfigError naming the address and the file."""
    host, port = host_and_port(settings.listen)
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        made = socket.create_server((host, port), family=family, backlog=1024)
    except OSError as err:
        if err.errno == errno.EADDRINUSE:
            why = "is in use by another program; stop it or"
        else:
            why = f"cannot be listened on ({err.strerror});"
        raise ConfigError(f"{settings.listen} {why} set `listen` in {settings.file}") from None
    made.setblocking(False)
    return made


def sockets_from_environment(environment: MutableMapping[str, str] = os.environ) -> list[socket.socket]:
    """Sockets handed over by systemd (sd_listen_fds(3)); empty when there are none for this process.

    The variables are taken out of the environment, so that no child believes they are its own.
    Raises ConfigError when one is no listening stream socket.
    """
    process = environment.pop("LISTEN_PID", "")
    count = environment.pop("LISTEN_FDS", "")
    names = environment.pop("LISTEN_FDNAMES", "").split(":")
    if process != str(os.getpid()) or not count.isdigit():
        return []
    return [_handed(_FIRST_FD + at, names[at] if at < len(names) else "") for at in range(int(count))]


def _handed(fd: int, name: str) -> socket.socket:
    try:
        os.set_inheritable(fd, False)
        made = socket.socket(fileno=fd)
        listening = made.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError:
        listening = 0
    if not listening:
        raise ConfigError(
            f"file descriptor {fd} ({name or 'no name'}) is no listening stream socket;"
            " give the collector's socket unit ListenStream="
        )
    made.setblocking(False)
    return made


@contextlib.contextmanager
def _until_signal(server: uvicorn.Server) -> Iterator[None]:
    """SIGTERM and SIGINT end the server; only the main thread may say so."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(_number: int, _frame: FrameType | None) -> None:
        server.should_exit = True

    former = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
