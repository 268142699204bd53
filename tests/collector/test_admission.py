"""Admission: an agent reports its own links, in a sane time; what is out of step is left out and counted."""

from __future__ import annotations

import numpy as np
import pytest

from collector.admission import FUTURE_NS, MAX_TEXT, OLDEST_NS, Refusal, admit
from linkgauge.frame import Frame
from linkgauge.schema import AGENT_TABLES, STATE, TABLES
from linkgauge.table import Kind
from linkgauge.wire import Batch
from tests.collector.world import NOW_NS, WINDOW_NS, batch, health, throughput, windows

LINKS = {"j1>j2@backbone", "j1>g1@backbone", "g1>j1@backbone"}


def _refusal(given: Batch, agent: str = "j1") -> Refusal:
    with pytest.raises(Refusal) as caught:
        admit(given, agent, LINKS, NOW_NS)
    return caught.value


def test_a_good_batch_is_taken_whole() -> None:
    given = batch("j1", 1, windows(sorted(LINKS - {"g1>j1@backbone"})), health("j1"))
    admitted = admit(given, "j1", LINKS, NOW_NS)
    assert admitted.whole
    assert admitted.batch.frames == given.frames


def test_another_agents_batch_is_refused() -> None:
    refusal = _refusal(batch("g1", 1, windows(["g1>j1@backbone"])))
    assert (refusal.reason, refusal.status) == ("wrong_agent", 403)


def test_a_link_that_starts_elsewhere_refuses_the_batch() -> None:
    refusal = _refusal(batch("j1", 1, windows(["j1>j2@backbone", "g1>j1@backbone"])))
    assert (refusal.reason, refusal.status) == ("wrong_agent", 403)
    assert "g1>j1@backbone" in str(refusal)
    assert _refusal(batch("j1", 1, throughput("g1>j1@backbone", 1e6))).status == 403


def test_health_of_another_is_refused() -> None:
    assert _refusal(batch("j1", 1, health("g1"))).reason == "wrong_agent"


def test_the_collectors_own_tables_are_refused() -> None:
    frame = Frame.of(STATE, {"link": ["j1>j2@backbone"], "start_ns": [NOW_NS], "length_ns": [1]})
    assert _refusal(batch("j1", 1, frame)).reason == "wrong_table"


@pytest.mark.parametrize("text", ["", "nonsense", "j1>@x", "j1>j1@backbone", "J1>j2@backbone", "j1>j2"])
def test_a_link_that_is_none_is_refused(text: str) -> None:
    refusal = _refusal(batch("j1", 1, windows([text])))
    assert (refusal.reason, refusal.status) == ("bad_value", 400)


def test_rows_of_unknown_links_are_left_out_and_counted() -> None:
    given = batch("j1", 1, windows(["j1>x9@backbone", "j1>j2@backbone", "j1>x8@backbone"]))
    admitted = admit(given, "j1", LINKS, NOW_NS)
    assert (admitted.unknown_link, admitted.too_old) == (2, 0)
    assert admitted.batch.frames["window"].text("link").tolist() == ["j1>j2@backbone"]


def test_a_batch_of_unknown_links_only_becomes_empty() -> None:
    admitted = admit(batch("j1", 1, windows(["j1>x9@backbone"])), "j1", LINKS, NOW_NS)
    assert (admitted.batch.rows, admitted.unknown_link) == (0, 1)


@pytest.mark.parametrize("ahead_ns", [1, WINDOW_NS])
def test_a_time_in_the_future_is_refused(ahead_ns: int) -> None:
    start_ns = NOW_NS + FUTURE_NS - WINDOW_NS
    assert admit(batch("j1", 1, windows(["j1>j2@backbone"], start_ns)), "j1", LINKS, NOW_NS).whole
    refusal = _refusal(batch("j1", 1, windows(["j1>j2@backbone"], start_ns + ahead_ns)))
    assert (refusal.reason, refusal.status) == ("future", 409)
    refusal = _refusal(batch("j1", 1, created_ns=NOW_NS + FUTURE_NS + ahead_ns))
    assert "set the clock" in str(refusal)


def test_the_greatest_times_do_not_wrap() -> None:
    assert _refusal(batch("j1", 1, windows(["j1>j2@backbone"], 2**62 - 1))).reason == "future"


def test_old_rows_are_left_out_and_counted() -> None:
    old, edge = (windows(["j1>j2@backbone"], NOW_NS - OLDEST_NS - ns) for ns in (1, 0))
    assert admit(batch("j1", 1, old), "j1", LINKS, NOW_NS).too_old == 1
    assert admit(batch("j1", 1, edge), "j1", LINKS, NOW_NS).whole


@pytest.mark.parametrize(("key", "value"), [("probe", "carrier pigeon"), ("class", "64"), ("class", "ef")])
def test_tags_stay_bounded(key: str, value: str) -> None:
    good = windows(["j1>j2@backbone"])
    odd = Frame(good.table, {**good.columns, key: np.array([value], np.object_)}, 1)
    assert _refusal(batch("j1", 1, odd)).reason == "bad_value"


_KEYS = {
    "link": "j1>j2@backbone", "agent": "j1", "probe": "stamp", "class": "46", "flow": "255",
    "kind": "below-ip",
}  # fmt: skip


def _row(name: str, **values: str) -> Frame:
    """A row of a table: its keys, its text fields as long as they may be, or `values`."""
    table = TABLES[name]
    texts = {field.name: "x" * MAX_TEXT for field in table.fields if field.kind is Kind.TEXT}
    given = {**texts, **{key: _KEYS[key] for key in table.keys}, **values}
    times = {"start_ns": [NOW_NS - WINDOW_NS], "length_ns": [WINDOW_NS]}
    return Frame.of(table, {**times, **{name: [text] for name, text in given.items()}})


@pytest.mark.parametrize("name", AGENT_TABLES)
def test_every_table_of_an_agent_is_taken(name: str) -> None:
    assert admit(batch("j1", 1, _row(name)), "j1", LINKS, NOW_NS).whole
    left_out = admit(batch("j1", 1, _row(name)), "j1", set(), NOW_NS)
    assert left_out.unknown_link == (name != "health")


@pytest.mark.parametrize(
    ("name", "column", "text"),
    [
        ("flow", "flow", "256"), ("flow", "flow", "-1"), ("path", "flow", "x"), ("path", "class", "64"),
        ("event", "kind", "weather"), ("path", "path", "x" * (MAX_TEXT + 1)),
        ("certificate", "subject", "x" * (MAX_TEXT + 1)),
    ],
)  # fmt: skip
def test_keys_and_texts_of_every_table_stay_bounded(name: str, column: str, text: str) -> None:
    refusal = _refusal(batch("j1", 1, _row(name, **{column: text})))
    assert (refusal.reason, refusal.status) == ("bad_value", 400)
    assert f"table {name} has a {column}" in str(refusal)
    assert len(str(refusal)) < 120


def test_the_longest_way_fits() -> None:
    hop = ":".join(["ffff"] * 8)
    assert len(" ".join([hop] * 64)) * 2 < MAX_TEXT
