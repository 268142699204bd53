"""Three robots against a service that checks token, signature, form and length, and answers with codes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import SecretStr

from alerts.delivery.book import Book
from alerts.delivery.delivery import Delivery
from alerts.receivers.dingtalk import DingTalk
from alerts.receivers.feishu import Feishu
from alerts.receivers.message import Links
from alerts.receivers.robot import Dialect, Robot
from alerts.receivers.wecom import WeCom
from linkgauge.clock import Clock, SystemClock
from linkgauge.errors import SinkBusy, SinkRejected
from tests.alerts.notices import body
from tests.alerts.receivers.chat import SECRET, TOKEN, Chat, chatting
from tests.alerts.server import eventually
from tests.alerts.world import FakeClock

LINKS = Links("https://docs.example/runbooks", "https://grafana.example")


@dataclass(frozen=True, slots=True)
class Kind:
    dialect: Dialect
    path: str
    signs: bool
    key: str


KINDS = [
    Kind(DingTalk(), "/robot/send", True, "errcode"),
    Kind(WeCom(), "/cgi-bin/webhook/send", False, "errcode"),
    Kind(Feishu(), "/open-apis/bot/v2/hook", True, "code"),
]
each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.dialect.kind)
each_signing = pytest.mark.parametrize(
    "kind", [kind for kind in KINDS if kind.signs], ids=lambda kind: kind.dialect.kind
)


def robot(
    kind: Kind,
    chat: Chat,
    token: str | None = TOKEN,
    secret: str | None = None,
    clock: Clock | None = None,
) -> Robot:
    def made(text: str | None) -> Callable[[], SecretStr | None]:
        return lambda: SecretStr(text) if text is not None else None

    return Robot(
        "ops",
        kind.dialect,
        clock or SystemClock(),
        LINKS,
        made(token),
        made(secret),
        url=chat.url + kind.path,
    )


def words_of(chat: Chat) -> str:
    return str(chat.taken)


@each_kind
def test_the_message_has_all_that_is_needed_and_the_answer_is_told(kind: Kind) -> None:
    with chatting(SECRET if kind.signs else None) as chat:
        made = robot(kind, chat, secret=SECRET if kind.signs else None)
        said = made.deliver([body()])
        made.deliver([body("resolved")])
        made.close()
    assert said.startswith("code 0 (")
    words = words_of(chat)
    for part in (
        "linkgauge",
        "PAGE firing: Packet loss above the objective",
        "jinan-1>guiyang-1@backbone, forward",
        "20.4 % of packets lost from jinan-1 to guiyang-1 on backbone",
        "Likely place: gateway gw-1 of site jinan",
        "Since: 2025-11-21 12:03:00 UTC",
        "3. Look at three.",
        "https://docs.example/runbooks/link-loss.md",
        "https://grafana.example/d/linkgauge-link?var-link=jinan-1%3Eguiyang-1%40backbone",
        "PAGE resolved: Packet loss above the objective",
        "Ended: 2025-11-21 12:09:00 UTC",
    ):
        assert part in words
    assert "Look at four" not in words


@each_signing
def test_a_wrong_or_missing_signature_waits_to_be_mended(kind: Kind) -> None:
    with chatting(SECRET) as chat:
        for secret in ("SECother", None):
            made = robot(kind, chat, secret=secret)
            with pytest.raises(
                SinkBusy, match=r"code (310000|19021) \(sign .*mend its token, secret"
            ) as caught:
                made.deliver([body()])
            made.close()
            assert caught.value.retry_after_s is None
        stale = robot(kind, chat, secret=SECRET, clock=FakeClock())
        with pytest.raises(SinkBusy, match=r"310000|19021"):
            stale.deliver([body()])
        stale.close()
        mended = robot(kind, chat, secret=SECRET)
        mended.deliver([body()])
        mended.close()
    assert len(chat.taken) == 1


@each_kind
def test_a_wrong_token_waits_to_be_mended(kind: Kind) -> None:
    with chatting() as chat:
        for token in ("other", None):
            made = robot(kind, chat, token)
            with pytest.raises(SinkBusy, match="mend its token") as caught:
                made.deliver([body()])
            made.close()
            assert "other" not in str(caught.value)


@each_kind
def test_no_secret_is_in_what_is_said_or_logged(kind: Kind, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with chatting("what the service expects") as chat:
        chat.answers = [{kind.key: 310000, "errmsg": f"no {SECRET} {TOKEN}", "msg": f"no {SECRET} {TOKEN}"}]
        made = robot(kind, chat, secret=SECRET)
        with pytest.raises(SinkBusy, match=r"no \*\*\* \*\*\*") as caught:
            made.deliver([body()])
        made.close()
    nobody = Robot(
        "ops", kind.dialect, SystemClock(), LINKS, lambda: SecretStr(TOKEN), url="http://127.0.0.1:9/x"
    )
    with pytest.raises(SinkBusy, match=f"{kind.dialect.kind} ops: no answer") as unheard:
        nobody.deliver([body()])
    nobody.close()
    for text in (str(caught.value), str(unheard.value), caplog.text):
        assert TOKEN not in text
        assert SECRET not in text


@pytest.mark.parametrize(("kind", "code"), [(KINDS[0], 130101), (KINDS[1], 45009), (KINDS[2], 11232)])
def test_too_fast_is_waited_for_a_minute(kind: Kind, code: int) -> None:
    with chatting() as chat:
        chat.answers = [{kind.key: code, "errmsg": "send too fast", "msg": "send too fast"}]
        made = robot(kind, chat)
        with pytest.raises(SinkBusy, match=f"code {code} \\(send too fast\\)") as caught:
            made.deliver([body()])
        made.close()
    assert caught.value.retry_after_s == 60


@pytest.mark.parametrize(("kind", "code"), [(KINDS[0], -1), (KINDS[1], -1), (KINDS[2], 1500)])
def test_busy_is_tried_again_soon(kind: Kind, code: int) -> None:
    with chatting() as chat:
        chat.answers = [{kind.key: code}]
        made = robot(kind, chat)
        with pytest.raises(SinkBusy, match="no words") as caught:
            made.deliver([body()])
        made.close()
    assert caught.value.retry_after_s is None


@pytest.mark.parametrize(("kind", "code"), [(KINDS[0], 40035), (KINDS[1], 40058), (KINDS[2], 9499)])
def test_a_malformed_message_is_never_taken(kind: Kind, code: int) -> None:
    with chatting() as chat:
        chat.answers = [{kind.key: code, "errmsg": "bad", "msg": "bad"}]
        made = robot(kind, chat)
        with pytest.raises(SinkRejected, match=f"code {code} \\(bad\\)"):
            made.deliver([body()])
        made.close()


@each_kind
@pytest.mark.parametrize("answer", [{}, {"errcode": "0", "code": True}])
def test_what_is_no_robot_is_said_so(kind: Kind, answer: dict[str, object]) -> None:
    with chatting() as chat:
        chat.answers = [answer]
        made = robot(kind, chat)
        with pytest.raises(SinkBusy, match=f"no {kind.dialect.kind} robot; correct its url"):
            made.deliver([body()])
        made.close()


@each_kind
@pytest.mark.parametrize("words", ["", "很长的一句话" * 10])
def test_a_digest_of_five_hundred_fits_and_says_what_it_left_out(kind: Kind, words: str) -> None:
    bodies = [body(id=f"link-loss/路{at}", summary=words) for at in range(500)]
    with chatting() as chat:
        made = robot(kind, chat)
        made.deliver(bodies)
        made.close()
    assert "500 changes of alerts at once: 500 page firing" in words_of(chat)
    assert "more: see the board, or `linkgauge alerts list`" in words_of(chat)
    assert "https://grafana.example/d/linkgauge-overview" in words_of(chat)


@each_kind
def test_a_storm_keeps_to_twenty_a_minute_and_loses_nothing(kind: Kind, tmp_path: Path) -> None:
    book = Book(tmp_path / "alerts.db")
    told = [(f"r{at}", body(id=f"r{at}")) for at in range(300)]
    book.record(b"", told, ["ops"], 0)
    with chatting() as chat:
        delivery = Delivery(book, robot(kind, chat), FakeClock())
        delivery.start()
        eventually(lambda: book.totals()["waiting"] == 0)
        delivery.stop()
    assert len(chat.taken) == 10
    assert "291 changes of alerts at once: 291 page firing" in words_of(chat)
    assert (book.tally("ops")["delivered"], book.tally("ops")["digested"]) == (300, 291)
    book.close()
