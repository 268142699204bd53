"""The wire: batches survive the trip whole; whatever else arrives is a WireError with a fixed reason."""

from __future__ import annotations

import tracemalloc
from typing import Any
from zlib import crc32

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linkgauge import wire
from linkgauge.errors import WireError
from linkgauge.frame import Frame
from linkgauge.histogram import MAX_BUCKET, Histogram
from linkgauge.schema import CERTIFICATE, EVENT, HEALTH, TABLES, WINDOW
from linkgauge.wire import Batch, decode, encode
from tests.linkgauge.frames import frames, same_frame

REASONS = {"malformed", "version", "too_large", "bad_value"}

SMALL = Batch(
    "j1", "boot-1", 7, 1_700_000_000_000_000_000,
    {
        "window": Frame.of(WINDOW, {
            "link": ["j1>q1@n", "j1>g1@n"], "probe": ["stamp", "stamp"], "class": ["0", "46"],
            "start_ns": [10, 20], "length_ns": [10, 10], "sent": [3, 4], "rtt_p50_us": [1.5, np.nan],
            "rtt_ns": [Histogram.of(np.array([-5.0, 1e6, 2e6])), Histogram.empty()],
        }),
        "health": Frame.of(HEALTH, {"agent": ["j1"], "start_ns": [10], "length_ns": [10], "fit": [1]}),
    },
)  # fmt: skip
BODY = encode(SMALL)


def refusal(body: bytes) -> WireError:
    with pytest.raises(WireError) as caught:
        decode(body)
    assert caught.value.reason in REASONS
    assert 0 < len(str(caught.value)) < 400
    return caught.value


def changed(**parts: Any) -> bytes:
    """SMALL as bytes with other header parts."""
    return msgspec.msgpack.encode({**msgspec.msgpack.decode(BODY), **parts})


def with_column(table: str, column: str, octets: bytes | None) -> bytes:
    """SMALL as bytes with other octets in one column; None leaves the column out."""
    loose = msgspec.msgpack.decode(BODY)
    loose["tables"][table]["columns"][column] = octets
    if octets is None:
        del loose["tables"][table]["columns"][column]
    return msgspec.msgpack.encode(loose)


@given(st.lists(frames(), max_size=5), st.integers(1, 2**62 - 1), st.integers(1, 2**62 - 1))
def test_round_trip(given_frames: list[Frame], number: int, created_ns: int) -> None:
    batch = Batch("j1", "b", number, created_ns, {frame.table.name: frame for frame in given_frames})
    got = decode(encode(batch))
    assert (got.agent, got.boot, got.number, got.created_ns) == ("j1", "b", number, created_ns)
    assert got.rows == batch.rows
    assert list(got.frames) == list(batch.frames)
    assert all(same_frame(got.frames[name], frame) for name, frame in batch.frames.items())


def test_a_small_table_leaves_room_for_the_texts_of_a_large_one() -> None:
    times = {"start_ns": [5] * 60, "length_ns": [1] * 60}
    links = {"link": [f"a{at}>b@n" for at in range(60)], "class": ["0"] * 60, "kind": ["path"] * 60}
    texts = {name: [f"{name} {at}" for at in range(60)] for name in ("before", "after")}
    small = Frame.of(CERTIFICATE, {"link": ["a>b@n"], "start_ns": [5], "length_ns": [1]})
    large = Frame.of(EVENT, {**links, **texts, **times})
    got = decode(encode(Batch("a", "b", 1, 1, {"certificate": small, "event": large})))
    assert same_frame(got.frames["event"], large)


def test_round_trip_of_every_table() -> None:
    starts = {"start_ns": [5], "length_ns": [1]}
    made = {t.name: Frame.of(t, {**{key: ["x"] for key in t.keys}, **starts}) for t in TABLES.values()}
    got = decode(encode(Batch("@collector", "b", 1, 1, made)))
    assert all(same_frame(got.frames[name], frame) for name, frame in made.items())


def test_what_was_decoded_is_read_only() -> None:
    frame = decode(BODY).frames["window"]
    for name in ("link", "sent", "rtt_p50_us"):
        with pytest.raises(ValueError, match="read-only"):
            frame.columns[name][0] = frame.columns[name][1]  # type: ignore[index] # it must not work
    assert not frame.histograms("rtt_ns").bucket.flags.writeable


def test_every_truncation_is_a_wire_error() -> None:
    for length in range(len(BODY)):
        refusal(BODY[:length])


def test_octets_after_the_batch_are_refused() -> None:
    assert refusal(BODY + b"\0").reason == "malformed"


@settings(max_examples=500)
@given(st.lists(st.tuples(st.integers(0, len(BODY) - 1), st.integers(0, 255)), min_size=1, max_size=4))
def test_flipped_octets_are_a_batch_or_a_wire_error(flips: list[tuple[int, int]]) -> None:
    body = bytearray(BODY)
    for at, octet in flips:
        body[at] = octet
    try:
        got = decode(bytes(body))
    except WireError as err:
        outcome = err.reason
    else:
        outcome = "batch"
        assert all(len(c) == f.rows for f in got.frames.values() for c in f.columns.values())
    assert outcome in {*REASONS, "batch"}


@given(st.binary(max_size=100))
def test_any_octets_are_refused(body: bytes) -> None:
    refusal(body)


@pytest.mark.parametrize("version", [0, wire.VERSION + 1, 2**40])
def test_another_version(version: int) -> None:
    told = refusal(changed(version=version))
    assert told.reason == "version"
    known = f"this reads {wire.OLDEST} to {wire.VERSION}"
    assert str(told) == f"batch has wire version {version}, {known}; upgrade the older side"


def test_another_version_with_parts_not_known_yet() -> None:
    assert refusal(changed(version=wire.VERSION + 1, colour="blue")).reason == "version"
    assert refusal(changed(colour="blue")).reason == "malformed"


def test_an_older_batch_is_read_and_what_it_lacks_is_unknown() -> None:
    loose = msgspec.msgpack.decode(BODY)
    later = ("revision", "hops_forward", "backward_ns.length", "backward_ns.bucket", "backward_ns.count")
    for name in later:
        del loose["tables"]["window"]["columns"][name]
    assert refusal(msgspec.msgpack.encode(loose)).reason == "malformed"
    got = decode(msgspec.msgpack.encode({**loose, "version": wire.OLDEST})).frames
    assert same_frame(got["window"], SMALL.frames["window"])
    assert same_frame(got["health"], SMALL.frames["health"])
    del loose["tables"]["window"]["columns"]["length_ns"]
    told = refusal(msgspec.msgpack.encode({**loose, "version": wire.OLDEST}))
    assert str(told) == "column window.length_ns is missing, 16 are needed for 2 rows"


def test_a_batch_of_the_version_before_lacks_what_came_since() -> None:
    loose = msgspec.msgpack.decode(BODY)
    del loose["tables"]["health"]["columns"]["flows_deferred"]
    got = decode(msgspec.msgpack.encode({**loose, "version": 4})).frames
    assert same_frame(got["health"], SMALL.frames["health"])


def test_columns_come_with_a_new_version_only() -> None:
    """When this fails, raise wire.VERSION: else what agents hold without the column is refused."""
    columns = sorted(f"{table.name}.{field.name}" for table in TABLES.values() for field in table.columns)
    assert (wire.VERSION, crc32(" ".join(columns).encode())) == (5, 3430388185)


def test_a_million_links_that_claim_to_be_there() -> None:
    loose = msgspec.msgpack.decode(BODY)
    loose["tables"]["window"]["rows"] = 1_000_000
    told = refusal(msgspec.msgpack.encode(loose))
    assert told.reason == "too_large"
    assert str(told) == "table window has 1000000 rows, 1 to 200000 are taken"


def test_a_million_links_in_full() -> None:
    links = [f"j1>n{at}@n" for at in range(1_000_000)]
    whole = {"link": links, "start_ns": np.full(len(links), 5), "length_ns": np.full(len(links), 5)}
    body = encode(Batch("j1", "b", 1, 1, {"throughput": Frame.of(TABLES["throughput"], whole)}))
    told = refusal(body)
    assert told.reason == "too_large"
    assert str(told) == f"batch has {len(body)} octets, at most {wire.MAX_BODY_BYTES} are taken"


HEADERS: list[tuple[dict[str, Any], str, str]] = [
    ({"agent": ""}, "bad_value", "batch has no usable agent, boot and number"),
    ({"agent": "a b"}, "bad_value", "batch has no usable agent, boot and number"),
    ({"boot": "../x"}, "bad_value", "batch has no usable agent, boot and number"),
    ({"number": 0}, "bad_value", "batch has no usable agent, boot and number"),
    ({"number": 2**63}, "bad_value", "batch has no usable agent, boot and number"),
    ({"created_ns": -1}, "bad_value", "batch was created at -1 ns, which is no time"),
    (
        {"tables": {"t": {"rows": 1, "columns": {}, "words": {}}}},
        "malformed",
        f"batch has a table 't', which version {wire.VERSION} does not know",
    ),
    (
        {"tables": {"window": {"rows": 0, "columns": {}, "words": {}}}},
        "too_large",
        "table window has 0 rows, 1 to 200000 are taken",
    ),
    (
        {"tables": {"window": {"rows": 1, "columns": {}, "words": {}}}},
        "malformed",
        "column window.link is missing, 4 are needed for 1 rows",
    ),
]


@pytest.mark.parametrize(("parts", "reason", "sentence"), HEADERS)
def test_bad_header(parts: dict[str, Any], reason: str, sentence: str) -> None:
    told = refusal(changed(**parts))
    assert (told.reason, str(told)) == (reason, sentence)


def _octets(dtype: str, *values: float) -> bytes:
    return np.array(values, dtype).tobytes()


COLUMNS: list[tuple[str, bytes | None, str, str]] = [
    ("sent", None, "malformed", "column window.sent is missing, 16 are needed for 2 rows"),
    ("sent", b"x" * 15, "malformed", "column window.sent has 15 octets, 16 are needed for 2 rows"),
    ("sent", _octets("<i8", 1, -1), "bad_value", "column window.sent has a negative count"),
    ("rtt_p50_us", _octets("<f8", 1, np.inf), "bad_value", "column window.rtt_p50_us has an infinite value"),
    ("start_ns", _octets("<i8", 0, 1), "bad_value", "table window has a start_ns that is no time"),
    ("length_ns", _octets("<i8", 1, 2**62), "bad_value", "table window has a length_ns that is no time"),
    ("link", _octets("<u4", 0, 2), "malformed", "column window.link points past its words"),
    ("rtt_ns.length", _octets("<u2", 3, 1), "malformed",
     "column window.rtt_ns.bucket has 6 octets, 8 are needed for 4 rows"),
    ("rtt_ns.bucket", _octets("<i2", 1, 2, MAX_BUCKET + 1), "bad_value",
     "column window.rtt_ns has a bucket that does not exist"),
    ("rtt_ns.bucket", _octets("<i2", -(2**15), 2, 3), "bad_value",
     "column window.rtt_ns has a bucket that does not exist"),
    ("rtt_ns.bucket", _octets("<i2", 1, 3, 2), "bad_value", "column window.rtt_ns has buckets out of order"),
    ("rtt_ns.bucket", _octets("<i2", 1, 2, 2), "bad_value", "column window.rtt_ns has buckets out of order"),
    ("rtt_ns.count", _octets("<u4", 1, 0, 1), "bad_value",
     "column window.rtt_ns has a bucket that does not exist"),
]  # fmt: skip


@pytest.mark.parametrize(("column", "octets", "reason", "sentence"), COLUMNS)
def test_bad_column(column: str, octets: bytes | None, reason: str, sentence: str) -> None:
    told = refusal(with_column("window", column, octets))
    assert (told.reason, str(told)) == (reason, sentence)


def _peak_octets(body: bytes) -> int:
    """Most memory at once that refusing the body took."""
    tracemalloc.start()
    try:
        assert refusal(body).reason in ("malformed", "too_large")
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "place", ["words", "columns", "tables", "words of many rows", "not a batch", "version"]
)
def test_no_small_body_makes_many_objects(place: str) -> None:
    loose = msgspec.msgpack.decode(BODY)
    window = loose["tables"]["window"]
    many = [f"{at:x}" for at in range(200_000)]
    if place.startswith("words"):
        window["words"]["link"] = many
        window["rows"] = len(many) if "rows" in place else 2
    elif place == "columns":
        window["columns"] = dict.fromkeys(many, b"")
    elif place == "tables":
        loose["tables"] = {name: {"rows": 1, "columns": {}, "words": {}} for name in many}
    elif place == "not a batch":
        loose = {"version": 3, "tables": many}
    else:
        loose = {"version": 1, "agent": many, "tables": many}
    body = msgspec.msgpack.encode(loose)
    assert _peak_octets(body) < len(body) + 1_000_000


def test_rows_of_an_older_version_that_lack_columns_are_bounded() -> None:
    loose, rows = msgspec.msgpack.decode(BODY), wire.MAX_ROWS
    texts, times = bytes(4 * rows), np.full(rows, 10, "<i8").tobytes()
    columns = {"link": texts, "probe": texts, "class": texts, "start_ns": times, "length_ns": times}
    words = {name: ["a"] for name in ("link", "probe", "class")}
    loose["tables"] = {"window": {"rows": rows, "columns": columns, "words": words}}
    loose["version"] = 2
    assert refusal(msgspec.msgpack.encode(loose)).reason == "too_large"
