"""The whole room: states in, notices at a real receiver, over restarts and kills."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from alerts.delivery.book import Book
from alerts.engine import AlertEngine
from alerts.event import rfc3339
from alerts.receivers.receiver import Policy
from alerts.receivers.webhook import Webhook
from alerts.roll.subject import Subjects
from linkgauge.clock import NS_PER_S
from linkgauge.errors import StoreError
from tests.alerts.deaf import Deaf
from tests.alerts.server import Received, eventually, receiving
from tests.alerts.world import FIRST_NS, NAN, WINDOW_NS, FakeClock, rule, series, spec

BAD, OK = 0.13, -0.001
RULES = [rule("link-loss", hold_windows=2, clear_windows=2)]
TICKETS = Policy(severities=("ticket",), resend_s=60.0)


class Run:
    """One run of the engine on the book in a folder."""

    def __init__(self, folder: Path, received: Received | None = None) -> None:
        self.book = Book(folder / "alerts.db")
        hooks = [Webhook("hook", received.url)] if received else []
        self.engine = AlertEngine(RULES, Subjects([spec()]), self.book, hooks, FakeClock(FIRST_NS))
        self.engine.start()

    def observe(self, excesses: Sequence[float], first: int = 0) -> None:
        for frame in series(excesses)[first:]:
            self.engine.observe({"state": frame})

    def end(self) -> None:
        self.engine.stop()
        self.book.close()


def told(bodies: list[dict[str, Any]]) -> list[str]:
    return [body["status"] for body in bodies]


def test_fire_and_resolve_are_told(tmp_path: Path) -> None:
    with receiving() as received:
        run = Run(tmp_path, received)
        run.observe([OK, BAD, BAD, BAD, OK, OK, OK])
        received.wait(2)
        eventually(lambda: run.engine.counters["waiting"] == 0)
        counters = run.engine.counters
        run.end()
    assert told(received.bodies) == ["firing", "resolved"]
    assert counters == {
        "fired": 1, "resolved": 1, "held_back": 0, "cause_failed": 0, "windows_ignored": 0,
        "unwritten_dropped": 0, "firing": 0, "unwritten": 0,
        "waiting": 0, "delivered": 2, "given_up": 0, "dropped": 0,
    }  # fmt: skip


def test_active_tells_what_fires_and_that_it_is_not_measured(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.observe([BAD, BAD])
    (alert,) = run.engine.active()
    assert (alert["status"], alert["rule"], alert["unmeasured_since"]) == ("firing", "link-loss", None)
    run.observe([BAD, BAD, NAN], first=2)
    (alert,) = run.engine.active()
    assert alert["unmeasured_since"] == "2025-11-21T12:03:20.000Z"
    assert alert["summary"].endswith("it has not been judged since 2025-11-21T12:03:20.000Z")
    json.dumps(alert, allow_nan=False)
    run.end()


def test_a_restart_neither_repeats_nor_forgets(tmp_path: Path) -> None:
    excesses = [OK, BAD, BAD, BAD, OK, OK]
    with receiving() as received:
        for cut in range(len(excesses)):
            run = Run(tmp_path, received)
            run.observe(excesses[: cut + 1], first=max(0, cut - 2))  # also what earlier runs have seen
            eventually(lambda engine=run.engine: engine.counters["waiting"] == 0)  # type: ignore[misc] # mypy wants no default here
            run.end()
    assert told(received.bodies) == ["firing", "resolved"]


def test_an_alert_that_nobody_judges_ends_at_its_time_over_restarts(tmp_path: Path) -> None:
    unknown = RULES[0].unknown_windows
    excesses = [BAD, BAD, *[NAN] * (unknown - 1)]
    with receiving() as received:
        for cut in (2, 3, unknown // 2, unknown + 1):
            run = Run(tmp_path, received)
            run.observe(excesses[:cut], first=max(0, cut - unknown // 2 - 1))
            assert [alert["status"] for alert in run.engine.active()] == ["firing"]
            run.end()
        run = Run(tmp_path, received)
        run.observe([*excesses, NAN, NAN, NAN], first=len(excesses))
        assert run.engine.active() == []
        received.wait(2)
        run.end()
    assert told(received.bodies) == ["firing", "resolved"]
    assert "no longer judged from here" in received.bodies[1]["summary"]
    assert received.bodies[1]["resolved_at"] == rfc3339(FIRST_NS + (unknown + 2) * WINDOW_NS)
    assert received.bodies[1]["numbers"]["loss_lower_ratio"] is None


def test_what_was_not_delivered_is_delivered_by_the_next_run(tmp_path: Path) -> None:
    first = Run(tmp_path)
    first.engine = AlertEngine(
        RULES, Subjects([spec()]), first.book, [Webhook("hook", "http://127.0.0.1:9/")], FakeClock()
    )
    first.observe([BAD, BAD])
    first.end()
    with receiving() as received:
        second = Run(tmp_path, received)
        second.observe([BAD, BAD, OK, OK], first=2)
        received.wait(2)
        second.end()
    assert told(received.bodies) == ["firing", "resolved"]
    assert received.bodies[0]["since"] == received.bodies[1]["since"]


def test_links_that_are_taken_away_end_their_alerts(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.observe([BAD, BAD])
    run.engine.watch(Subjects([spec()]))
    assert len(run.engine.active()) == 1
    run.end()
    run = Run(tmp_path)
    run.engine.watch(Subjects([spec("other-1")]))
    assert run.engine.active() == []
    assert run.engine.counters["resolved"] == 0, "told with the next window"
    run.end()
    with receiving() as received:
        run = Run(tmp_path, received)
        run.engine.watch(Subjects([spec("other-1")]))
        run.observe([OK] * 4, first=2)
        received.wait(1)
        eventually(lambda: run.engine.counters["waiting"] == 0)
        assert run.engine.counters["resolved"] == 1
        run.end()
    assert told(received.bodies) == ["resolved"]


def test_an_inventory_that_changes_between_windows_ends_an_alert_once(tmp_path: Path) -> None:
    with receiving() as received:
        run = Run(tmp_path, received)
        run.observe([BAD, BAD])
        run.engine.watch(Subjects([spec("other-1")]))
        run.observe([BAD, BAD, OK, OK], first=2)
        received.wait(2)
        eventually(lambda: run.engine.counters["waiting"] == 0)
        run.end()
    assert told(received.bodies) == ["firing", "resolved"]


def test_old_windows_are_counted(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.observe([BAD, OK])
    run.observe([BAD, OK])
    assert run.engine.counters["windows_ignored"] == 2
    run.end()


def test_a_full_disk_delays_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with receiving() as received:
        run = Run(tmp_path, received)

        def full(*_: object) -> None:
            raise StoreError("alerts.db: full; make room on its disk")

        with monkeypatch.context() as patch:
            patch.setattr(run.book, "record", full)
            run.observe([BAD, BAD, BAD])
            assert run.engine.counters["unwritten"] == 1
        assert [record.message for record in caplog.records if "make room" in record.message] == [
            "alerts.db: full; make room on its disk; until then nobody is told of alerts"
        ]
        run.observe([BAD, BAD, BAD, BAD], first=3)
        received.wait(1)
        assert run.engine.counters["unwritten"] == 0
        run.end()
    assert told(received.bodies) == ["firing"]


def test_a_memory_that_cannot_be_used_is_said_and_begun_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    book = Book(tmp_path / "alerts.db")
    book.record(b"damage", [], [], 0)
    book.close()
    run = Run(tmp_path)
    run.observe([BAD, BAD])
    assert len(run.engine.active()) == 1
    assert any("memory cannot be used" in record.message for record in caplog.records)
    run.end()


_CHILD = """
import os, sys, signal
from pathlib import Path
from alerts.delivery.book import Book
from alerts.engine import AlertEngine
from alerts.receivers.webhook import Webhook
from alerts.roll.subject import Subjects
from tests.alerts.world import FakeClock, rule, series, spec

class Killed(Webhook):
    def deliver(self, bodies):
        if sys.argv[3] == "after":
            super().deliver(bodies)
        os.kill(os.getpid(), signal.SIGKILL)

book = Book(Path(sys.argv[1]))
rules = [rule("link-loss", hold_windows=2, clear_windows=2)]
engine = AlertEngine(rules, Subjects([spec()]), book, [Killed("hook", sys.argv[2])], FakeClock())
engine.start()
for frame in series([0.13, 0.13]):
    engine.observe({"state": frame})
signal.pause()
"""


@pytest.mark.parametrize(("when", "times"), [("before", 1), ("after", 2)])
def test_killed_between_book_and_delivery(tmp_path: Path, when: str, times: int) -> None:
    """Before the request: told once, by the next run. After it: told twice, and the receiver can tell."""
    with receiving() as received:
        command = [sys.executable, "-c", _CHILD, str(tmp_path / "alerts.db"), received.url, when]
        child = subprocess.run(command, timeout=60, cwd=os.getcwd(), check=False)
        assert child.returncode == -signal.SIGKILL
        run = Run(tmp_path, received)
        run.observe([BAD, BAD, BAD])
        received.wait(times)
        eventually(lambda: run.engine.counters["waiting"] == 0)
        run.end()
    assert told(received.bodies) == ["firing"] * times
    assert len({body["notification"] for body in received.bodies}) == 1


def test_a_notice_says_when_it_was_found_out(tmp_path: Path) -> None:
    clock = FakeClock(FIRST_NS)
    book = Book(tmp_path / "alerts.db")
    engine = AlertEngine(RULES, Subjects([spec()]), book, [Webhook("hook", "http://127.0.0.1:9/")], clock)
    clock.advance(2 * WINDOW_NS + 3 * NS_PER_S)
    for frame in series([BAD, BAD]):
        engine.observe({"state": frame})
    body = json.loads(book.waiting("hook", 1)[0].body)
    assert (body["fired_at"], body["created_at"]) == ("2025-11-21T12:03:20.000Z", "2025-11-21T12:03:23.000Z")
    engine.stop()
    book.close()


def test_a_receiver_that_forgets_hears_of_all_that_fires_when_it_is_new_or_wants_more(tmp_path: Path) -> None:
    """It would end what it hears nothing of, or never know of it."""
    run = Run(tmp_path)
    run.observe([BAD, BAD])
    run.end()
    book = Book(tmp_path / "alerts.db")
    receivers = [Deaf("noc", Policy(resend_s=60.0)), Deaf("mail", Policy()), Deaf("tickets", TICKETS)]
    engine = AlertEngine(RULES, Subjects([spec()]), book, receivers, FakeClock(FIRST_NS))
    engine.observe({"state": series([BAD] * 3)[2]})
    assert [json.loads(each)["status"] for each in book.standing("noc", FIRST_NS)] == ["firing"]
    assert book.standing("tickets", FIRST_NS) == []
    assert [book.waiting(each.name, 9) for each in receivers] == [[], [], []], "nobody else is told anew"
    for frame in series([BAD, BAD, BAD, OK, OK])[3:]:
        engine.observe({"state": frame})
    assert book.standing("noc", FIRST_NS) == []
    book.close()


def test_an_end_that_is_yet_to_be_told_when_duty_begins_outlives_a_crash(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.observe([BAD, BAD])
    run.engine.watch(Subjects([spec("other-1")]))
    run.engine.take_over([], 0)
    run.end()  # before the next window
    with receiving() as received:
        run = Run(tmp_path, received)
        run.engine.watch(Subjects([spec("other-1")]))
        run.observe([OK] * 4, first=2)
        received.wait(1)
        eventually(lambda: run.engine.counters["waiting"] == 0)
        run.end()
    assert told(received.bodies) == ["resolved"]
