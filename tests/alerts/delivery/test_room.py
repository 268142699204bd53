"""What goes when too many notices wait: by the rule, and out of a real book, named in the log."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from pathlib import Path

import pytest

from alerts.delivery.book import Book
from alerts.delivery.room import Waiting, believed, dropped
from tests.alerts.notices import body


def waits(story: str) -> list[Waiting]:
    """ "A+ t-": page A begins, ticket t ends."""
    each = enumerate(story.split())
    return [Waiting(seq, word[:-1], word[:-1].isupper(), word[-1] == "-") for seq, word in each]


def left(story: str, most: int, firing: dict[str, bool] | None = None) -> str:
    notices = waits(story)
    gone = dropped(notices, most, firing or {}).seqs
    assert len(set(gone)) == len(gone)
    return " ".join(word for seq, word in enumerate(story.split()) if seq not in gone)


@pytest.mark.parametrize(
    ("story", "most", "after"),
    [
        ("A+ b+ c+", 3, "A+ b+ c+"),
        ("a- b+ c+ d+", 3, "a- c+ d+"),
        ("A- B+ C+ D+", 3, "A- C+ D+"),
        ("a- b+ c+ d+", 1, "a-"),
        ("a+ b+ a- c+", 3, "b+ c+"),
        ("A+ B+ A- C+", 3, "B+ C+"),
        ("A+ A- b+ c-", 3, "A+ A- c-"),
        ("A+ A- b+ c- D+", 2, "c- D+"),
        ("A- b- C+", 2, "A- C+"),
        ("A- A+ b+", 2, "A+ b+"),
        ("A- A+ A- b+", 2, "A- b+"),
        ("a+ a- a+ b+", 2, "a+ b+"),
        ("a+ a- a+ a- B+ C+", 4, "a+ a- B+ C+"),
        ("a+ a- a+ a- B+ C+", 3, "B+ C+"),
    ],
)
def test_what_is_worth_least_goes_first(story: str, most: int, after: str) -> None:
    assert left(story, most) == after


def test_what_the_receiver_was_told_before_decides_what_it_needs() -> None:
    assert left("A+ A- B+", 2, {"A": True}) == "A- B+", "it believes that A fires, though it is told anew"
    assert left("A- B+ C+", 2, {"A": False}) == "B+ C+", "it never heard of A"
    assert believed([("a", True, False)]) == {"a": True}
    assert believed([("a", True, False), ("a", False, True), ("a", False, False)]) == {"a": True}
    assert believed([("a", False, False)]) == {"a": False}, "its beginning was dropped"
    assert believed([("a", False, True)]) == {"a": True}, "its end was, and no more is known"
    assert believed([("a", True, True), ("a", False, False)]) == {"a": False}


@pytest.mark.parametrize("seed", range(40))
def test_no_end_is_lost_while_something_worth_less_waits(seed: int) -> None:
    chance = random.Random(seed)
    knows = {name: chance.random() < 0.5 for name in "ABCDEFGHabcdefgh"}
    fires, notices = dict(knows), []
    for seq in range(chance.randrange(1, 60)):
        alert = chance.choice(list(fires))
        notices.append(Waiting(seq, alert, alert.isupper(), fires[alert]))
        fires[alert] = not fires[alert]
    most = chance.randrange(0, 20)
    gone = dropped(notices, most, knows)
    kept = [each for each in notices if each.seq not in set(gone.seqs)]
    assert len(kept) <= most
    assert len(kept) >= min(len(notices), most) - 1, "no more than a pair goes for one"
    for alert in knows:
        mine = [each for each in kept if each.alert == alert]
        lost = not mine and knows[alert] and any(each.alert == alert and each.ends for each in notices)
        if lost and not fires[alert]:
            assert not [each for each in kept if not each.ends and not each.page], "no ticket that fires"
        if mine and mine[0].ends:
            assert knows[alert], "no end of what it never heard of"


def book_of(folder: Path, most: int) -> Book:
    return Book(folder / "alerts.db", max_waiting=most)


def record(book: Book, notices: Iterable[bytes]) -> None:
    book.record(b"", [(json.loads(each)["id"], each) for each in notices], ["hook"], 0)


def waiting(book: Book) -> list[tuple[str, str]]:
    read = [json.loads(each.body) for each in book.waiting("hook", 99)]
    return [(each["id"], each["status"]) for each in read]


def test_the_end_of_what_was_told_outlives_a_flood(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    book = book_of(tmp_path, 4)
    record(book, [body(id="a")])
    book.delivered([book.waiting("hook", 1)[0].seq], 0)
    record(book, [body("resolved", id="a")])
    record(book, [body(id=f"p{at}") for at in range(6)])
    assert waiting(book) == [("a", "resolved"), *((f"p{at}", "firing") for at in (3, 4, 5))]
    assert [each.getMessage() for each in caplog.records] == [
        "receiver hook: more than 4 notices wait for it; dropped: "
        "3 of alerts that it never hears of: p0, p1, p2"
    ]
    record(book, [body("resolved", id="p4"), body("resolved", id="p1")])
    assert waiting(book) == [("a", "resolved"), ("p3", "firing"), ("p5", "firing")], "p4 went whole"
    assert book.tally("hook")["dropped"] == 6
    book.close()


def test_ends_that_are_lost_are_named_but_not_all(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    book = book_of(tmp_path, 20)
    record(book, [body(id=f"a{at:02}") for at in range(15)])
    book.delivered([each.seq for each in book.waiting("hook", 99)], 0)
    book.close()
    book = book_of(tmp_path, 2)
    record(book, [body("resolved", id=f"a{at:02}") for at in range(15)])
    ids = ", ".join(f"a{at:02}" for at in range(10))
    assert [each.getMessage() for each in caplog.records] == [
        "receiver hook: more than 2 notices wait for it; dropped: 13 ends of alerts that it believes to "
        f"fire; look at `linkgauge alerts list`: {ids} and 3 more"
    ]
    assert [each for each, _ in waiting(book)] == ["a13", "a14"]
    book.close()


def test_what_nobody_wants_takes_no_room_and_is_counted(tmp_path: Path) -> None:
    book = book_of(tmp_path, 2)
    told = [("a", body(id="a")), *((f"t{at}", body(id=f"t{at}", severity="ticket")) for at in range(9))]
    book.record(
        b"", told, ["hook", "all"], 0, wanted_by=lambda each: ["all"] if b"ticket" in each else ["hook"]
    )
    assert [each.alert for each in book.waiting("hook", 9)] == ["a"]
    assert [each.alert for each in book.waiting("all", 9)] == ["t7", "t8"]
    assert (book.tally("hook")["passed_by"], book.tally("all")["passed_by"]) == (9, 1)
    assert (book.tally("hook")["dropped"], book.tally("all")["dropped"]) == (0, 7)
    book.close()


def test_who_is_told_again_and_again_hears_of_what_fires_though_it_was_dropped(tmp_path: Path) -> None:
    book = book_of(tmp_path, 1)
    told = [("a", body(id="a")), ("b", body(id="b")), ("b", body("resolved", id="b")), ("c", body(id="c"))]
    book.record(b"", told, ["hook", "noc"], 0, firing=["a", "c"], forgetful=["noc"])
    assert [each.alert for each in book.waiting("noc", 9)] == ["c"]
    assert (book.standing("noc", 0), book.standing("hook", 0)) == ([body(id="a")], [])
    book.record(b"", [], ["hook", "noc"], 0, firing=["c"], forgetful=["noc"])
    assert book.standing("noc", 0) == []
    book.close()
