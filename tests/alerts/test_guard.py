"""What only helps may fail: alerts are told all the same, and each fault is said once."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from alerts.guard import Guard
from tests.alerts.causes.scene import DARK, Scene, all_of, ids, into


def test_each_fault_is_counted_and_said_once_until_it_goes_well_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    guard = Guard()

    def fails() -> str:
        raise RecursionError("a bug")

    assert [guard("the first", fails, "other") for _ in range(3)] == ["other"] * 3
    assert guard("the second", fails, "other") == "other"
    assert guard("the first", lambda: "well", "other") == "well"
    assert guard("the first", fails, "other") == "other"
    said = [each.getMessage().partition(" failed")[0] for each in caplog.records]
    assert said == ["the first", "the second", "the first"]
    assert guard.failed == 5


@pytest.mark.parametrize(
    "part", ["alerts.engine.unreached", "alerts.engine.heard", "alerts.roll.roll.Roll.widen"]
)
def test_a_fault_in_asking_who_hears_leaves_no_window_untold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, part: str
) -> None:
    def fails(*_: object) -> None:
        raise RecursionError("a chain that is too long")

    monkeypatch.setattr(part, fails)
    caplog.set_level(logging.ERROR)
    scene = Scene(tmp_path)
    told = [each for _ in range(4) for each in ids(scene.window(all_of(into("west-1"), DARK)).events)]
    assert "common-cause/node:west-1/in" in told
    assert scene.engine.counters["cause_failed"] == 4
    assert len(caplog.records) == 1
