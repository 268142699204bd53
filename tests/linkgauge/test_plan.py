"""Plans survive the trip whole; whatever else arrives is a WireError with a fixed reason."""

from __future__ import annotations

import pytest

from linkgauge.errors import WireError
from linkgauge.plan import PLAN_VERSION, Plan, PlanLink, Turn, decode_plan, encode_plan

PLAN = Plan(
    version=PLAN_VERSION, agent="j1", window_ns=10, links=[PlanLink("j1>q1@n", "10.0.0.1", "10.0.0.2")],
    peers=["10.0.0.2"], locals=["10.0.0.1"], stamp_interval_ns=100, stamp_timeout_ns=200, stamp_port=862,
    classes=[0], icmp_interval_ns=0, icmp_timeout_ns=0, tcp_interval_ns=0, tcp_timeout_ns=0, tcp_port=8620,
    throughput_port=5201, throughput_duration_ns=10, cycle_ns=1000,
    turns=[Turn("j1>q1@n", "send", "10.0.0.1", "10.0.0.2", 5)],
)  # fmt: skip


def test_plan_round_trip() -> None:
    body = encode_plan(PLAN)
    assert decode_plan(body) == PLAN
    assert encode_plan(decode_plan(body)) == body
    assert decode_plan(body.replace(b'"version":%d' % PLAN_VERSION, b'"version":2')).agent == "j1"
    assert body.startswith(b'{"version":%d,"agent":"j1"' % PLAN_VERSION)


def test_bad_plans() -> None:
    body = encode_plan(PLAN)
    for bad, reason in (
        (b"", "malformed"),
        (b"[]", "malformed"),
        (b'"\xff"', "malformed"),
        (b"[" * 10_000, "malformed"),
        (body.replace(b'"agent"', b'"agnet"'), "malformed"),
        (body.replace(b'"version":%d' % PLAN_VERSION, b'"version":1'), "version"),
        (body.replace(b'"window_ns":10', b'"window_ns":0'), "bad_value"),
        (body.replace(b'"classes":[0]', b'"classes":[]'), "bad_value"),
        (body.replace(b'"classes":[0]', b'"classes":[64]'), "bad_value"),
        (body.replace(b'"flows":1,', b'"flows":0,'), "bad_value"),
        (body.replace(b'"flows":1,', b'"flows":257,'), "bad_value"),
        (body.replace(b'"auto"', b'"always"'), "bad_value"),
        (body.replace(b'"stateful"', b'"statefull"'), "bad_value"),
    ):
        with pytest.raises(WireError) as caught:
            decode_plan(bad)
        assert caught.value.reason == reason


def test_every_truncated_plan_is_refused() -> None:
    body = encode_plan(PLAN)
    for length in range(len(body)):
        with pytest.raises(WireError):
            decode_plan(body[:length])
