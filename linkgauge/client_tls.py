"""TLS of one who connects: whom to trust, and who we are; read again when a file changes, never made worse.

Certificates are renewed by others (a cron job, an operator): a new file counts from the next connection, a
faulty one is said once and the former stays in force.
"""

from __future__ import annotations

import logging
import ssl
import stat
from pathlib import Path

from linkgauge.errors import ConfigError
from linkgauge.file_mark import FileMark, file_mark

_log = logging.getLogger(__name__)
_Stamp = tuple[FileMark | None, ...]


class ClientTls:
    """ca_file: certificates to trust instead of the system's. certificate, key: PEM files, both or none.

    Raises ConfigError when a file cannot serve at the start. One thread at a time.
    """

    def __init__(
        self, ca_file: Path | None = None, certificate: Path | None = None, key: Path | None = None
    ) -> None:
        if (certificate is None) != (key is None):
            raise ConfigError("certificate and key go together; name both files or none")
        self._ca_file, self._certificate, self._key = ca_file, certificate, key
        self._files = tuple(path for path in (ca_file, certificate, key) if path is not None)
        self._stamp = self._now()
        self._context = self._made()

    def context(self) -> ssl.SSLContext:
        """The same value until a file has changed."""
        if (stamp := self._now()) != self._stamp:
            self._stamp = stamp
            try:
                self._context = self._made()
            except ConfigError as err:
                _log.warning("%s; the former certificates stay in force", err)
            else:
                _log.info("certificates read again: %s", ", ".join(map(str, self._files)))
        return self._context

    def _made(self) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=str(self._ca_file) if self._ca_file else None)
        except (OSError, ssl.SSLError) as err:
            raise ConfigError(
                f"{self._ca_file}: the certificates to trust cannot be read ({err}); give a readable PEM file"
            ) from None
        if self._certificate is not None and self._key is not None:
            _refuse_open(self._key)
            try:
                context.load_cert_chain(self._certificate, self._key, password="")
            except (OSError, ssl.SSLError) as err:
                raise ConfigError(
                    f"{self._certificate} and {self._key} do not serve as certificate and key ({err}); give "
                    "a PEM certificate chain and its own key, without a pass phrase"
                ) from None
        return context

    def _now(self) -> _Stamp:
        return tuple(map(file_mark, self._files))


def _refuse_open(key: Path) -> None:
    try:
        mode = stat.S_IMODE(key.stat().st_mode)
    except OSError as err:
        raise ConfigError(f"{key}: the key cannot be read ({err.strerror}); correct its name") from None
    if mode & 0o007:
        raise ConfigError(f"{key}: everybody can read this key; run `chmod o= {key}`")
