"""Notices to an HTTP receiver: POST of JSON, one alert change each, as alerts.event tells it.

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
