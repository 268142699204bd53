"""Notices as the engine writes them into the book, made by hand."""

from __future__ import annotations

from typing import Any

import msgspec

LINK = "jinan-1>guiyang-1@backbone"


def notice(status: str = "firing", id: str = f"link-loss/{LINK}/forward", **changes: Any) -> dict[str, Any]:
    """One notice of payload version 2 as a mapping."""
    rule = id.partition("/")[0]
    severity = changes.get("severity", "page")
    labels = {
        "rule": rule, "severity": severity, "direction": "forward", "link": LINK, "src": "jinan-1",
        "dst": "guiyang-1", "site": "jinan", "network": "backbone", "team": "core",
    }  # fmt: skip
    return {
        "version": 2,
        "id": id,
        "notification": f"{id}|1|{status}",
        "status": status,
        "rule": rule,
        "title": "Packet loss above the objective",
        "severity": severity,
        "about": LINK,
        "link": LINK,
        "direction": "forward",
        "since": "2025-11-21T12:03:00.000Z",
        "fired_at": "2025-11-21T12:03:20.000Z",
        "resolved_at": "2025-11-21T12:09:00.000Z" if status == "resolved" else None,
        "summary": "20.4 % of packets lost from jinan-1 to guiyang-1 on backbone, since 12:03:00 UTC",
        "first_steps": ["Look at one.", "Look at two.", "Look at three.", "Look at four."],
        "runbook": "docs/runbooks/link-loss.md",
        "place": "gateway gw-1 of site jinan",
        **changes,
        "labels": {**labels, **changes.get("labels", {})},
    }


def body(status: str = "firing", id: str = f"link-loss/{LINK}/forward", **changes: Any) -> bytes:
    """The same as it lies in the book."""
    return msgspec.json.encode(notice(status, id, **changes))
