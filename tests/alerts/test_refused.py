"""What a receiver that forgets refused for good is not told it again and again after a restart."""

from __future__ import annotations

import json
from pathlib import Path

from alerts.delivery.book import Book
from alerts.engine import AlertEngine
from alerts.receivers.receiver import Policy
from alerts.roll.subject import Subjects
from tests.alerts.deaf import Deaf
from tests.alerts.world import FIRST_NS, FakeClock, rule, spec, state

RECEIVERS = [Deaf("noc", Policy(gathers=True, resend_s=60.0)), Deaf("other", Policy(resend_s=60.0))]


class Run:
    """An engine on the book of a folder; each window, whether the link answers."""

    def __init__(self, folder: Path) -> None:
        self.book = Book(folder / "alerts.db")
        rules, clock = [rule("link-unreachable", hold_windows=1, clear_windows=1)], FakeClock(FIRST_NS)
        self.engine = AlertEngine(rules, Subjects([spec()]), self.book, RECEIVERS, clock)

    def window(self, number: int, dead: bool) -> None:
        self.engine.observe({"state": state([{"unanswered_s": 8.0 if dead else 0.0}], number)})

    def standing(self, receiver: str = "noc") -> list[str]:
        return [json.loads(each)["status"] for each in self.book.standing(receiver, FIRST_NS)]


def test_it_stands_for_nobody_else_and_stands_again_when_it_fires_anew(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.window(0, dead=True)
    run.book.given_up(run.book.waiting("noc", 9)[0].seq, FIRST_NS)
    for number in (1, 2):
        run.book.close()
        run = Run(tmp_path)
        run.window(number, dead=True)
        assert (run.standing(), run.standing("other")) == ([], ["firing"])
    for number in (3, 4, 5, 6):
        run.window(number, dead=number == 6)
    run.book.close()
    run = Run(tmp_path)
    run.window(7, dead=True)
    assert run.standing() == ["firing"], "that is another notice"
    run.book.close()
