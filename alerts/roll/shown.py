"""An alert that fires, as it is shown to a reader of the collector. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from alerts.event import payload, rfc3339
from alerts.roll.roll import Alert


def as_dict(alert: Alert, unmeasured_since_ns: int | None) -> dict[str, Any]:
    """JSON-like: the keys of the webhook, `told`, `held` (also: silenced since it was told), `cause` and
    `unmeasured_since`."""
    told: dict[str, Any] = msgspec.json.decode(payload(alert.fired, alert.fired.at_ns))
    for name in ("version", "notification", "created_at", "teams_now"):
        del told[name]
    told |= {"told": alert.told, "held": alert.held or alert.hushed or None, "cause": alert.by or None}
    if unmeasured_since_ns is None:
        return {**told, "unmeasured_since": None}
    since = rfc3339(unmeasured_since_ns)
    summary = f"{told['summary']}; it has not been judged since {since}"
    return {**told, "summary": summary, "unmeasured_since": since}
