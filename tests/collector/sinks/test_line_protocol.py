"""Line protocol: escaping, types, what is left out, and a round trip against a small parser."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from collector.sinks.line_protocol import escape_tag, lines
from linkgauge.frame import Frame
from linkgauge.schema import COLLECTOR, EVENT, FLOW, HEALTH, LINK_TAGS, WINDOW
from tests.collector.world import NOW_NS, WINDOW_NS, health, throughput, windows
from tests.linkgauge.frames import frames

Value = float | int | str
TAGS = {name: f"{name} value" for name in LINK_TAGS}


def _tags(link: str) -> Mapping[str, str]:
    return {**TAGS, "link": link}


def _split(text: str, separator: str) -> list[str]:
    """Cut at separators that stand neither behind a backslash nor between quotes."""
    parts, quoted, rest = [""], False, iter(text)
    for char in rest:
        quoted ^= char == '"'
        if char == separator and not quoted:
            parts.append("")
        else:
            parts[-1] += char + (next(rest) if char == "\\" else "")
    return parts


def _plain(text: str) -> str:
    return re.sub(r"\\([,= ])", r"\1", text)


def _value(text: str) -> Value:
    if text.startswith('"'):
        return re.sub(r"\\(.)", r"\1", text[1:-1])
    return int(text[:-1]) if text.endswith("i") else float(text)


def _parse(line: str) -> tuple[str, dict[str, str], dict[str, Value], int]:
    """A slow reader of line protocol, for tags without a backslash or a quote."""
    head, fields, time = _split(line, " ")
    measurement, *tags = _split(head, ",")
    values = {name: _value(text) for name, _, text in (f.partition("=") for f in _split(fields, ","))}
    pairs = (_split(tag, "=") for tag in tags)
    return measurement, {_plain(key): _plain(value) for key, value in pairs}, values, int(time)


def test_a_throughput_row_to_the_letter() -> None:
    tags = {"link": "a>b@n", "src": "a", "dst": "b", "network": "n"}
    assert lines(throughput("a>b@n", 9.5e6), lambda _: tags) == [
        "link_throughput,link=a>b@n,src=a,dst=b,network=n"
        f" outcome=0i,received_bps=9500000.0 {NOW_NS - WINDOW_NS}"
    ]


def test_a_window_goes_to_loss_and_delay_with_probe_and_class() -> None:
    loss, delay = map(_parse, lines(windows(["a>b@n"]), _tags))
    assert (loss[0], delay[0]) == ("link_loss", "link_delay")
    assert loss[1] == delay[1] == {**TAGS, "link": "a>b@n", "probe": "stamp", "class": "0"}
    assert delay[2] == {"rtt_p50_us": 300.0}
    assert loss[2]["sent"] == 100


def test_a_row_without_values_is_left_out() -> None:
    made = lines(windows(["a>b@n", "a>c@n"], rtt_p50_us=math.nan), _tags)
    assert [line.split(",")[0] for line in made] == ["link_loss", "link_loss"]


def test_infinity_is_left_out() -> None:
    assert not [line for line in lines(windows(["a>b@n"], rtt_p50_us=math.inf), _tags) if "inf" in line]


def test_health_is_tagged_with_its_agent() -> None:
    measurement, tags, values, time = _parse(lines(health("j1"), _tags)[0])
    assert (measurement, tags, time) == ("agent_health", {"agent": "j1"}, NOW_NS - WINDOW_NS)
    assert values["fit"] == 1
    frame = Frame.of(COLLECTOR, {"collector": ["c"], "start_ns": [5], "length_ns": [1]})
    assert lines(frame, _tags)[0].startswith("collector_health,collector=c batches_accepted=0i")


def test_escaping() -> None:
    assert escape_tag("a b,c=d") == r"a\ b\,c\=d"
    assert escape_tag("two\nlines") == "two_lines"
    assert escape_tag("en\\d\\") == "en\\d_"


def test_empty_tags_and_empty_frames_make_nothing() -> None:
    frame = Frame.of(HEALTH, {"agent": [""], "start_ns": [5], "length_ns": [1]})
    assert lines(frame, _tags)[0].startswith("agent_health fit=0i")
    assert lines(Frame.of(WINDOW, {"link": [], "probe": [], "class": [], "start_ns": []}), _tags) == []


@given(frames(), st.text(alphabet="ab ,=é☃", min_size=1))
def test_what_is_written_reads_back(frame: Frame, word: str) -> None:
    plain = {
        key: np.array([f"{word}{at}" for at in range(frame.rows)], np.object_) for key in frame.table.keys
    }
    frame = Frame(frame.table, {**frame.columns, **plain}, frame.rows)
    read = [_parse(line) for line in lines(frame, _tags)]
    expected = 0
    for measurement in frame.table.measurements:
        fields = [field for field in frame.table.fields if field.measurement == measurement]
        for row in range(frame.rows):
            values = {field.name: np.asarray(frame.columns[field.name]).tolist()[row] for field in fields}
            values = {name: _as_written(v) for name, v in values.items() if v == v and v != ""}
            if not values:
                continue
            tags = dict.fromkeys(frame.table.keys, f"{word}{row}")
            if "link" in tags:
                tags = {**TAGS, **tags}
            assert (measurement, tags, values, int(frame.count("start_ns")[row])) in read
            expected += 1
    assert len(read) == expected
    assert all("\n" not in line for line in lines(frame, _tags))


def _as_written(value: Value) -> Value:
    """A line break cannot be in a text: it is a space."""
    return re.sub("[\n\r]", " ", value) if isinstance(value, str) else value


def test_a_text_is_quoted_and_an_empty_one_left_out() -> None:
    columns = {"link": ["a>b@n"] * 2, "class": ["0"] * 2, "kind": ["path"] * 2, "start_ns": [5, 6]}
    frame = Frame.of(EVENT, {**columns, "before": ['* "x",\\ y=1', ""], "after": ["a\nb", ""]})
    head = "link_event,link=a>b@n,class=0,kind=path flows=0i"
    assert lines(frame, lambda _: {"link": "a>b@n"}) == [
        head + r',before="* \"x\",\\ y=1",after="a b" 5',
        head + " 6",
    ]


def test_rows_of_flows_stay_in_the_archive() -> None:
    keys = {"link": ["a>b@n"], "probe": ["stamp"], "class": ["0"], "flow": ["3"], "start_ns": [5]}
    assert lines(Frame.of(FLOW, keys), _tags) == []
