"""Serves a collector over HTTP until it is told to end: uvicorn on sockets that are ours or systemd's."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import logging
import os
import resource
import signal
import socket
import threading
from collections.abc import Iterator, MutableMapping, Sequence
from types import FrameType

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from collector.assembly import Collector, build
from collector.event_line import event_line
from collector.http.door import KEEP_S
from collector.http.server import Server
from collector.settings import Settings, host_and_port
from linkgauge.errors import ConfigError

__all__ = ["Collector", "as_listened", "build", "listen", "make_server", "serve", "sockets_from_environment"]
_FIRST_FD = 3
GRACE_S = 5
BACKLOG = 4096
"""Connections that wait to be taken (Linux: at most net.core.somaxconn); of a crowd beyond that, clients hang
until they try again."""
MAX_HEAD_OCTETS = 16 * 1024
"""Of a request's line and headers together; more is answered 400."""
_OTHER_DESCRIPTORS = 256
"""Files, stores and connections of our own."""
log = logging.getLogger(__name__)


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


def make_server(collector: Collector) -> Server:
    """The HTTP server of a collector, once for each; set `should_exit` to end it."""
    settings, metrics = collector.settings, collector.metrics
    config = uvicorn.Config(
        collector.app,
        http=H11Protocol,  # the server makes a Door of each connection
        ws="none",
        log_config=None,
        access_log=False,
        lifespan="off",
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=round(KEEP_S),
        timeout_graceful_shutdown=GRACE_S,
        h11_max_incomplete_event_size=MAX_HEAD_OCTETS,
    )
    config.load()
    server = Server(config, collector.tls, _connections(settings.limits.connections), metrics)
    metrics.watch_one("connections", "Connections that are open.", lambda: server.present)
    return server


def _connections(wanted: int) -> int:
    """Connections that the process's bound on descriptors allows, after raising it as far as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted * 5 // 4 + _OTHER_DESCRIPTORS
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return wanted
    allowed = max(16, (soft - _OTHER_DESCRIPTORS) * 4 // 5)
    log.warning(
        event_line(
            "few_descriptors", limit=soft, connections=allowed, mend="raise LimitNOFILE of the service"
        )
    )
    return allowed


def listen(settings: Settings) -> socket.socket:
    """A listening socket on `listen`; raises ConfigError naming the address and the file."""
    host, port = host_and_port(settings.listen)
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        made = socket.create_server((host, port), family=family, backlog=BACKLOG)
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


def as_listened(settings: Settings, sockets: Sequence[socket.socket]) -> Settings:
    """The settings for these handed-over sockets: reads ask for a token where one is not on loopback, unless
    `read_access` says otherwise; `listen` tells nothing of them."""
    names = [made.getsockname() for made in sockets if made.family in (socket.AF_INET, socket.AF_INET6)]
    if settings.read_access is None and not all(ipaddress.ip_address(name[0]).is_loopback for name in names):
        return settings.model_copy(update={"read_access": "token"})
    return settings


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
