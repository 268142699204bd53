"""Notices to an HTTP receiver: POST of JSON, one alert change each.

    version       1
    id            the alert: rule/link/direction; the same each time that it fires
    notification  this change of it: a receiver that sees it twice was told twice of one thing
    status        "firing" or "resolved"
    rule, title   which rule, by name and in words
    severity      "page" or "ticket"
    link          src>dst@network
    direction     "forward", "backward" or "round trip"
    since         start of the first breached window
    fired_at      end of the window that made it fire
    resolved_at   end of the window that ended it; null while firing
    created_at    when it was found out
    summary       one sentence with numbers and how sure they are; of a resolved one whether it is over or
                  only no longer judged
    numbers       the rule's numbers in the window that decided: name to number, null = not known;
                  ratios 0..1 (`_ratio`), microseconds (`_us`)
    labels        rule severity direction link src dst src_site dst_site src_region dst_region network tier
    first_steps   what to do first, a list of sentences
    runbook       where the whole procedure stands

Times are RFC 3339 in UTC (`2025-11-21T12:03:05.000Z`). With a token the request carries
`Authorization: Bearer`. Any 2xx answer means taken. 408, 429, 3xx and 5xx, no answer and no connection mean
later; Retry-After is kept to. Any other 4xx means never.
"""

from __future__ import annotations

import httpx
from pydantic import SecretStr

from linkgauge.errors import ConfigError, SinkBusy, SinkRejected

TIMEOUT_S = 5.0
LONGEST_RETRY_AFTER_S = 300.0
_LATER = (408, 429)


class Webhook:
    """One receiver. The address may hold a secret, so only `name` is ever told. For one thread at a time."""

    def __init__(
        self, name: str, url: str, token: SecretStr | None = None, timeout_s: float = TIMEOUT_S
    ) -> None:
        """Raises ConfigError for what is no http(s) address."""
        self.name = name
        try:
            self._url = httpx.URL(url)
        except httpx.InvalidURL:
            self._url = httpx.URL("")
        if self._url.scheme not in ("http", "https") or not self._url.host:
            raise ConfigError(f"webhook {name}: url must be an http:// or https:// address; correct it")
        headers = {"Content-Type": "application/json", "User-Agent": "linkgauge"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token.get_secret_value()}"
        self._client = httpx.Client(timeout=timeout_s, headers=headers, follow_redirects=False)

    def deliver(self, body: bytes) -> None:
        """Tell the receiver; raises SinkBusy (later) or SinkRejected (never)."""
        try:
            with self._client.stream("POST", self._url, content=body) as response:
                status, after = response.status_code, response.headers.get("Retry-After")
        except httpx.HTTPError as err:
            raise SinkBusy(f"webhook {self.name}: no answer ({type(err).__name__}); is it running?") from None
        if 200 <= status < 300:
            return
        if 400 <= status < 500 and status not in _LATER:
            raise SinkRejected(f"webhook {self.name}: refused with status {status}; mend its url or token", 1)
        raise SinkBusy(f"webhook {self.name}: answered with status {status}", _seconds(after))

    def close(self) -> None:
        self._client.close()


def _seconds(retry_after: str | None) -> float | None:
    """Retry-After in seconds, held to LONGEST_RETRY_AFTER_S; None for none, or a date."""
    if retry_after is None or not (retry_after.isascii() and retry_after.isdigit()):
        return None
    return min(float(retry_after), LONGEST_RETRY_AFTER_S)
