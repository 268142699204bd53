"""What a receiver is: somebody who is told of alerts, and which alerts, how often."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from pydantic import SecretStr

from alerts.receivers.told import Told

Secret = Callable[[], SecretStr | None]
"""Gives a secret as it is now, None where there is none; asked anew each time, so that a changed file is
followed. Raises ConfigError."""


def no_secret() -> SecretStr | None:
    """For receivers that need none."""
    return None


@dataclass(frozen=True, slots=True)
class Policy:
    """Which alerts a receiver is told, and how.

    severities, teams: only these; empty: all. drills: only alerts of drills, else only real ones.
    max_per_minute: messages in any minute, None: as many as there are; what is over it is gathered into one.
    gathers: everything that waits goes as one message, because a program reads it and not a person.
    resend_s: what fires is told again so often, for receivers that forget; None: never.
    """

    severities: tuple[str, ...] = ()
    teams: tuple[str, ...] = ()
    drills: bool = False
    max_per_minute: int | None = None
    gathers: bool = False
    resend_s: float | None = None

    def wants(self, told: Told) -> bool:
        """Whether the receiver is told of this."""
        return (
            told.drill == self.drills
            and (not self.severities or told.severity in self.severities)
            and (not self.teams or not told.teams.isdisjoint(self.teams))
        )


class Receiver(Protocol):
    """Somebody to be told. For one thread at a time."""

    @property
    def name(self) -> str: ...

    @property
    def kind(self) -> str: ...

    @property
    def policy(self) -> Policy: ...

    @property
    def trouble(self) -> str | None:
        """What is wrong though the last message was taken (one peer, one address); None: nothing."""
        ...

    def deliver(self, bodies: Sequence[bytes]) -> str:
        """Tell what alerts.event.payload made, several as one message; returns what the far end said.

        Raises SinkBusy (later: it is down, or a secret is wrong and can be mended) or SinkRejected (never).
        """
        ...

    def close(self) -> None: ...
