"""Changed ways and shifted delays become the right kind of event."""

from __future__ import annotations

from linkgauge.code import EventKind
from probes.path.book import Known
from probes.path.event import Event, Events, Move, Step, event_frame
from probes.path.way import Way

S = 1_000_000_000
T0 = 1_800_000_000 * S
WAY = Way(("a", "z"), True)


class Seen:
    """What the sweeps know of the one link."""

    def __init__(self, *spans: tuple[int, int]) -> None:
        self.spans = [Known(WAY, T0 + since * S, T0 + seen * S) for since, seen in spans]

    def sights(self, link: str, dscp: int) -> list[Known]:
        return self.spans if (link, dscp) == ("l", 0) else []


def events() -> Events:
    return Events(window_ns=10 * S, slack_ns=20 * S, settle_ns=80 * S, patience_ns=200 * S)


def move(old_s: int, new_s: int) -> Move:
    return Move("l", 0, 2, "a b z", "a c z", T0 + old_s * S, T0 + new_s * S)


def step(since_s: int, found_s: int, turn: tuple[str, str] | None = None) -> Step:
    return Step("l", 0, T0 + since_s * S, T0 + found_s * S, 1000.0, 1500.0, turn)


def at(out: Events, seconds: int, seen: Seen) -> list[Event]:
    return out.settle(T0 + seconds * S, seen)


def test_another_way_without_a_shift_is_a_path_event_after_a_while() -> None:
    out = events()
    out.moved(move(0, 60))
    assert at(out, 130, Seen((60, 120))) == []
    (event,) = at(out, 140, Seen((60, 120)))
    assert (event.kind, event.flows, event.before, event.after) == (EventKind.PATH, 2, "a b z", "a c z")
    assert (event.start_ns, event.length_ns) == (T0, 60 * S)


def test_another_way_and_a_shift_are_one_reroute() -> None:
    out = events()
    out.moved(move(0, 60))
    out.shifted(step(30, 70))
    (event,) = at(out, 70, Seen((60, 60)))
    assert (event.kind, event.before, event.after) == (EventKind.REROUTE, "a b z", "a c z")
    assert (event.before_us, event.after_us, event.start_ns) == (1000.0, 1500.0, T0 + 30 * S)
    assert at(out, 500, Seen((60, 480))) == []


def test_a_shift_waits_for_the_sweep_that_shows_the_other_way() -> None:
    out = events()
    out.shifted(step(70, 110))
    assert at(out, 110, Seen((0, 60))) == []
    out.moved(move(60, 125))
    assert [event.kind for event in at(out, 126, Seen((120, 120)))] == [EventKind.REROUTE]


def test_a_shift_found_late_still_finds_the_way_that_was_told() -> None:
    out = events()
    out.moved(move(0, 60))
    assert [event.kind for event in at(out, 150, Seen((60, 120)))] == [EventKind.PATH]
    out.shifted(step(30, 180))
    assert [event.kind for event in at(out, 180, Seen((60, 180)))] == [EventKind.REROUTE]


def test_a_shift_while_all_ways_stay_is_below_ip() -> None:
    out = events()
    out.shifted(step(70, 110))
    assert at(out, 115, Seen((0, 60), (0, 120))) == []
    (event,) = at(out, 125, Seen((0, 120), (0, 120)))
    assert (event.kind, event.flows) == (EventKind.BELOW_IP, 2)
    assert (event.before, event.after) == ("1000 us", "1500 us")


def test_a_way_that_changed_at_another_time_does_not_explain_a_shift() -> None:
    out = events()
    out.moved(move(0, 60))
    out.shifted(step(200, 240))
    kinds = [event.kind for event in at(out, 270, Seen((60, 260)))]
    assert sorted(kind.value for kind in kinds) == ["below-ip", "path"]


def test_a_shift_with_another_number_of_hops_back_is_a_reroute() -> None:
    out = events()
    out.shifted(step(70, 110, ("5 hops out, 5 back", "5 hops out, 7 back")))
    (event,) = at(out, 110, Seen((0, 60)))
    assert (event.kind, event.after) == (EventKind.REROUTE, "5 hops out, 7 back")


def test_a_shift_that_no_sweep_surrounds_is_counted() -> None:
    out = events()
    out.shifted(step(70, 110))
    assert at(out, 309, Seen()) == []
    assert out.untold == 0
    assert at(out, 310, Seen()) == []
    assert out.untold == 1


def test_a_clock_that_is_set_back_ends_the_wait() -> None:
    out = events()
    out.moved(move(0, 60))
    assert [event.kind for event in at(out, -3600, Seen())] == [EventKind.PATH]


def test_rows_carry_what_the_event_says() -> None:
    frame = event_frame([Event("l", 46, EventKind.MTU, T0, S, 1, "1500", "1400")])
    assert (frame.text("class")[0], frame.text("kind")[0]) == ("46", "mtu")
    assert (frame.text("before")[0], frame.text("after")[0]) == ("1500", "1400")
    assert event_frame([]).rows == 0
