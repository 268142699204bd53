"""Whom the reflector answers while plans change: a farewell never ends the welcome of what is coming."""

from __future__ import annotations

import msgspec

from linkgauge.clock import SystemClock
from linkgauge.plan import Plan
from probes.engine.welcome import FAREWELL_NS, Welcome
from probes.sockets.raw_name import raw_name
from tests.probes.plans import plan


def _plan(*peers: str) -> Plan:
    return msgspec.structs.replace(plan(), peers=list(peers), locals=["127.0.0.1"], stamp_port=29_862)


def _answers(welcome: Welcome, *addresses: str) -> list[bool]:
    return [welcome._is_welcome(raw_name(address, 1)) for address in addresses]


def test_the_farewell_of_one_plan_spares_the_peers_of_the_next() -> None:
    welcome = Welcome(_plan("127.0.0.2"), SystemClock(), {}, {})
    try:
        second, third = _plan("127.0.0.3"), _plan("127.0.0.4")
        welcome.expect(second)
        welcome.took_over(0)
        assert welcome.departing(second, FAREWELL_NS - 1) == []
        assert _answers(welcome, "127.0.0.2", "127.0.0.3", "127.0.0.4") == [True, True, False]
        welcome.expect(third)
        assert welcome.departing(second, FAREWELL_NS) == []
        assert _answers(welcome, "127.0.0.2", "127.0.0.3", "127.0.0.4") == [False, True, True]
        welcome.took_over(2 * FAREWELL_NS)
        assert _answers(welcome, "127.0.0.3", "127.0.0.4") == [True, True]
        assert welcome.departing(third, 3 * FAREWELL_NS) == []
        assert _answers(welcome, "127.0.0.3", "127.0.0.4") == [False, True]
    finally:
        welcome.answering.close()
