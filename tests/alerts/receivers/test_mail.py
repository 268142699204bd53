"""E-mail against a real SMTP server on loopback: STARTTLS, TLS, passwords, threads, refusals."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from pydantic import SecretStr

from alerts.receivers.mail import Mail, MailServer, Security
from alerts.receivers.message import Links
from linkgauge.errors import SinkBusy, SinkRejected
from tests.alerts.notices import body
from tests.alerts.world import FakeClock
from tests.ports import own_port

LINKS = Links("https://docs.example/runbooks", "https://grafana.example")
pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")  # TLS is there
TO = ("noc@ops.example", "lead@ops.example")


@dataclass
class Post:
    """What the server took, and what it refuses: addresses with their answers, its answer to the mail."""

    mails: list[EmailMessage] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    answer: str = "250 taken"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.refused:
            return self.refused[address]
        envelope.rcpt_tos.append(address)
        return "250 fine"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.answer.startswith("250"):
            assert isinstance(envelope.content, bytes)
            self.mails.append(message_from_bytes(envelope.content, policy=policy.default))
        return self.answer


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    command = (
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
        f" -addext subjectAltName=DNS:localhost -keyout {folder}/key.pem -out {folder}/cert.pem"
    )
    subprocess.run(command.split(), check=True, capture_output=True)
    return folder


@contextmanager
def serving(certificate: Path, post: Post, security: Security, password: str | None = None) -> Iterator[int]:
    """An SMTP server on loopback; gives its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")

    def authenticator(
        server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        told = isinstance(data, LoginPassword) and data.password == (password or "").encode()
        return AuthResult(success=told, handled=False)

    options: dict[str, Any] = {}
    if security == "tls":
        options["ssl_context"] = context
    if security == "starttls":
        options |= {"tls_context": context, "require_starttls": True}
    if password is not None:
        options |= {"authenticator": authenticator, "auth_required": True}
        options["auth_require_tls"] = security == "starttls"
    port = own_port()
    controller = Controller(post, hostname="localhost", port=port, ready_timeout=60, **options)
    controller.start()
    try:
        yield port
    finally:
        controller.stop()


def mail(
    certificate: Path, port: int, security: Security, password: str | None = None, to: tuple[str, ...] = TO
) -> Mail:
    user = "linkgauge" if password is not None else None
    server = MailServer("localhost", port, security, user, certificate / "cert.pem")
    secret = SecretStr(password) if password is not None else None
    return Mail("ops", server, "linkgauge@dc.example", to, FakeClock(), LINKS, lambda: secret, timeout_s=60)


def part(message: EmailMessage, kind: str) -> str:
    found = message.get_body((kind,))
    assert found is not None
    return str(found.get_content())


@pytest.mark.parametrize(
    ("security", "password"), [("starttls", "s3cret"), ("tls", "s3cret"), ("none", None)]
)
def test_it_arrives_as_text_and_html(certificate: Path, security: Security, password: str | None) -> None:
    post = Post()
    with serving(certificate, post, security, password) as port:
        said = mail(certificate, port, security, password).deliver(
            [body(summary="20 % lost from <a> & on, since 12:03:00 UTC")]
        )
    assert said == "accepted for 2 of 2 addresses"
    (came,) = post.mails
    assert came["Subject"] == "[page] Packet loss above the objective: jinan-1>guiyang-1@backbone"
    assert (came["From"], came["To"]) == ("linkgauge@dc.example", ", ".join(TO))
    assert part(came, "plain").splitlines() == [
        "PAGE firing: Packet loss above the objective",
        "jinan-1>guiyang-1@backbone, forward",
        "20 % lost from <a> & on, since 12:03:00 UTC",
        "Likely place: gateway gw-1 of site jinan",
        "Since: 2025-11-21 12:03:00 UTC",
        "Do first:",
        "  1. Look at one.",
        "  2. Look at two.",
        "  3. Look at three.",
        "Runbook: https://docs.example/runbooks/link-loss.md",
        "Board: https://grafana.example/d/linkgauge-link?var-link=jinan-1%3Eguiyang-1%40backbone&var-network=backbone&from=1763724780000&to=now",
    ]
    assert "20 % lost from &lt;a&gt; &amp; on" in part(came, "html")
    assert '<a href="https://docs.example/runbooks/link-loss.md">' in part(came, "html")


def test_what_ends_an_alert_lands_below_it_also_from_another_process(certificate: Path) -> None:
    post = Post()
    with serving(certificate, post, "none") as port:
        mail(certificate, port, "none").deliver([body()])
        mail(certificate, port, "none").deliver([body("resolved")])
        mail(certificate, port, "none").deliver([body(since="2025-11-22T12:03:00.000Z")])
        mail(certificate, port, "none").deliver([body(), body("resolved")])
    began, ended, again, digest = post.mails
    assert ended["References"] == ended["In-Reply-To"] == began["Message-ID"]
    assert ended["Subject"] == f"Re: {began['Subject']}"
    assert len({each["Message-ID"] for each in post.mails}) == 4
    assert again["References"] is None
    assert digest["Subject"] == "[digest] 2 changes of alerts at once: 1 page firing, 1 page resolved"
    assert digest["References"] is None


def test_a_refused_password_waits_to_be_mended(certificate: Path) -> None:
    post = Post()
    with serving(certificate, post, "starttls", "right") as port:
        with pytest.raises(SinkBusy, match=r"email ops: the password was refused \(535\)") as caught:
            mail(certificate, port, "starttls", "wrong-s3cret").deliver([body()])
        mail(certificate, port, "starttls", "right").deliver([body()])
    assert "s3cret" not in str(caught.value)
    assert len(post.mails) == 1


def test_without_tls_where_it_is_asked_for_nothing_is_sent(certificate: Path) -> None:
    post = Post()
    with serving(certificate, post, "none") as port:
        with pytest.raises(SinkBusy, match="the server cannot do it"):
            mail(certificate, port, "starttls", "s3cret").deliver([body()])
        with pytest.raises(SinkBusy, match="email ops: no TLS with it"):
            mail(certificate, port, "tls", "s3cret").deliver([body()])
    assert post.mails == []


def test_a_certificate_that_is_not_trusted_is_not_talked_to(certificate: Path) -> None:
    post = Post()
    with serving(certificate, post, "starttls", "s3cret") as port:
        server = MailServer("localhost", port, "starttls", "linkgauge")
        stranger = Mail("ops", server, "a@b.example", TO, FakeClock(), LINKS, lambda: SecretStr("s3cret"))
        with pytest.raises(SinkBusy, match=r"no TLS with it .*correct `security`, `port` or `ca_file`"):
            stranger.deliver([body()])


def test_one_refused_address_of_two_is_told_and_the_other_has_it(certificate: Path) -> None:
    post = Post(refused={TO[1]: "550 nobody of that name"})
    with serving(certificate, post, "none") as port:
        made = mail(certificate, port, "none")
        assert made.deliver([body()]) == "accepted for 1 of 2 addresses"
        assert made.trouble == "email ops: refused for lead@ops.example"
        post.refused = {}
        made.deliver([body()])
    assert made.trouble is None
    assert len(post.mails) == 2


@pytest.mark.parametrize(
    ("answer", "kind"), [("451 greylisted", SinkBusy), ("550 nobody of that name", SinkRejected)]
)
def test_every_address_refused(certificate: Path, answer: str, kind: type[Exception]) -> None:
    post = Post(refused=dict.fromkeys(TO, answer))
    with serving(certificate, post, "none") as port, pytest.raises(kind, match=r"every address was refused"):
        mail(certificate, port, "none").deliver([body()])


@pytest.mark.parametrize(("answer", "kind"), [("452 disk full", SinkBusy), ("554 no spam", SinkRejected)])
def test_the_mail_itself_refused(certificate: Path, answer: str, kind: type[Exception]) -> None:
    post = Post(answer=answer)
    with (
        serving(certificate, post, "none") as port,
        pytest.raises(kind, match=f"email ops: answered {answer}"),
    ):
        mail(certificate, port, "none").deliver([body()])


def test_nobody_there(certificate: Path) -> None:
    with pytest.raises(
        SinkBusy,
        match=r"email ops: no answer \(\[Errno 111\] Connection refused\); is it running, and are `host`",
    ):
        mail(certificate, 9, "none").deliver([body()])
