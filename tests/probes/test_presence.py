"""Addresses that this host does not have: the others are measured all the same."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from linkgauge.plan import PlanLink
from probes.presence import absent
from tests.probes.test_agent import HOME, PEER, Bench, bench, quick, wait_for

__all__ = ["bench"]  # a fixture
AWAY = "192.0.2.77"


def test_only_what_is_not_here_is_absent() -> None:
    assert absent(["127.0.0.1", AWAY, "::1", "2001:db8::77"]) == (AWAY, "2001:db8::77")


def test_links_from_an_address_that_is_away_are_counted_and_the_others_measured(
    bench: Bench,
    caplog: pytest.LogCaptureFixture,
) -> None:
    made = quick()
    links = [*made.links, PlanLink("n1>n3@n", AWAY, PEER)]
    bench.collector.plan = replace(made, links=links, locals=[HOME, AWAY])
    bench.agent.start()
    sent: dict[str, int] = {}
    failed: dict[str, int] = {}

    def both() -> bool:
        for windows in bench.windows():
            stamp = windows.take(windows.text("probe") == "stamp")
            for row, link in enumerate(stamp.text("link").tolist()):
                sent[link] = sent.get(link, 0) + int(stamp.count("sent")[row])
                failed[link] = failed.get(link, 0) + int(stamp.count("send_failed")[row])
        return sent.get("n1>n2@n", 0) > 0 and failed.get("n1>n3@n", 0) > 0

    wait_for(both)
    assert sent["n1>n3@n"] == 0
    assert caplog.text.count(f"this host does not have {AWAY}: 1 links from there are not probed") == 1
    bench.agent.refresh_plan()  # nothing has changed: it goes on as it is
    assert caplog.text.count(f"does not have {AWAY}") == 1
