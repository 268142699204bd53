"""A log that says each thing once a minute and tells how often it did not."""

from __future__ import annotations

import io
import logging

import pytest

from console.sparing import BURST, EVERY_S, Sparing


class Log:
    def __init__(self) -> None:
        self.now_s = 0.0
        self.out = io.StringIO()
        handler = logging.StreamHandler(self.out)
        handler.addFilter(Sparing(lambda: self.now_s))
        self.logger = logging.Logger("sparing")
        self.logger.addHandler(handler)

    @property
    def lines(self) -> list[str]:
        return self.out.getvalue().splitlines()


@pytest.fixture
def log() -> Log:
    return Log()


def test_the_same_event_is_written_once_a_minute_and_the_others_are_counted(log: Log) -> None:
    for rows in range(50):
        log.logger.warning(f"rows_left_out agent=jinan-1 rows={rows}")
    log.logger.warning("rows_left_out agent=jinan-2 rows=1")
    log.now_s = EVERY_S + 1
    log.logger.warning("rows_left_out agent=jinan-1 rows=7")
    assert log.lines == [
        "rows_left_out agent=jinan-1 rows=0",
        "rows_left_out agent=jinan-2 rows=1 left_out=49",
        "rows_left_out agent=jinan-1 rows=7",
    ]


def test_an_event_with_ever_new_words_cannot_fill_the_log(log: Log) -> None:
    for at in range(10_000):
        log.logger.warning(f"refused who=host{at}x")
    assert len(log.lines) == BURST
    log.logger.warning("sink_busy sink=archive")
    assert len(log.lines) == BURST + 1
    log.now_s = EVERY_S + 1
    log.logger.warning("refused who=other")
    assert log.lines[-1] == f"refused who=other left_out={10_000 - BURST}"


def test_sentences_with_values_are_spared_too(log: Log) -> None:
    for at in range(100):
        log.logger.warning("no answer from %s for %d s", "far", at)
    log.logger.warning("no answer from %s for %d s", "near", 1)
    assert log.lines == ["no answer from far for 0 s", "no answer from near for 1 s left_out=99"]


def test_what_is_remembered_is_bounded(log: Log) -> None:
    for at in range(20_000):
        log.logger.warning(f"event_{'abcdefghij'[at % 10]}{chr(97 + at % 26)} who=x{at}y")
        log.now_s += 0.01
    sparing = log.logger.handlers[0].filters[0]
    assert isinstance(sparing, Sparing)
    assert len(sparing._lines) <= 4096
