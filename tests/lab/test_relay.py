"""The relay's pure parts: chance and orders."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lab.relay import Loss, Relay, main
from tests.lab.udp import socket_at


@pytest.fixture
def relay() -> Iterator[Relay]:
    relay = Relay("127.64.9.9", 0, 9, Loss(1), 500)
    yield relay
    relay.close()


def test_loss_is_repeatable_and_of_the_named_client_only() -> None:
    one, other = Loss(7), Loss(7)
    for loss in (one, other):
        loss.set("127.64.1.1", 0.2)
    fates = [one.takes("127.64.1.1") for _ in range(5_000)]
    assert fates == [other.takes("127.64.1.1") for _ in range(5_000)]
    assert abs(sum(fates) - 1_000) < 6 * (5_000 * 0.2 * 0.8) ** 0.5
    assert not any(one.takes("127.64.1.2") for _ in range(1_000))
    one.clear()
    assert not any(one.takes("127.64.1.1") for _ in range(1_000))


@pytest.mark.parametrize(
    ("order", "answer"),
    [
        ("loss 127.64.0.1 0.2", "ok"),
        ("loss 127.64.0.1 1", "ok"),
        ("clear", "ok"),
        ("loss 127.64.0.1 20", "error loss ratio 20 is not between 0 and 1"),
        ("loss 127.64.0.1 nan", "error loss ratio nan is not between"),
        ("loss 127.64.0.1 much", "error could not convert"),
        ("loss nobody 0.2", "error Expected 4 octets"),
        ("loss 127.64.0.1", "error unknown order"),
        ("", "error unknown order"),
        ("explode", "error unknown order 'explode': use loss, clear, count or quit"),
    ],
)
def test_orders_are_answered_in_one_line(relay: Relay, order: str, answer: str) -> None:
    said = relay.answer(order)
    assert said.startswith(answer)
    assert "\n" not in said


def test_a_taken_port_is_one_sentence_and_exit_2(capfd: pytest.CaptureFixture[str]) -> None:
    with socket_at("127.64.9.9") as taken:
        assert main(["127.64.9.9", str(taken.getsockname()[1]), "9", "1", "500"]) == 2
    assert "the relay cannot have 127.64.9.9 port" in capfd.readouterr().err
    assert main(["127.64.9.9"]) == 2
    assert "usage" in capfd.readouterr().err
