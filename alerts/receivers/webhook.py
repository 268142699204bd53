"""Notices to an HTTP receiver: POST of JSON, one alert change each, as alerts.event.payload made it.

    version       2
    id            the alert: rule/about/direction; the same each time that it fires
    notification  this change of it: a receiver that sees it twice was told twice of one thing
    status        "firing" or "resolved"
    rule, title   which rule, by name and in words
    severity      "page" or "ticket"
    about         what it is about: a link, a node, collector/sink, a collector or a place
    link          src>dst@network; null when it is about something else
    direction     "forward", "backward", "in", "out", "both", or "-" where there is none
    place         the likely place of the trouble in words; null when it cannot be told
    since         start of the first breached window
    fired_at      end of the window that made it fire
    resolved_at   end of the window that ended it; null while firing
    created_at    when it was found out
    held          why it was held back until now; null when it was not
    summary       one sentence with numbers and how sure they are; of a resolved one whether it is over or
                  only no longer judged
    numbers       the rule's numbers in the window that decided: name to number, null = not known
    labels        rule severity direction network site team, and those of a link, node, sink or place;
                  drill: "true" of a drill
    first_steps   what to do first, a list of sentences
    runbook       where the whole procedure stands

Times are RFC 3339 in UTC (`2025-11-21T12:03:05.000Z`).

With a token the request carries `Authorization: Bearer`. What an answer means stands in
alerts.receivers.post. Several notices, of a receiver with max_per_minute, come as one body:

    version   2
    status    "digest"
    notices   a list of such notices, in the order in which they were found
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from alerts.receivers.post import TIMEOUT_S, Post, address
from alerts.receivers.receiver import Policy, Secret, no_secret
from linkgauge.errors import ConfigError, SinkBusy


class Webhook:
    """One receiver. The address may hold a secret, so only `name` is ever told. For one thread at a time."""

    kind = "webhook"
    trouble = None

    def __init__(
        self,
        name: str,
        url: str,
        token: Secret = no_secret,
        policy: Policy | None = None,
        timeout_s: float = TIMEOUT_S,
        ca_file: Path | None = None,
    ) -> None:
        """Raises ConfigError for what is no http(s) address."""
        self.name, self.policy, self._token = name, policy or Policy(), token
        self._url = address(f"webhook {name}", url)
        self._post = Post(f"webhook {name}", timeout_s, ca_file)

    def deliver(self, bodies: Sequence[bytes]) -> str:
        """Tell the receiver; raises SinkBusy (later) or SinkRejected (never)."""
        whole = (
            bodies[0]
            if len(bodies) == 1
            else b'{"version":2,"status":"digest","notices":[%b]}' % b",".join(bodies)
        )
        status, _ = self._post.send(self._url, whole, bearer(f"webhook {self.name}", self._token))
        return f"status {status}"

    def close(self) -> None:
        self._post.close()


def secret_of(who: str, secret: Secret) -> str | None:
    """The secret as it is now; raises SinkBusy for a file that cannot be used, so that what waits, waits."""
    try:
        found = secret()
    except ConfigError as err:
        raise SinkBusy(f"{who}: {err}") from None
    return found.get_secret_value() if found is not None else None


def bearer(who: str, token: Secret) -> dict[str, str]:
    """The header that carries the token, when there is one."""
    told = secret_of(who, token)
    return {"Authorization": f"Bearer {told}"} if told is not None else {}
