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
            and self._concerns(told)
        )

    def _concerns(self, told: Told) -> bool:
        """Of a notice for further teams: whether one of them is told here, and none that knows. Who is told
        again and again hears of all teams that it tells."""
        if not told.teams_now:
            return not self.teams or not told.teams.isdisjoint(self.teams)
        if self.resend_s is not None and not self.teams:
            return True
        mine, now = told.teams.intersection(self.teams), told.teams_now
        return not mine.isdisjoint(now) and (self.resend_s is not None or mine.issubset(now))


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
