"""The far end of TCP connect probes: accepts and closes at once, never reads."""

from __future__ import annotations

import errno
import logging
import os
import selectors
import socket
import threading
import time
from collections.abc import Collection, Sequence

from linkgauge.errors import ConfigError
from probes.connect.connection import RESET_ON_CLOSE
from probes.notice import Notice

_BACKLOG = 1024
_PAUSE_S = 0.05
_log = logging.getLogger(__name__)


class TcpResponder:
    """Listens on `port` of each address, in a thread of its own between `start` and `stop`.

    peers: addresses that may connect; others are closed too, but with a reset, and counted apart.
    accepted, strangers, failed: connections of peers, of others, and accepts that the kernel refused.
    Raises ConfigError when an address cannot be bound. Port 0 takes a free one: see `ports`.
    """

    def __init__(self, addresses: Sequence[str], port: int, peers: Collection[str]) -> None:
        self.accepted = self.strangers = self.failed = 0
        self._peers = frozenset(peers)
        self._notice = Notice(_log)
        self._sockets: list[socket.socket] = []
        try:
            for address in addresses:
                self._sockets.append(_listen(address, port))
        except ConfigError:
            self._close()
            raise
        self._wake_read, self._wake_write = os.pipe()
        self._thread = threading.Thread(target=self._run, name="tcp-responder", daemon=True)

    @property
    def ports(self) -> list[int]:
        """The port of each address."""
        return [sock.getsockname()[1] for sock in self._sockets]

    def admit(self, peers: Collection[str]) -> None:
        """Other peers from now on; thread safe."""
        self._peers = frozenset(peers)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stop listening; may be called once, also without `start`."""
        os.write(self._wake_write, b"x")
        if self._thread.is_alive():
            self._thread.join()
        self._close()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._wake_read, selectors.EVENT_READ)
            for sock in self._sockets:
                selector.register(sock, selectors.EVENT_READ)
            while True:
                for key, _ in selector.select():
                    if not isinstance(key.fileobj, socket.socket):
                        return
                    self._accept(key.fileobj)

    def _accept(self, listening: socket.socket) -> None:
        try:
            sock, name = listening.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return  # the caller is gone again
        except OSError as err:
            self.failed += 1
            self._notice.trouble(
                str(err.errno), f"TCP connect probes cannot be accepted: {err}; free resources"
            )
            time.sleep(_PAUSE_S)  # no descriptor left: the caller waits, so must this loop
            return
        self._notice.over("TCP connect probes are accepted again")
        with sock:
            if str(name[0]).partition("%")[0] in self._peers:
                self.accepted += 1
            else:
                self.strangers += 1
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)

    def _close(self) -> None:
        for sock in self._sockets:
            sock.close()


def _listen(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    shown = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.setblocking(False)
        sock.bind((address, port))
        sock.listen(_BACKLOG)
    except OSError as err:
        sock.close()
        if err.errno == errno.EADDRINUSE:
            mend = "is in use by another program; stop it or set another tcp port in the inventory"
        elif err.errno == errno.EADDRNOTAVAIL:
            mend = "is no address of this host; correct the node's address in the inventory"
        else:
            mend = f"cannot be bound ({err.strerror}); choose a port above 1023 or grant CAP_NET_BIND_SERVICE"
        raise ConfigError(f"{shown} {mend}") from None
    return sock
