"""A TLS server for tests: shakes hands with whoever comes, in a thread, until it is left."""

from __future__ import annotations

import selectors
import socket
import ssl
import threading
from types import TracebackType

from tests.probes.authority import Issued


class TlsServer:
    """Listens on a free port of `address`. done: handshakes that came to their end."""

    def __init__(self, issued: Issued, address: str = "127.0.0.1") -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.show(issued)
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._listening = socket.create_server((address, 0), family=family, backlog=256)
        self._closing, self._closed = socket.socketpair()
        self.done = 0
        self._thread = threading.Thread(target=self._run, daemon=True)

    def show(self, issued: Issued) -> None:
        """Show this certificate from now on."""
        self._context.load_cert_chain(issued.certificate, issued.key)

    @property
    def port(self) -> int:
        port: int = self._listening.getsockname()[1]
        return port

    def __enter__(self) -> TlsServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._closing.send(b"x")
        self._thread.join()
        for sock in (self._listening, self._closing, self._closed):
            sock.close()

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._listening, selectors.EVENT_READ)
            selector.register(self._closed, selectors.EVENT_READ)
            while all(key.fileobj is self._listening for key, _ in selector.select()):
                self._serve(self._listening.accept()[0])

    def _serve(self, bare: socket.socket) -> None:
        bare.settimeout(60)
        try:
            with self._context.wrap_socket(bare, server_side=True) as sock:
                self.done += 1
                sock.recv(1)
        except OSError:
            bare.close()
