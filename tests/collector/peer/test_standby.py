"""Who is on duty, when it changes, and what is handed over."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from urllib3.exceptions import ProtocolError

from collector.live.judged import Judged
from collector.peer.peer_client import PeerClient
from collector.peer.standby import SILENT_WINDOWS, Duty, Handover, HttpAsker, PeerAnswer
from collector.settings import Peer
from linkgauge.clock import NS_PER_S
from linkgauge.frame import Frame
from linkgauge.schema import STATE
from tests.collector.running import Running, running
from tests.collector.world import WINDOW_NS, StillClock, until

__all__ = ["running"]


class ScriptedPeer:
    def __init__(self) -> None:
        self.answer = PeerAnswer()

    def ask(self) -> PeerAnswer:
        return self.answer


class Pair:
    """A standby and what its peer says."""

    def __init__(self) -> None:
        self.clock, self.peer = StillClock(), ScriptedPeer()
        self.duty = Duty(self.clock, WINDOW_NS, self.peer)

    def after(self, s: float) -> bool:
        """Time goes on, asking each second."""
        for _ in range(int(s)):
            self.clock.wall_ns += NS_PER_S
            self.duty.step()
        return self.duty.on()


def test_without_a_standby_it_is_always_on_duty() -> None:
    duty = Duty(StillClock(), WINDOW_NS)
    duty.start()
    duty.step()
    assert duty.on()
    duty.stop()


def test_on_duty_three_windows_after_the_peer_is_gone_and_off_when_it_answered_as_long(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "collector.peer.standby")
    pair = Pair()
    assert not pair.duty.on()
    assert not pair.after(100)
    pair.peer.answer = PeerAnswer(fault="refused")
    assert not pair.after(SILENT_WINDOWS * 10)
    assert pair.after(1)
    assert pair.after(100)
    pair.peer.answer = PeerAnswer()
    assert pair.after(SILENT_WINDOWS * 10)
    assert not pair.after(1)
    assert [record.message.split()[0] for record in caplog.records] == ["peer_away", "on_duty", "off_duty"]


def test_a_peer_that_is_missing_from_the_start_is_given_the_same_time() -> None:
    pair = Pair()
    pair.peer.answer = PeerAnswer(fault="refused")
    assert not pair.after(SILENT_WINDOWS * 10)
    assert pair.after(1)


def test_a_short_absence_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    pair = Pair()
    for _ in range(5):
        pair.peer.answer = PeerAnswer(fault="slow")
        assert not pair.after(20)
        pair.peer.answer = PeerAnswer()
        assert not pair.after(5)
    assert {record.message.split()[0] for record in caplog.records} == {"peer_away"}


def test_a_peer_that_answers_now_and_then_changes_duty_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "collector.peer.standby")
    pair = Pair()
    for _ in range(20):
        pair.peer.answer = PeerAnswer(fault="slow")
        pair.after(34)
        pair.peer.answer = PeerAnswer()
        assert pair.after(1)
    assert [record.message.split()[0] for record in caplog.records].count("on_duty") == 1
    assert "off_duty" not in caplog.text


def test_two_standbys_are_both_on_duty_and_say_so(caplog: pytest.LogCaptureFixture) -> None:
    pair = Pair()
    pair.peer.answer = PeerAnswer(standby=True)
    assert pair.after(1)
    assert "take `standby` from the settings of one of the two" in caplog.text


def state(number: int) -> Frame:
    columns = {"link": ["j1>j2@backbone"], "start_ns": [number * WINDOW_NS], "length_ns": [WINDOW_NS]}
    return Frame.of(STATE, {**columns, "verdict": [1]})


def test_verdicts_of_the_windows_that_nobody_told_are_handed_over() -> None:
    told: list[Judged] = []
    on = False
    handover = Handover(lambda: on, told.append, lambda: 7 * WINDOW_NS)
    for number in range(10):
        handover({"state": state(number), "node": state(number), "sink": state(number)})
    assert not told
    on = True
    handover({"state": state(10)})
    handover({"state": state(11)})
    assert [int(each["state"].count("start_ns")[0]) // WINDOW_NS for each in told] == [6, 7, 8, 9]
    assert {frozenset(each) for each in told} == {frozenset({"state", "node"})}


def test_the_route_tells_agents_and_peers_whether_it_works(running: Running) -> None:
    shown = {"Authorization": f"Bearer {running.token}"}
    assert running.client.get("/v1/duty").status_code == 401
    assert running.client.get("/v1/duty", headers=shown).json() == {"standby": False, "on": True}

    def troubled() -> tuple[int, str | None]:
        running.collector.intake.fault = "the disk is full"  # until it journals of itself again
        reply = running.client.get("/v1/duty", headers=shown)
        return reply.status_code, reply.json().get("error")

    until(lambda: troubled() == (503, "the disk is full"))


@pytest.mark.parametrize(
    ("said", "standby", "fault"),
    [
        ((200, {}, b'{"standby": false, "on": true}'), False, None),
        ((200, {}, b'{"standby": true, "on": false}'), True, None),
        ((200, {}, b"<html>Welcome</html>"), False, "status 200: <html>Welcome</html>"),
        ((200, {}, b'{"standby": "no"}'), False, "status 200"),
        ((401, {}, b'{"reason": "token", "error": "nobody\'s"}'), False, "status 401: nobody's"),
        ((503, {}, b'{"reason": "fault", "error": "full"}'), False, "status 503: full"),
        (ProtocolError("refused"), False, "refused"),
    ],
)
def test_only_a_collector_that_works_counts_as_there(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    said: tuple[int, dict[str, str], bytes] | Exception,
    standby: bool,
    fault: str | None,
) -> None:
    def request(*_: object, **__: object) -> tuple[int, dict[str, str], bytes]:
        if isinstance(said, Exception):
            raise said
        return said

    token = tmp_path / "token"
    token.write_text("hidden")
    token.chmod(0o600)
    client = PeerClient(Peer(url="http://b", token_file=token))
    monkeypatch.setattr(client, "request", request)
    answer = HttpAsker(client).ask()
    assert answer.standby is standby
    assert answer.fault == fault or (fault is not None and fault in (answer.fault or ""))
    assert "hidden" not in str(answer)
