"""The TLS side of the server: certificate, key and client authorities, read again when they change.

New connections get the newest pair that could be used; those that are open keep theirs. A faulty pair keeps
the former in force, is said once and counted. TLS 1.2 at least (RFC 9325 section 3.1.1).
"""

from __future__ import annotations

import logging
import os
import ssl
import stat
from pathlib import Path

from collector.event_line import event_line
from collector.settings import Tls
from linkgauge.certificate import Certificate
from linkgauge.clock import NS_PER_S
from linkgauge.errors import ConfigError, ProtocolError
from linkgauge.file_mark import FileMark, file_mark
from linkgauge.owner import give

log = logging.getLogger(__name__)
LOOK_S = 2.0
"""How often the files are looked at. Those that changed are read at the next look: both are in place then."""
_DAY_S = 86_400
_PEM_END = "-----END CERTIFICATE-----"
Stamp = tuple[FileMark | None, ...]


class ServerTls:
    """See above. Raises ConfigError when the first pair cannot be used. `look` every LOOK_S; not thread safe.

    failures: versions of the files that could not be taken. fault: why the newest was not, None when it was.
    """

    def __init__(self, tls: Tls, settings_file: Path) -> None:
        self._tls, self._settings_file = tls, settings_file
        self._stamp = self._seen = self._stamp_now()
        self._context, self._not_after_ns = self._read()
        self.failures = 0
        self.fault: str | None = None

    @property
    def context(self) -> ssl.SSLContext:
        """For the next connection."""
        return self._context

    def days_left(self, now_ns: int) -> float:
        """Days until the certificate in force expires; negative when it has."""
        return (self._not_after_ns - now_ns) / (_DAY_S * NS_PER_S)

    def look(self) -> None:
        """Read the files when they are others than those in force, unchanged since the last look."""
        stamp = self._stamp_now()
        settled, self._seen = stamp == self._seen, stamp
        if stamp == self._stamp or not settled:
            return
        self._stamp = stamp
        try:
            self._context, self._not_after_ns = self._read()
        except ConfigError as err:
            self.failures += 1
            self.fault = str(err)
            log.error(event_line("certificate_refused", error=err, kept="the former pair"))
        else:
            self.fault = None
            log.info(event_line("certificate_reread", file=self._tls.certificate))

    def _read(self) -> tuple[ssl.SSLContext, int]:
        try:
            return _context(self._tls), _not_after_ns(self._tls.certificate)
        except PermissionError:
            theirs = [path for path in self._files if not os.access(path, os.R_OK)]
            raise ConfigError("; ".join(f"{path}: {give(path)}" for path in theirs or self._files)) from None
        except (OSError, ValueError, ProtocolError) as err:  # ssl.SSLError is an OSError
            words = getattr(err, "reason", None) or getattr(err, "strerror", None) or err
            raise ConfigError(
                f"{self._settings_file}: the certificate or key of tls cannot be used ({words}); give PEM"
                f" files that belong together: {', '.join(map(str, self._files))}"
            ) from None

    @property
    def _files(self) -> list[Path]:
        tls = self._tls
        return [tls.certificate, tls.key, *([tls.client_ca] if tls.client_ca else [])]

    def _stamp_now(self) -> Stamp:
        return tuple(map(file_mark, self._files))


def _context(tls: Tls) -> ssl.SSLContext:
    if stat.S_IMODE(tls.key.stat().st_mode) & 0o007:
        raise ValueError(f"everybody can read the key; run: chmod o= {tls.key}")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    # a key with a pass phrase is a fault: nobody is there to type it
    context.load_cert_chain(tls.certificate, tls.key, lambda: "")
    if tls.client_ca is not None:
        context.load_verify_locations(tls.client_ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _not_after_ns(path: Path) -> int:
    """When the first certificate of the file expires, Unix ns."""
    text = path.read_text(encoding="ascii", errors="replace")
    begin = text.find("-----BEGIN CERTIFICATE-----")
    der = ssl.PEM_cert_to_DER_cert(text[begin : text.find(_PEM_END, begin) + len(_PEM_END)])
    return Certificate.parse(der).not_after_ns
