"""Our sender against Debian's Alertmanager: fire, group, inhibit, silence, resolve, restarts."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from alerts.delivery.book import Book
from alerts.delivery.delivery import Delivery
from alerts.engine import AlertEngine
from alerts.receivers.alertmanager import Alertmanager
from alerts.receivers.message import Links
from alerts.receivers.receiver import Policy
from alerts.roll.subject import Subjects
from linkgauge.clock import SystemClock
from linkgauge.errors import ConfigError, SinkBusy, SinkRejected
from tests.alerts.notices import LINK, body
from tests.alerts.receivers.alertmanagers import PROGRAM, AlertmanagerProcess, alertmanager
from tests.alerts.server import Received, eventually, receiving
from tests.alerts.world import FakeClock, rule, series, spec

real = pytest.mark.skipif(PROGRAM is None, reason="needs prometheus-alertmanager (deploy/prepare.sh)")
LINKS = Links("https://docs.example/runbooks", "https://grafana.example")
FAST = Policy(gathers=True, resend_s=1)


def ago(seconds: float) -> str:
    return (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat()


def now_firing(about: str = LINK, rule: str = "link-loss", **changes: Any) -> bytes:
    return body(id=f"{rule}/{about}/forward", about=about, since=ago(20), **changes)


def now_resolved(about: str = LINK, rule: str = "link-loss", since: str | None = None) -> bytes:
    return body(
        "resolved", id=f"{rule}/{about}/forward", about=about, since=since or ago(20), resolved_at=ago(0)
    )


def sender(*urls: str, lasts_s: int = 60) -> Alertmanager:
    """Tells these Alertmanagers each second. lasts_s: how long we may be held up until they end an alert."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("alerts.receivers.alertmanager.RESENDS", lasts_s)
        return Alertmanager("noc", urls, SystemClock(), LINKS, policy=FAST)


class Ours:
    """Book and delivery to these Alertmanagers. lasts_s: see sender."""

    def __init__(self, folder: Path, *urls: str, lasts_s: int = 60) -> None:
        self.book = Book(folder / "alerts.db")
        self.receiver = sender(*urls, lasts_s=lasts_s)
        self.delivery = Delivery(self.book, self.receiver, SystemClock(), first_wait_s=0.2)
        self.delivery.start()

    def tell(self, *bodies: bytes) -> None:
        self.book.record(b"", [(str(at), each) for at, each in enumerate(bodies)], ["noc"], 0)
        self.delivery.wake()

    def end(self) -> None:
        self.delivery.stop()
        self.book.close()


@pytest.fixture
def pager() -> Iterator[Received]:
    with receiving() as received:
        yield received


def told(pager: Received) -> list[tuple[str, set[str]]]:
    """(status of an alert, whom it is about) of each message, in order."""
    return [
        (each["status"], {f"{one['labels']['about']} {one['status']}" for one in each["alerts"]})
        for each in pager.bodies
    ]


def _all_told(pager: Received) -> set[str]:
    """Everything that any message said."""
    return {each for _, alerts in told(pager) for each in alerts}


@real
def test_fires_in_groups_and_is_resolved(tmp_path: Path, pager: Received) -> None:
    with alertmanager(tmp_path / "am", pager.url) as there:
        ours = Ours(tmp_path, there.url)
        ours.tell(now_firing("a>b@net"), now_firing("a>c@net"))
        links = ("a>b@net", "a>c@net")
        eventually(lambda: _all_told(pager) >= {f"{link} firing" for link in links})
        ours.tell(*(now_resolved(link) for link in links))
        eventually(lambda: _all_told(pager) >= {f"{link} resolved" for link in links})
        ours.end()
    assert len({body["groupKey"] for body in pager.bodies}) == 1, "both are of one group"
    assert told(pager)[-1][0] == "resolved"
    first = pager.bodies[0]["alerts"][0]
    assert first["labels"] == {
        "alertname": "link-loss", "rule": "link-loss", "severity": "page", "direction": "forward",
        "about": "a>b@net", "link": LINK, "src": "jinan-1", "dst": "guiyang-1", "site": "jinan",
        "network": "backbone", "team": "core",
    }  # fmt: skip
    assert first["annotations"]["runbook_url"] == "https://docs.example/runbooks/link-loss.md"
    assert first["annotations"]["place"] == "gateway gw-1 of site jinan"
    assert first["annotations"]["first_steps"].startswith("1. Look at one.\n2. ")
    assert first["generatorURL"].startswith("https://grafana.example/d/linkgauge-link?var-link=")


@real
def test_goes_on_beyond_resolve_timeout_and_through_our_restart(tmp_path: Path, pager: Received) -> None:
    with alertmanager(tmp_path / "am", pager.url) as there:
        first = Ours(tmp_path, there.url)
        first.tell(now_firing())
        pager.wait(1)

        def ends() -> str:
            return str(there.alerts()[LINK]["endsAt"])

        before = ends()
        eventually(lambda: ends() > before)
        first.end()
        before = ends()
        second = Ours(tmp_path, there.url)
        eventually(lambda: ends() > before)
        deadline = time.monotonic() + 3  # of resolve_timeout 2 s
        while time.monotonic() < deadline:
            assert there.alerts()[LINK]["status"]["state"] == "active"
            time.sleep(0.2)
        second.end()
    assert told(pager) == [("firing", {f"{LINK} firing"})]


@real
def test_ends_by_itself_when_we_are_gone_for_good(tmp_path: Path, pager: Received) -> None:
    with alertmanager(tmp_path / "am", pager.url) as there:
        ours = Ours(tmp_path, there.url, lasts_s=3)
        ours.tell(now_firing())
        pager.wait(1)
        ours.end()
        pager.wait(2)
    assert [status for status, _ in told(pager)][:2] == ["firing", "resolved"]


@real
def test_knows_again_what_fires_after_its_restart_and_pages_nobody_twice(
    tmp_path: Path, pager: Received
) -> None:
    with alertmanager(tmp_path / "am", pager.url) as there:
        ours = Ours(tmp_path, there.url)
        ours.tell(now_firing())
        pager.wait(1)
        eventually(lambda: there.noted() == 1)  # it has our pager's answer, which it writes down at its end
        there.stop()
        eventually(lambda: ours.delivery.standing()["trouble"] is not None)
        there.start()
        eventually(lambda: LINK in there.alerts())
        eventually(lambda: ours.delivery.standing()["trouble"] is None)
        ours.tell(now_resolved())
        pager.wait(2)
        ours.end()
    assert [status for status, _ in told(pager)] == ["firing", "resolved"]


@real
def test_is_inhibited_and_silenced_there(tmp_path: Path, pager: Received) -> None:
    rules = [
        {"source_matchers": ["rule=node-down"], "target_matchers": ["rule=link-loss"], "equal": ["site"]}
    ]
    with alertmanager(tmp_path / "am", pager.url, inhibit_rules=rules) as there:
        matcher = {"name": "rule", "value": "link-delay", "isRegex": False, "isEqual": True}
        until = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
        there.post(
            "/api/v2/silences",
            {"matchers": [matcher], "startsAt": ago(1), "endsAt": until, "createdBy": "x", "comment": "work"},
        )
        ours = Ours(tmp_path, there.url)
        ours.tell(now_firing("jinan-1", "node-down"))
        pager.wait(1)
        ours.tell(now_firing("a>b@net"), now_firing("a>c@net", "link-delay"))
        eventually(lambda: len(there.alerts()) == 3)
        eventually(lambda: bool(there.alerts()["a>b@net"]["status"]["inhibitedBy"]))
        eventually(lambda: bool(there.alerts()["a>c@net"]["status"]["silencedBy"]))
        ours.end()
    assert told(pager)[0] == ("firing", {"jinan-1 firing"})
    assert all("@net firing" not in str(each) for each in told(pager))


@real
def test_every_peer_is_told_and_one_that_was_away_catches_up(tmp_path: Path, pager: Received) -> None:
    away = AlertmanagerProcess(tmp_path / "two", pager.url)
    with alertmanager(tmp_path / "one", pager.url) as there:
        ours = Ours(tmp_path, there.url, away.url)
        ours.tell(now_firing())
        eventually(lambda: LINK in there.alerts())
        eventually(lambda: ours.book.tally("noc")["delivered"] == 1)
        trouble = ours.delivery.standing()["trouble"]
        away.start()
        try:
            eventually(lambda: LINK in away.alerts())
            eventually(lambda: ours.delivery.standing()["trouble"] is None)
        finally:
            away.stop()
            ours.end()
    why = "no answer ([Errno 111] Connection refused); is it running, and its url right?"
    assert trouble == f"alertmanager noc: {why} [127.0.0.1:{away.port}]"


@real
def test_from_a_breached_window_to_a_page_and_its_end(tmp_path: Path, pager: Received) -> None:
    with alertmanager(tmp_path / "am", pager.url) as there:
        book, clock = Book(tmp_path / "alerts.db"), SystemClock()
        receiver = sender(there.url)
        rules = [rule("link-loss", hold_windows=2, clear_windows=2)]
        engine = AlertEngine(rules, Subjects([spec()]), book, [receiver], clock)
        engine.start()
        frames = series([0.13, 0.13, 0.13, -0.001, -0.001, -0.001])
        for frame in frames[:3]:
            engine.observe({"state": frame})
        pager.wait(1)
        for frame in frames[3:]:
            engine.observe({"state": frame})
        pager.wait(2)
        eventually(lambda: engine.receivers()[0]["delivered"] == 2)
        engine.stop()
        book.close()
    assert told(pager) == [("firing", {f"{LINK} firing"}), ("resolved", {f"{LINK} resolved"})]
    alert = pager.bodies[0]["alerts"][0]
    assert alert["labels"]["alertname"] == "link-loss"
    assert alert["startsAt"] == "2025-11-21T12:03:00Z"
    assert "packets lost from jinan-1 to guiyang-1" in alert["annotations"]["summary"]
    assert alert["annotations"]["runbook_url"] == "https://docs.example/runbooks/link-loss.md"


def test_the_far_ends_words_at_a_refusal_are_told() -> None:
    with receiving(400) as received:
        made = Alertmanager("noc", [received.url], FakeClock(), LINKS)
        with pytest.raises(SinkRejected, match="alertmanager noc: refused with status 400"):
            made.deliver([body()])
        made.close()


def test_all_peers_away() -> None:
    made = Alertmanager("noc", ["http://127.0.0.1:9", "http://127.0.0.1:19"], FakeClock(), LINKS)
    with pytest.raises(SinkBusy, match=r"no answer \(.*Connection refused\); is it running.*\[127.0.0.1:9\]"):
        made.deliver([body()])
    made.close()


def test_an_address_that_is_none() -> None:
    with pytest.raises(ConfigError, match="alertmanager noc: url must be"):
        Alertmanager("noc", ["ftp://x"], FakeClock(), LINKS)


@pytest.mark.parametrize("status", ["firing", "resolved"])
def test_an_alert_never_ends_before_it_begins_though_the_clock_was_set_back(status: str) -> None:
    told = body(status, since="2025-11-21T15:00:00.000Z")
    with receiving() as received:
        there = Alertmanager("noc", [received.url], FakeClock(), LINKS)
        there.deliver([told])
        there.close()
    alerts: Any = received.bodies[0]
    (alert,) = alerts
    minute = 8 if status == "firing" else 9
    assert alert["startsAt"] == alert["endsAt"] == f"2025-11-21T12:0{minute}:00.000Z"


@pytest.mark.parametrize(
    ("mine", "teams"), [((), ["a", "c", "d"]), (("c",), ["c"]), (("b", "d"), ["a", "d"]), (("d",), ["d"])]
)
@pytest.mark.parametrize("status", ["firing", "resolved"])
def test_teams_that_are_told_later_have_alerts_of_their_own(
    status: str, mine: tuple[str, ...], teams: list[str]
) -> None:
    with receiving() as received:
        noc = Alertmanager("noc", [received.url], SystemClock(), LINKS, policy=Policy(teams=mine, resend_s=1))
        labels = {"team": "a", "teams": "a,b", "place": "x"}
        now = ["d"] if status == "firing" else []
        noc.deliver([body(status, labels=labels, teams_later=["c", "d"], teams_now=now)])
        noc.close()
    alerts: Any = received.bodies[0]
    told = [each["labels"] for each in alerts]
    assert [each["team"] for each in told] == teams
    assert [each.get("teams") for each in told] == ["a,b" if each == "a" else None for each in teams]
    assert len({str(sorted({**each, "team": "", "teams": ""}.items())) for each in told}) == 1


def test_the_end_for_teams_that_were_told_later_ends_no_alert_of_the_others() -> None:
    with receiving() as received:
        noc = Alertmanager("noc", [received.url], SystemClock(), LINKS, policy=Policy(resend_s=1))
        labels = {"team": "a", "teams": "a,b", "place": "x"}
        noc.deliver([body("resolved", labels=labels, teams_later=["c", "d"], teams_now=["d"])])
        noc.close()
    alerts: Any = received.bodies[0]
    assert [each["labels"]["team"] for each in alerts] == ["c", "d"]
