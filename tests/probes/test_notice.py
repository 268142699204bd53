"""A standing trouble is said once."""

from __future__ import annotations

import logging

import pytest

from probes.notice import Notice


def test_each_trouble_once_and_its_end_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    notice = Notice(logging.getLogger("test"))
    notice.over("was never bad")
    for kind, sentence in [("a", "first"), ("a", "again"), ("b", "other")]:
        notice.trouble(kind, sentence)
    notice.over("good")
    notice.over("still good")
    notice.trouble("b", "bad again")
    assert [record.message for record in caplog.records] == ["first", "other", "good", "bad again"]
