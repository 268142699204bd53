"""The table of answers: what settles a batch, what puts it off, and what says nothing."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkgauge.answer import Answer, Outcome, judge, retry_after_s, words


def ours(reason: str, error: str = "a sentence") -> bytes:
    return json.dumps({"reason": reason, "error": error}).encode()


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (200, b'{"duplicate": false}', Outcome.TAKEN),
        (200, b'{"duplicate": true}', Outcome.TAKEN),
        (401, ours("token"), Outcome.HELD),
        (401, b"<html>log in</html>", Outcome.HELD),
        (403, ours("wrong_agent"), Outcome.DEFERRED),
        (403, ours("wrong_table"), Outcome.DEFERRED),
        (403, ours("scope"), Outcome.HELD),
        (403, ours("unknown_agent"), Outcome.HELD),
        (409, ours("future"), Outcome.DEFERRED),
        (409, ours("version"), Outcome.HELD),
        (400, ours("malformed"), Outcome.REFUSED),
        (413, ours("too_large"), Outcome.REFUSED),
        (415, ours("encoding"), Outcome.REFUSED),
        (422, ours("bad_value"), Outcome.REFUSED),
        (404, ours("unknown_agent"), Outcome.AGAIN),
        (429, ours("rate"), Outcome.AGAIN),
        (503, ours("busy"), Outcome.AGAIN),
        (507, ours("store"), Outcome.AGAIN),
    ],
)
def test_our_collector_s_words(status: int, body: bytes, outcome: Outcome) -> None:
    assert judge(status, {}, body).outcome is outcome


@pytest.mark.parametrize(
    "status", [200, 201, 204, 301, 400, 403, 404, 409, 413, 415, 422, 429, 500, 502, 503]
)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"ok",
        b"<html>Welcome</html>",
        b"{}",
        b"[]",
        b'{"duplicate": 1}',
        b'{"error": "no"}',
        b"[" * 99_999,
    ],
)
def test_what_others_say_settles_nothing(status: int, body: bytes) -> None:
    assert judge(status, {}, body).outcome is Outcome.AGAIN


@given(st.integers(100, 599), st.binary(max_size=200))
def test_only_a_200_in_our_form_takes_a_batch(status: int, body: bytes) -> None:
    answer = judge(status, {}, body)
    assert answer.outcome in (Outcome.AGAIN, Outcome.HELD) or body.lstrip().startswith(b"{")
    assert (answer.outcome is Outcome.HELD) == (status == 401)
    assert answer.outcome is Outcome.TAKEN or answer.sentence.isprintable()


def test_the_sentence_and_the_wait_go_along() -> None:
    answer = judge(503, {"Retry-After": "7"}, ours("busy", "too\nmuch"))
    assert answer == Answer(Outcome.AGAIN, "status 503: too much", 7.0, reason="busy")
    assert "not as a collector does (<b>)" in judge(200, {}, b"<b>").sentence


@pytest.mark.parametrize(
    ("body", "line"),
    [
        (b'{"reason": "future", "error": "too\\nearly"}', "too early"),
        (b'{"detail": "Not Found"}', "Not Found"),
        (b'{"detail": [1]}', '{"detail": [1]}'),
        (b"<html>\x1b[31mbad</html>", "<html> [31mbad</html>"),
        (b"", "status 400 without a word"),
        (b"\xff\xfe", "��"),
        (b"[" * 100_000, "[" * 300),
    ],
)
def test_words_of_a_server_are_one_bounded_line(body: bytes, line: str) -> None:
    assert words(400, body) == line


@pytest.mark.parametrize(
    ("value", "wait_s"),
    [("7", 7), ("100000", 300), ("9" * 5000, 300), ("-1", 0), ("1e9", 0), ("soon", 0), ("²", 0)],
)
def test_retry_after(value: str, wait_s: float) -> None:
    assert retry_after_s({"retry-AFTER": value}) == wait_s
    assert retry_after_s({}) == 0
