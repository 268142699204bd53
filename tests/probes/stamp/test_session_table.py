"""The session table against a dictionary; shared keys mix up no sessions."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from probes.sockets.raw_name import raw_name
from probes.stamp.session_table import IDLE_NS, SessionTable, Words, identities

ADDRESSES = ["10.0.0.1", "10.0.0.2", "::", "::1", "2001:db8::1", "2001:db8:0:1::1"]
Person = tuple[str, int, int, int]
people = st.tuples(st.sampled_from(ADDRESSES), st.integers(1, 3), st.integers(0, 2), st.integers(0, 1))


def words(persons: list[Person]) -> Words:
    """Identities (n, 4) of (address, port, SSID, door)."""
    return np.concatenate(
        [
            identities(raw_name(address, port)[None], np.array([ssid], np.uint16), door)
            for address, port, ssid, door in persons
        ]
    )


@given(st.lists(st.lists(people, min_size=1, max_size=6), max_size=10), st.integers(1, 2**64 - 1))
def test_it_finds_what_was_added(batches: list[list[Person]], salt: int) -> None:
    table, twin = SessionTable(256, salt), dict[Person, int]()
    for batch in batches:
        found = table.find(words(batch))
        assert found.tolist() == [twin.get(person, -1) for person in batch]
        new = list(dict.fromkeys(person for person in batch if person not in twin))
        if new:
            twin |= dict(zip(new, table.add(words(new), 0).tolist(), strict=True))
    assert len(table) == len(twin) == len(set(twin.values()))
    assert -1 not in twin.values()


@given(st.lists(st.integers(0, 4), max_size=40))
def test_ordinals_count_each_slot_from_zero(slots: list[int]) -> None:
    told = SessionTable(8).ordinals(np.array(slots, np.intp))
    assert told.tolist() == [slots[:place].count(slot) for place, slot in enumerate(slots)]


def test_who_shares_a_key_with_another_gets_no_session() -> None:
    table = SessionTable(8)
    persons = words([("2001:db8::1", 1, 7, 0), ("2001:db8::2", 1, 7, 0)])
    table.keys = lambda identity: np.full(len(identity), 5, np.uint64)  # type: ignore[method-assign] # all alike
    assert table.add(persons[:1], 0).tolist() == [0]
    assert table.add(persons[1:], 0).tolist() == [-1]
    assert table.find(persons).tolist() == [0, -1]


def test_a_full_table_forgets_only_who_was_silent() -> None:
    table = SessionTable(2)
    persons = words([("10.0.0.1", port, 0, 0) for port in range(4)])
    first, second = table.add(persons[:2], 0).tolist()
    table.number[:], table.left_stamp[:] = 9, 9
    table.seen_ns[second] = IDLE_NS
    assert table.add(persons[2:3], IDLE_NS + 1).tolist() == [first]
    assert (table.number[first], table.left_stamp[first]) == (0, 0)
    assert table.find(persons).tolist() == [-1, second, first, -1]
    assert table.add(persons[3:], IDLE_NS + 2).tolist() == [-1]
    assert len(table) == 2
