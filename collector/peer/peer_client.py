"""HTTP to the other collector of a pair: our token there, TLS, one address. Safe to share between threads."""

from __future__ import annotations

import threading
from collections.abc import Mapping

import urllib3
from urllib3.exceptions import HTTPError

from collector.settings import Peer
from linkgauge.answer import LONGEST_ANSWER
from linkgauge.client_tls import ClientTls
from linkgauge.errors import ConfigError

CONNECT_S, TIMEOUT_S = 3.0, 10.0


class PeerClient:
    """Token and certificates are read again when they change. Raises ConfigError when they cannot serve."""

    def __init__(self, peer: Peer, connections: int = 1) -> None:
        self._peer, self._connections = peer, connections
        secure = peer.url.lower().startswith("https:")
        self._tls = ClientTls(peer.ca_file, peer.certificate, peer.key) if secure else None
        self._lock = threading.Lock()
        self._context = self._tls.context() if self._tls else None
        self._pool = self._made()
        self._bearer()

    @property
    def url(self) -> str:
        return self._peer.url

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Status, headers and body; raises urllib3's HTTPError: no answer, ConfigError: no token."""
        response = self._current().request(
            method,
            self._peer.url + path,
            body=body,
            headers={"Authorization": self._bearer(), **(headers or {})},
            timeout=urllib3.Timeout(connect=min(CONNECT_S, timeout_s), read=timeout_s),
            retries=False,  # nor are redirects followed: the token is for the peer that was named
            preload_content=False,
        )
        try:
            answer = response.read(LONGEST_ANSWER + 1)
            if len(answer) > LONGEST_ANSWER:
                raise HTTPError(f"the answer has more than {LONGEST_ANSWER} octets")
        except BaseException:
            response.close()
            raise
        response.release_conn()
        return response.status, response.headers, answer

    def close(self) -> None:
        self._pool.clear()

    def _bearer(self) -> str:
        token = self._peer.token()
        if token is None:
            raise ConfigError(
                "no token for the peer: make one there with `linkgauge token --peer`, and name its file as "
                "peer.token_file"
            )
        return f"Bearer {token.get_secret_value()}"

    def _current(self) -> urllib3.PoolManager:
        with self._lock:
            if self._tls is not None and (context := self._tls.context()) is not self._context:
                self._context = context
                self._pool.clear()
                self._pool = self._made()
            return self._pool

    def _made(self) -> urllib3.PoolManager:
        return urllib3.PoolManager(ssl_context=self._context, maxsize=self._connections)
