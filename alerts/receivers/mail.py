"""Notices by e-mail: SMTP with STARTTLS or TLS and a password, plain text and HTML.

The first mail of an alert has a Message-ID made of the alert and its beginning; the mail that ends it names
that ID in References and has the same subject behind "Re:", so that mail programs show it below, also when
the collector was started anew in between. security: starttls (the password goes only after it), tls (from the
first octet) or none (no password is sent then).

4xx answers, no answer and a refused password mean later; 5xx to the mail itself means never. When some of the
addresses are refused the others have it, and `trouble` names those.
"""

from __future__ import annotations

import hashlib
import html
import smtplib
import socket
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path
from typing import Literal

from alerts.receivers.message import Links, Message, composed
from alerts.receivers.receiver import Policy, Secret, no_secret
from alerts.receivers.told import Told
from alerts.receivers.webhook import secret_of
from linkgauge.client_tls import ClientTls
from linkgauge.clock import NS_PER_S, Clock
from linkgauge.errors import SinkBusy, SinkRejected

TIMEOUT_S = 10.0
_POLICY = SMTP.clone(max_line_length=500)
"""A subject stays one line: some programs compare it with that of the mail it answers."""
Security = Literal["starttls", "tls", "none"]


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mail is handed over, and as whom. ca_file: authorities instead of the system's."""

    host: str
    port: int
    security: Security = "starttls"
    user: str | None = None
    ca_file: Path | None = None


class Mail:
    """Sends from one address to several. For one thread at a time."""

    kind = "email"

    def __init__(
        self,
        name: str,
        server: MailServer,
        sender: str,
        recipients: Sequence[str],
        clock: Clock,
        links: Links,
        password: Secret = no_secret,
        policy: Policy | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        """Raises ConfigError for a ca_file that cannot be used."""
        self.name, self._server, self._sender, self._to = name, server, sender, tuple(recipients)
        self._clock, self._links, self._password, self._timeout_s = clock, links, password, timeout_s
        self.policy = policy or Policy(max_per_minute=20)
        self._who = f"email {name}"
        self._tls = ClientTls(server.ca_file) if server.security != "none" else None
        self.trouble: str | None = None

    def deliver(self, bodies: Sequence[bytes]) -> str:
        """Send one mail; raises SinkBusy (later) or SinkRejected (never)."""
        mail = self._mail(bodies)
        try:
            with self._session() as session:
                refused = session.send_message(mail)
        except smtplib.SMTPRecipientsRefused as err:
            raise self._all_refused(err.recipients) from None
        except smtplib.SMTPAuthenticationError as err:
            raise SinkBusy(
                f"{self._who}: the password was refused ({err.smtp_code}); mend user or password"
            ) from None
        except smtplib.SMTPResponseException as err:
            kind = SinkRejected if isinstance(err, smtplib.SMTPDataError) and err.smtp_code >= 500 else None
            words = f"{self._who}: answered {err.smtp_code} {_short(err.smtp_error)}"
            raise (kind(words, 1) if kind else SinkBusy(words)) from None
        except smtplib.SMTPNotSupportedError as err:
            raise SinkBusy(
                f"{self._who}: the server cannot do it ({err}); correct `security` or `user`"
            ) from None
        except ssl.SSLError as err:
            raise SinkBusy(
                f"{self._who}: no TLS with it ({err.reason}); correct `security`, `port` or `ca_file`"
            ) from None
        except (OSError, smtplib.SMTPException) as err:
            why = f"{err}" or type(err).__name__
            raise SinkBusy(
                f"{self._who}: no answer ({why}); is it running, and are `host`, `port` and `security` right?"
            ) from None
        self.trouble = f"{self._who}: refused for {', '.join(sorted(refused))}" if refused else None
        return f"accepted for {len(self._to) - len(refused)} of {len(self._to)} addresses"

    def close(self) -> None:
        """Nothing is held between mails."""

    @contextmanager
    def _session(self) -> Iterator[smtplib.SMTP]:
        """A connection that has said hello, encrypted and signed in as the server is described."""
        server, password = self._server, secret_of(self._who, self._password)
        context = self._tls.context() if self._tls else None
        if server.security == "tls":
            session: smtplib.SMTP = smtplib.SMTP_SSL(
                server.host, server.port, timeout=self._timeout_s, context=context
            )
        else:
            session = smtplib.SMTP(server.host, server.port, timeout=self._timeout_s)
        with session:
            if server.security == "starttls":
                session.starttls(context=context)
            if server.user is not None and server.security != "none":
                session.login(server.user, password or "")
            yield session

    def _mail(self, bodies: Sequence[bytes]) -> EmailMessage:
        made = composed(bodies, self._links)
        mail = EmailMessage(policy=_POLICY)
        mail["From"], mail["To"] = self._sender, ", ".join(self._to)
        mail["Date"] = format_datetime(datetime.fromtimestamp(self._clock.now().wall_ns // NS_PER_S, UTC))
        mail["Auto-Submitted"] = "auto-generated"
        told = Told.read(bodies[0])
        if len(bodies) > 1:
            mail["Subject"] = made.subject
            mail["Message-ID"] = self._identity("digest", *(Told.read(body).notification for body in bodies))
        elif told.fires:
            mail["Subject"], mail["Message-ID"] = made.subject, self._first(told)
        else:
            mail["Subject"], mail["Message-ID"] = f"Re: {made.subject}", self._identity(told.notification)
            mail["In-Reply-To"] = mail["References"] = self._first(told)
        mail.set_content(made.text())
        mail.add_alternative(as_html(made), subtype="html")
        return mail

    def _first(self, told: Told) -> str:
        """Message-ID of the mail with which the alert began."""
        return self._identity("first", told.id, told.since)

    def _identity(self, *parts: str) -> str:
        digest = hashlib.sha256("|".join(parts).encode()).hexdigest()[:32]
        return f"<{digest}@{self._sender.rpartition('@')[2].rstrip('>') or socket.gethostname()}>"

    def _all_refused(self, recipients: dict[str, tuple[int, bytes]]) -> SinkBusy | SinkRejected:
        codes = sorted({code for code, _ in recipients.values()})
        words = f"{self._who}: every address was refused ({', '.join(map(str, codes))}); correct `to`"
        return SinkRejected(words, 1) if codes and codes[0] >= 500 else SinkBusy(words)


def as_html(message: Message) -> str:
    """The message as HTML; every text in it escaped."""
    say = html.escape
    parts = [f"<p><b>{say(message.head)}</b></p>"]
    parts += [f"<p>{say(f'{name}: ') if name else ''}{say(text)}</p>" for name, text in message.lines]
    if message.steps:
        steps = "".join(f"<li>{say(step)}</li>" for step in message.steps)
        parts.append(f"<p>Do first:</p><ol>{steps}</ol>")
    for name, where in message.links:
        parts.append(
            f'<p>{name}: <a href="{say(where)}">{say(where)}</a></p>'
            if "://" in where
            else f"<p>{name}: {say(where)}</p>"
        )
    return f"<html><body>{''.join(parts)}</body></html>"


def _short(words: bytes | str) -> str:
    text = words.decode("utf-8", "replace") if isinstance(words, bytes) else words
    return " ".join(text.split())[:120]
