"""What is known of ways: silence filled in, changes, balancers that spray."""

from __future__ import annotations

from probes.path.book import MOST_SPRAYED, SPRAY_ROUNDS, Book
from probes.path.way import Way

FLOW = ("l", 0, 3)


def way(text: str) -> Way:
    return Way(tuple(text.split()), True)


def test_sights_fill_in_silent_hops_and_keep_the_date_of_the_first() -> None:
    book = Book()
    book.seen(FLOW, way("a * z"), 10)
    book.seen(FLOW, way("* b z"), 20)
    (known,) = book.sights("l", 0)
    assert (known.way, known.since_ns, known.seen_ns) == (way("a b z"), 10, 20)
    assert book.depth("l") == 3
    assert book.sights("l", 46) == []


def test_a_sight_of_few_hops_does_not_prove_that_the_way_is_the_same() -> None:
    book = Book()
    book.seen(FLOW, way("a b c z"), 10)
    book.seen(FLOW, way("* * * z"), 20)
    assert [known.seen_ns for known in book.sights("l", 0)] == [10]
    book.seen(FLOW, way("* b * z"), 30)
    assert [known.seen_ns for known in book.sights("l", 0)] == [30]


def test_another_way_begins_anew() -> None:
    book = Book()
    book.seen(FLOW, way("a b z"), 10)
    assert book.differing(FLOW, way("a c z")) == [1]
    book.changed(FLOW, way("a c z"), 20)
    (known,) = book.sights("l", 0)
    assert (known.way, known.since_ns) == (way("a c z"), 20)


def test_nothing_seen_changes_nothing() -> None:
    book = Book()
    book.seen(FLOW, Way((), False), 10)
    assert book.known(FLOW) is None
    assert book.differing(FLOW, way("a z")) == []


def test_addresses_that_alternate_are_one_for_a_while() -> None:
    book = Book()
    book.seen(FLOW, way("a b z"), 10)
    book.sprayed({"c", "b"}, 1)
    assert book.differing(FLOW, way("a c z")) == []
    book.forget_sprayed(SPRAY_ROUNDS)
    assert book.differing(FLOW, way("a c z")) == []
    book.forget_sprayed(SPRAY_ROUNDS + 1)
    assert book.differing(FLOW, way("a c z")) == [1]


def test_only_so_many_pairs_are_remembered_and_the_oldest_go_first() -> None:
    book = Book()
    book.seen(FLOW, way("a b z"), 10)
    book.sprayed({"b", "c"}, 1)
    for at in range(MOST_SPRAYED - 1):
        book.sprayed({"b", f"x{at}"}, 1)
    assert book.differing(FLOW, way("a c z")) == []
    book.sprayed({"b", "y"}, 1)
    assert book.differing(FLOW, way("a c z")) == [1]
    assert book.differing(FLOW, way("a x0 z")) == []
