"""The JSON of a notice: its keys are a promise to receivers."""

from __future__ import annotations

import json
import re

import pytest

from alerts import event
from alerts.event import Fired, Resolved, payload, rfc3339, time_of_day
from tests.alerts.world import FIRST_NS, NAN, WINDOW_NS

FIRED = Fired(
    id="link-loss/a>b@net/forward",
    since_ns=FIRST_NS,
    at_ns=FIRST_NS + 2 * WINDOW_NS,
    numbers={"loss_ratio": NAN, "loss_lower_ratio": 0.131},
    labels={"rule": "link-loss", "severity": "page", "direction": "forward", "link": "a>b@net"},
    title="Packet loss",
    summary="20 % of packets lost",
    first_steps=("look",),
    runbook="docs/x.md",
    about="a>b@net",
    place="node b",
)


def test_a_firing_notice() -> None:
    assert json.loads(payload(FIRED, FIRST_NS + 23_456_000_000)) == {
        "version": 2,
        "id": "link-loss/a>b@net/forward",
        "notification": f"link-loss/a>b@net/forward|{FIRST_NS}|firing",
        "status": "firing",
        "rule": "link-loss",
        "title": "Packet loss",
        "severity": "page",
        "about": "a>b@net",
        "link": "a>b@net",
        "direction": "forward",
        "place": "node b",
        "since": "2025-11-21T12:03:00.000Z",
        "fired_at": "2025-11-21T12:03:20.000Z",
        "resolved_at": None,
        "created_at": "2025-11-21T12:03:23.456Z",
        "held": None,
        "teams_later": [],
        "teams_now": [],
        "summary": "20 % of packets lost",
        "numbers": {"loss_ratio": None, "loss_lower_ratio": 0.131},
        "labels": FIRED.labels,
        "first_steps": ["look"],
        "runbook": "docs/x.md",
    }


def test_a_resolved_notice_has_the_same_id_and_its_own_notification() -> None:
    over = Resolved(FIRED, FIRED.at_ns + WINDOW_NS, {"loss_ratio": 0.0}, "over")
    told = json.loads(payload(over, 0))
    first = json.loads(payload(FIRED, 0))
    assert (told["status"], told["resolved_at"]) == ("resolved", "2025-11-21T12:03:30.000Z")
    assert told["id"] == first["id"]
    assert told["notification"] != first["notification"]
    assert (told["summary"], told["numbers"]) == ("over", {"loss_ratio": 0.0})
    assert told["fired_at"] == first["fired_at"]


def test_every_key_is_documented_where_receivers_look() -> None:
    text = (event.__doc__ or "").replace(",", " ")
    for key in json.loads(payload(FIRED, 0)):
        assert re.search(rf"^    (\w+ )?\s*{key}\b", text, re.MULTILINE), key


@pytest.mark.parametrize(
    ("at_ns", "text"),
    [(0, "1970-01-01T00:00:00.000Z"), (FIRST_NS + 999_999_999, "2025-11-21T12:03:00.999Z")],
)
def test_times(at_ns: int, text: str) -> None:
    assert rfc3339(at_ns) == text
    assert time_of_day(at_ns) == f"{text[11:19]} UTC"
