"""What each answer of InfluxDB means."""

from __future__ import annotations

import json

import pytest

from collector.sinks.influx_reply import LinesRefused, TooLarge, at_fault, check_reply
from linkgauge.errors import SinkBusy, SinkError, SinkHeld

URL = "http://h:8086"


@pytest.mark.parametrize(
    ("status", "text", "kind"),
    [
        (408, "", SinkBusy),
        (429, "", SinkBusy),
        (500, '{"error":"timeout"}', SinkBusy),
        (502, "", SinkBusy),
        (503, "request throttled, queue full", SinkBusy),
        (504, "", SinkBusy),
        (401, '{"error":"authorization failed"}', SinkHeld),
        (403, '{"error":"user is not authorized"}', SinkHeld),
        (404, '{"error":"database not found: \\"x\\""}', SinkHeld),
        (500, '{"error":"retention policy not found: zzz"}', SinkHeld),
        (400, '{"error":"database is required"}', SinkHeld),
        (302, "", SinkHeld),
        (413, '{"error":"Request Entity Too Large"}', TooLarge),
        (400, '{"error":"unable to parse"}', LinesRefused),
        (422, '{"code":"unprocessable entity","message":"partial write: dropped 3 points"}', LinesRefused),
    ],
)
def test_the_table_of_answers(status: int, text: str, kind: type[SinkError]) -> None:
    with pytest.raises(SinkError) as caught:
        check_reply(URL, status, text)
    assert type(caught.value) is kind
    assert kind is LinesRefused or URL in str(caught.value)


def test_done_is_silent() -> None:
    check_reply(URL, 204, "")
    check_reply(URL, 200, "")


@pytest.mark.parametrize(
    ("text", "partial", "dropped"),
    [
        ('{"error":"partial write: points beyond retention policy dropped=7"}', True, 7),
        (
            '{"message":"failure writing points to database: partial write: dropped 12 points outside"}',
            True,
            12,
        ),
        ('{"error":"unable to parse \'m,h=a f=\': missing field value"}', False, 0),
    ],
)
def test_a_refusal_says_how_many(text: str, partial: bool, dropped: int) -> None:
    with pytest.raises(LinesRefused) as caught:
        check_reply(URL, 400, text)
    assert (caught.value.partial, caught.value.dropped) == (partial, dropped)
    assert str(caught.value).startswith(("partial", "failure", "unable"))


@pytest.mark.parametrize(
    ("header", "seconds"), [("7", 7), (None, None), ("Wed, 21 Oct 2026", None), ("-3", 0)]
)
def test_retry_after(header: str | None, seconds: float | None) -> None:
    with pytest.raises(SinkBusy) as caught:
        check_reply(URL, 503, "", header)
    assert caught.value.retry_after_s == seconds


LINES = ("m,k=a f=1.0 300", "this is bad", "m,k=' f= ", "m,k=b f=1.0 100", "m,k=c f=1.0 200", "this is bad")


def _refusal(status: int, told: object) -> LinesRefused:
    with pytest.raises(LinesRefused) as caught:
        check_reply(URL, status, json.dumps(told))
    return caught.value


@pytest.mark.parametrize("prefix", ["partial write: ", ""])
def test_lines_that_are_named_are_found_each_with_its_own_words(prefix: str) -> None:
    words = (
        f"{prefix}unable to parse 'this is bad': invalid field format\nunable to parse 'm,k=' f= ': missing"
    )
    refusal = _refusal(400, {"error": words})
    assert at_fault(refusal, LINES) == {
        1: "unable to parse: invalid field format",
        5: "unable to parse: invalid field format",
        2: "unable to parse: missing",
    }
    assert refusal.partial == bool(prefix)


def test_lines_that_are_named_but_not_ours_are_nobodys_fault() -> None:
    assert at_fault(_refusal(400, {"error": "unable to parse 'other': x"}), LINES) == {}


def test_3_numbers_lines_from_one_whether_one_or_many() -> None:
    one = {"original_line": "x", "line_number": 4, "error_message": "type"}
    assert at_fault(_refusal(400, {"error": "line protocol parsing error", "data": one}), LINES) == {
        3: "type"
    }
    many = {"error": "partial write", "data": [one, {"line_number": 99, "error_message": "?"}, "odd", None]}
    assert at_fault(_refusal(400, many), LINES) == {3: "type"}


@pytest.mark.parametrize(("dropped", "found"), [(1, {3}), (2, {3, 4}), (3, set()), (0, set())])
def test_points_that_are_too_old_are_those_with_the_smallest_times(dropped: int, found: set[int]) -> None:
    lines = ("m f=1.0 300", "m,k=1 f=1.0 300", "m f=1.0 400", "m f=1.0 100", "m f=1.0 200")
    words = f"partial write: dropped {dropped} points outside retention policy of duration 24h0m0s"
    assert set(at_fault(_refusal(422, {"message": words}), lines)) == found


def test_a_conflict_of_types_names_nobody() -> None:
    words = 'partial write: field type conflict: input field "f" on measurement "m" is type string dropped=1'
    assert at_fault(_refusal(400, {"error": words}), LINES) == {}


def test_a_long_refusal_is_cut_in_sentences_but_read_as_a_whole() -> None:
    lines = [f"bad line {at}" for at in range(5000)]
    refusal = _refusal(400, {"error": "\n".join(f"unable to parse '{line}': no" for line in lines)})
    assert len(str(refusal)) <= 1000
    assert len(at_fault(refusal, lines)) == 5000


def test_a_missing_route_and_a_missing_organisation_have_their_own_mends() -> None:
    for text, mend in (
        ("404 page not found", r"influxdb\.url"),
        ('{"message":"organization name "x""}', "org"),
    ):
        with pytest.raises(SinkHeld, match=f"correct {mend}|correct influxdb.{mend}"):
            check_reply(URL, 404, text)


def test_words_of_a_line_that_is_quoted_are_not_the_server_s() -> None:
    line = 'certificate,link=a>b@n subject="CN=is deleted, would exceed" 1'
    fault = {"original_line": line, "line_number": 1, "error_message": "invalid column type"}
    three = json.dumps({"error": "partial write of line protocol occurred", "data": [fault]})
    two = json.dumps({"code": "invalid", "message": f"unable to parse '{line}': invalid boolean"})
    for text in (three, two):
        with pytest.raises(LinesRefused):
            check_reply("http://x", 400, text)
    full = json.dumps(
        {"error": "partial write", "data": [{**fault, "error_message": "would exceed columns"}]}
    )
    with pytest.raises(SinkHeld):
        check_reply("http://x", 400, full)
