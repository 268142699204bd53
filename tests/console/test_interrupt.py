"""Only the first interrupt is obeyed."""

from __future__ import annotations

import signal

import pytest

from console.interrupt import interrupted_once, uninterrupted


def handlers() -> list[object]:
    return [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
def test_a_second_interrupt_does_not_stop_the_taking_down(
    first: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    before, down = handlers(), False
    with interrupted_once():
        try:
            signal.raise_signal(first)
            pytest.fail("the first was not obeyed")
        except KeyboardInterrupt:
            signal.raise_signal(signal.SIGTERM)
            signal.raise_signal(signal.SIGINT)
            down = True
    assert down
    assert handlers() == before
    assert capsys.readouterr().err == "ending, please wait\n" * 2


def test_what_must_not_be_cut_short_is_not(capsys: pytest.CaptureFixture[str]) -> None:
    before = handlers()
    with uninterrupted():
        signal.raise_signal(signal.SIGTERM)
    assert handlers() == before
    assert capsys.readouterr().err == "ending, please wait\n"
