"""A receiver that is never asked: what is written for it stays in the book."""

from __future__ import annotations

from collections.abc import Sequence

from alerts.receivers.receiver import Policy


class Deaf:
    """See above."""

    kind, trouble = "webhook", None

    def __init__(self, name: str, policy: Policy) -> None:
        self.name, self.policy = name, policy

    def deliver(self, bodies: Sequence[bytes]) -> str:
        raise AssertionError("nothing is delivered here")

    def close(self) -> None:
        """Nothing is held."""
