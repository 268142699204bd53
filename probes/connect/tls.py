"""TLS rounds: how long a handshake takes, whose certificate is shown, until when, and whether it is trusted.

Every handshake that is timed takes any certificate, so that all are timed alike and an expired one is read
too. Trust is told by a second handshake, under a context that verifies, and only for a certificate that is
new or was looked at an hour ago. Links are addresses, so no host name is sent (SNI) and none is compared.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from linkgauge.certificate import Certificate
from linkgauge.clock import NS_PER_S, Clock, SystemClock
from linkgauge.errors import ConfigError, ProtocolError
from linkgauge.frame import Frame
from linkgauge.plan import PlanLink
from linkgauge.schema import CERTIFICATE
from probes.connect.tls_handshakes import Handshakes
from probes.echo import EchoRound, Fate

TRUSTED_FOR_NS = 3600 * NS_PER_S
"""So long a verdict on a certificate is kept."""
_DAY_NS = 86_400 * NS_PER_S
_NO_CHECK_TIME = ssl.VerifyFlags(0x200000)  # X509_V_FLAG_NO_CHECK_TIME: expiry is told by days_left
_ANSWERED = (Fate.REPLIED, Fate.LATE, Fate.REFUSED, Fate.NO_TLS)


@dataclass(frozen=True, slots=True)
class _Verdict:
    """der: the certificate that it is on."""

    der: bytes
    trusted: bool
    until_mono_ns: int


@dataclass(frozen=True, slots=True)
class _Seen:
    """The last round: der as shown to each row, b"" for none."""

    out: EchoRound
    der: Sequence[bytes]
    trusted: Mapping[int, bool]
    start_ns: int
    length_ns: int


class TlsProber:
    """Shakes hands with `port` of each target. ca_file: PEM, authorities to trust instead of the system's.

    Raises ConfigError when ca_file cannot be used. malformed: certificates that could not be read;
    undecided: those whose verdict failed to come.
    """

    def __init__(self, port: int, clock: Clock | None = None, ca_file: Path | None = None) -> None:
        self._port, self._clock = port, clock or SystemClock()
        self._any, self._verifying = _taking_any(), _verifying(ca_file)
        self._verdicts: dict[str, _Verdict] = {}
        self._seen: _Seen | None = None
        self.malformed = self.undecided = 0

    @property
    def discarded(self) -> int:
        """Certificates that were shown and of which a part is not told."""
        return self.malformed + self.undecided

    def round(self, links: Sequence[PlanLink], timeout_ns: int) -> EchoRound:
        """One handshake from link.local to link.peer for each link.

        Takes at most twice `timeout_ns`, as much again when certificates are new, and more when more than
        `tls_handshakes.MOST` targets at once take the connection and then fall silent.
        """
        begun = self._clock.now()
        first = self._shake(links, self._any, timeout_ns)
        trusted = self._judge(links, first.der, timeout_ns)
        took_ns = self._clock.now().mono_ns - begun.mono_ns
        self._seen = _Seen(first.out, first.der, trusted, begun.wall_ns, took_ns)
        return first.out

    def certificates(self) -> Frame:
        """CERTIFICATE rows of the last round, one for each link whose far end answered at all.

        A certificate that is not valid yet is not trusted. One whose verdict failed to come has no row.
        """
        if self._seen is None:
            return Frame.of(CERTIFICATE, {"link": [], "start_ns": []})
        seen, rows = self._seen, []
        for row, link in enumerate(seen.out.link.tolist()):
            if seen.der[row] and row in seen.trusted:
                now_ns = int(seen.out.sent_wall_ns[row])
                rows.append((link, 1, *self._facts(seen.der[row], seen.trusted[row], now_ns)))
            elif seen.der[row]:
                self.undecided += 1
            elif seen.out.fate[row] in _ANSWERED:
                rows.append((link, 0, 0, float("nan"), ""))
        names = ("link", "presented", "trusted", "days_left", "subject")
        columns = {name: [row[at] for row in rows] for at, name in enumerate(names)}
        same = {"start_ns": seen.start_ns, "length_ns": seen.length_ns}
        columns |= {name: [value] * len(rows) for name, value in same.items()}
        return Frame.of(CERTIFICATE, columns)

    def close(self) -> None:
        """Nothing stays open between rounds."""

    def _shake(self, links: Sequence[PlanLink], context: ssl.SSLContext, timeout_ns: int) -> Handshakes:
        made = Handshakes(links, self._port, context, timeout_ns, self._clock)
        made.run()
        return made

    def _judge(self, links: Sequence[PlanLink], der: Sequence[bytes], timeout_ns: int) -> dict[int, bool]:
        """Whether each certificate is trusted, by row; rows of which it could not be told are left out."""
        now_ns = self._clock.now().mono_ns
        kept = {name: one for name, one in self._verdicts.items() if one.until_mono_ns > now_ns}
        shown = [row for row in range(len(links)) if der[row]]
        fresh = [row for row in shown if (one := kept.get(links[row].link)) is None or one.der != der[row]]
        if fresh:
            second = self._shake([links[row] for row in fresh], self._verifying, timeout_ns)
            for at, row in enumerate(fresh):
                kept.pop(links[row].link, None)
                if at in second.untrusted or second.der[at] == der[row]:
                    trusted = at not in second.untrusted
                    kept[links[row].link] = _Verdict(der[row], trusted, now_ns + TRUSTED_FOR_NS)
        self._verdicts = kept
        return {row: kept[links[row].link].trusted for row in shown if links[row].link in kept}

    def _facts(self, der: bytes, trusted: bool, now_ns: int) -> tuple[int, float, str]:
        """trusted, days_left, subject."""
        try:
            certificate = Certificate.parse(der)
        except ProtocolError:
            self.malformed += 1
            return int(trusted), float("nan"), ""
        valid = certificate.not_before_ns <= now_ns
        return int(trusted and valid), (certificate.not_after_ns - now_ns) / _DAY_NS, certificate.subject


def _taking_any() -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    return made


def _verifying(ca_file: Path | None) -> ssl.SSLContext:
    try:
        made = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    except OSError as err:
        raise ConfigError(f"{ca_file}: its certificates cannot be used ({err}); name a PEM file") from None
    made.check_hostname = False
    made.verify_flags |= _NO_CHECK_TIME
    return made
