"""What iperf3 is asked and what it says, in all the ways it says it."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkgauge.code import Outcome
from probes.throughput.report import Report, client_argv, parse, served, server_argv

GOOD: dict[str, Any] = {
    "end": {
        "streams": [{"sender": {"mean_rtt": 400}}, {"sender": {"mean_rtt": 600}}],
        "sum_sent": {"seconds": 10.1, "bits_per_second": 2e9, "retransmits": 3},
        "sum_received": {"seconds": 10.2, "bits_per_second": 1.9e9},
    }
}


def told(document: object) -> Report:
    return parse(json.dumps(document).encode())


def without(*path: str) -> dict[str, Any]:
    document = json.loads(json.dumps(GOOD))
    part = document
    for key in path[:-1]:
        part = part[key]
    del part[path[-1]]
    return dict(document)


def test_a_measured_test() -> None:
    assert told(GOOD) == Report(Outcome.MEASURED, 1.9e9, 2e9, 3.0, 500.0, 10.1)


def test_one_row_of_the_store() -> None:
    frame = told(GOOD).frame("a>b@n", 1000, 10)
    assert frame.rows == 1
    assert [frame.text("link")[0], frame.count("start_ns")[0], frame.count("length_ns")[0]] == [
        "a>b@n",
        1000,
        10,
    ]
    assert frame.count("outcome")[0] == 0
    assert frame.real("received_bps")[0] == 1.9e9
    assert frame.real("loaded_rtt_us")[0] == 500


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ("the server is busy running a test. try again later", Outcome.BUSY),
        ("unable to connect to server: Connection refused", Outcome.UNREACHABLE),
        ("unable to connect to server: No route to host", Outcome.UNREACHABLE),
        ("interrupt - the server has terminated", Outcome.FAILED),
        ("control socket has closed\nunexpectedly", Outcome.FAILED),
    ],
)
def test_the_key_error_decides_whatever_else_is_there(text: str, outcome: Outcome) -> None:
    report = told({**GOOD, "error": text})
    assert report.outcome is outcome
    assert report.sentence == " ".join(text.split())
    assert math.isnan(report.received_bps)


def test_without_the_receivers_figure_nothing_is_measured() -> None:
    report = told(without("end", "sum_received"))
    assert report.outcome is Outcome.FAILED
    assert "nothing received" in report.sentence
    assert report.sent_bps == 2e9


def test_a_reversed_test_has_no_round_trip_instead_of_zero() -> None:
    document = {**GOOD, "end": {**GOOD["end"], "streams": [{"sender": {"mean_rtt": 0}}, {}, None]}}
    assert math.isnan(told(document).loaded_rtt_us)
    assert told(document).outcome is Outcome.MEASURED


def test_what_is_missing_is_unknown() -> None:
    assert math.isnan(told(without("end", "sum_sent", "retransmits")).retransmits)
    assert math.isnan(told(without("end", "streams")).loaded_rtt_us)


def test_every_truncation_is_a_failed_test() -> None:
    output = json.dumps(GOOD).encode()
    for length in range(len(output)):
        assert parse(output[:length]).outcome is Outcome.FAILED


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["end", "streams", "sender", "sum_received", "bits_per_second"]), inner
        )
    ),
)


@given(JSON)
def test_odd_json_never_raises(document: object) -> None:
    report = told(document)
    assert (report.outcome is Outcome.MEASURED) == (report.received_bps > 0)


def test_octets_that_are_no_text_are_a_failed_test() -> None:
    assert parse(b"\xff\xfe").outcome is Outcome.FAILED
    assert parse(b"[" * 100_000).outcome is Outcome.FAILED


def test_what_a_server_says() -> None:
    assert served(json.dumps(GOOD).encode()) == ""
    assert served(b"") == "nobody came"
    assert served(b'{"error": "error - unable to start listener: Address already in use"}').endswith("in use")


def test_what_iperf3_is_asked() -> None:
    assert client_argv("10.0.0.1", "10.0.0.2", 5201, 10_000_000_000) == [
        "iperf3", "-c", "10.0.0.2", "-B", "10.0.0.1", "-p", "5201", "-t", "10", "-J",
        "--connect-timeout", "1000", "-b", "0",
    ]  # fmt: skip
    assert client_argv("10.0.0.1", "10.0.0.2", 5201, 10_000_000_000, 5_000_000)[-2:] == ["-b", "5000000"]
    assert client_argv("::1", "::1", 5201, 1)[8] == "1"
    assert server_argv("10.0.0.1", 5201) == [
        "iperf3", "-s", "-1", "-B", "10.0.0.1", "-p", "5201", "-J", "--idle-timeout", "5",
    ]  # fmt: skip
