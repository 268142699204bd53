"""What each answer of InfluxDB means."""

from __future__ import annotations

import pytest

from collector.sinks.influx_reply import LinesRefused, TooLarge, check_reply
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
