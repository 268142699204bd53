"""The layout for people: what stands in it, what a digest leaves out and says so, texts that fit."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from alerts.receivers.message import Links, composed, cut, digest, message
from alerts.receivers.told import Told, readable
from tests.alerts.notices import body

NOWHERE = Links()


def told(**changes: object) -> Told:
    return Told.read(body(**changes))  # type: ignore[arg-type] # keys of a notice


def test_without_addresses_the_runbook_is_named_by_its_place() -> None:
    made = message(told(), NOWHERE)
    assert made.links == (("Runbook", "docs/runbooks/link-loss.md"),)
    assert "Runbook: docs/runbooks/link-loss.md" in made.markdown()


def test_what_is_over_has_no_steps_and_tells_when() -> None:
    made = message(told(status="resolved"), NOWHERE)
    assert (made.steps, made.links) == ((), ())
    assert made.lines[-1] == ("Ended", "2025-11-21 12:09:00 UTC")
    assert made.head == "PAGE resolved: Packet loss above the objective"


def test_a_drill_says_so_first() -> None:
    made = message(told(labels={"drill": "true"}), NOWHERE)
    assert made.head.startswith("DRILL PAGE firing: ")
    assert made.subject.startswith("[DRILL page] ")


def test_an_alert_of_a_node_names_the_first_board() -> None:
    of_node = Told.read(
        body(id="node-down/n-1/-", about="n-1", link=None, direction="-", place=None)
        .replace(b'"link":"jinan-1>guiyang-1@backbone",', b"")
    )  # fmt: skip
    made = message(of_node, Links("", "https://g.example/"))
    assert made.lines[0] == ("", "n-1")
    assert made.links[1][1].startswith("https://g.example/d/linkgauge-overview?from=")


def test_an_old_notice_is_understood() -> None:
    old = Told.read(
        b'{"version":1,"id":"link-loss/a>b@n/forward","notification":"x","status":"firing","rule":"link-loss",'
        b'"title":"Loss","severity":"page","link":"a>b@n","direction":"forward","since":"2025-11-21T12:03:00Z",'
        b'"fired_at":"2025-11-21T12:03:20Z","labels":{"link":"a>b@n"}}'
    )
    assert message(old, NOWHERE).lines[0] == ("", "a>b@n, forward")
    assert (old.drill, old.team) == (False, "")


def test_a_digest_tells_an_alert_in_the_order_in_which_it_changed() -> None:
    """Else one that ended and fires again would read as over."""
    changes = [("a", "firing"), ("b", "resolved"), ("a", "resolved"), ("a", "firing"), ("b", "firing")]
    changes.append(("b", "resolved"))
    made = digest([Told.read(body(status, id=id)) for id, status in changes], NOWHERE)
    lines = [" ".join(text.split()[1:3]).rstrip(":") for _, text in made.lines]
    assert lines == ["firing a", "resolved a", "firing a", "resolved b", "firing b", "resolved b"]


def test_a_digest_has_pages_first_and_counts_each_kind() -> None:
    several = [
        told(id="a", severity="ticket"), told(id="b", status="resolved"), told(id="c"), told(id="d"),
    ]  # fmt: skip
    made = digest(several, NOWHERE)
    assert made.head == "4 changes of alerts at once: 2 page firing, 1 page resolved, 1 ticket firing"
    assert [line.split()[2][0] for _, line in made.lines] == ["c", "d", "b", "a"]


@given(st.integers(2, 400), st.integers(0, 300), st.integers(600, 20_000))
def test_a_digest_fits_and_tells_of_all(several: int, words: int, most_bytes: int) -> None:
    bodies = [body(id=f"r{at}", summary="路" * words) for at in range(several)]
    made = composed(bodies, NOWHERE, most_bytes)
    assert len(made.markdown(most_bytes).encode()) <= most_bytes
    last = made.lines[-1][1]
    left_out = int(last.split()[1]) if last.startswith("and ") else 0
    assert len(made.lines) - (left_out > 0) + left_out == several


@given(st.text(), st.integers(3, 50))
def test_a_cut_text_fits_and_begins_as_before(text: str, most_bytes: int) -> None:
    made = cut(text, most_bytes)
    assert len(made.encode()) <= most_bytes
    assert text.startswith(made.removesuffix("…")) or made == text


def test_times_for_people() -> None:
    assert readable("2025-11-21T12:03:05.000Z") == "2025-11-21 12:03:05 UTC"
    assert readable("soon") == "soon"
