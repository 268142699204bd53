"""Why a verdict is unknown: the first cause explains the rest; flows and divergence in words."""

from __future__ import annotations

from typing import Any

import pytest

from console.beginning import Beginning
from console.reasons import divergence_words, flow_words, why_unknown
from linkgauge.code import Unfit

FIT = {"agent": "a", "last_seen_s": 3.0, "health": {"fit": 1, "unfit": 0}}


def link(**changed: Any) -> dict[str, Any]:
    stamp = {"sent": 100, "refused": 0, "unfit": 0}
    state: dict[str, Any] = {"loss_objective_ratio": 0.001, "period_loss_upper_ratio": 0.0042, "flows_bad": 0}
    state |= {"period_delay_us": 900.0, "delay_objective_us": 1000.0, "promised_bps": None}
    told: dict[str, Any] = {
        "link": "a>b@n",
        "tags": {"src": "a", "dst": "b"},
        "verdict": "unknown",
        "verdict_delay": "met",
        "verdict_loss": "unknown",
        "verdict_throughput": "unknown",
        "delay_basis": "one way",
        "age_s": 3.0,
        "probes": {"stamp": stamp},
        "state": state,
    }
    for name in ("probes", "state"):
        if isinstance(changed.get(name), dict):
            changed[name] = {**told[name], **changed[name]}
    return {**told, **changed}


def reasons(
    agent: dict[str, Any] | None = None, beginning: Beginning | None = None, **changed: Any
) -> list[str]:
    return why_unknown(link(**changed), {"a": agent or FIT}, beginning or Beginning(up_s=7200.0))


def test_a_known_verdict_needs_no_reason() -> None:
    assert reasons(verdict="met") == reasons(verdict="missed") == []


def test_too_few_packets() -> None:
    assert reasons() == ["too few packets to tell loss below 0.1 %, below 0.42 % so far"]


@pytest.mark.parametrize(
    ("agent", "changed", "words"),
    [
        ({**FIT, "last_seen_s": 90.4}, {}, "agent a is silent for 90 s"),
        ({**FIT, "last_seen_s": None}, {}, "agent a has not reported since the collector began 2.0 h ago"),
        (FIT, {"age_s": None}, "not measured yet, though its agent reports"),
        (FIT, {"age_s": 75.0}, "not measured for 75 s, though its agent reports"),
        (
            {**FIT, "health": {"fit": 0, "unfit": Unfit.SUSPENDED.value | Unfit.CLOCK_STEP.value}},
            {},
            "agent a was not fit to measure: its clock was set and it was suspended",
        ),
        (
            {**FIT, "health": {"fit": 0, "unfit": 0}},
            {},
            "agent a: its probe loop has told nothing yet, or no more",
        ),
        (
            FIT,
            {"probes": {"stamp": {"sent": 5, "unfit": Unfit.CPU_STARVED.value}}},
            "agent a was not fit to measure: its processor was taken away",
        ),
        (FIT, {"probes": {"stamp": {"sent": 9, "refused": 9}}}, "b refuses STAMP: its agent does not run"),
        (
            FIT,
            {"probes": {"stamp": {"sent": 0}}},
            "no packet could be sent: no key for the far end, or its kernel refused them",
        ),
    ],
)
def test_the_first_cause_explains_the_rest(
    agent: dict[str, Any], changed: dict[str, Any], words: str
) -> None:
    assert reasons(agent, **changed) == [words]


@pytest.mark.parametrize(
    ("beginning", "why"),
    [
        (Beginning(up_s=14.0), "the collector began 14 s ago"),
        (Beginning(up_s=7200.0, takes_over_in_s=35.0), "new plans take over in 35 s"),
        (Beginning(up_s=7200.0, takes_over_in_s=-20.0), "new plans took over 20 s ago"),
    ],
)
def test_what_is_new_need_not_be_known_yet(beginning: Beginning, why: str) -> None:
    unheard = {**FIT, "last_seen_s": None}
    assert reasons(unheard, beginning) == [f"agent a has not reported yet: {why}"]
    assert reasons(FIT, beginning, age_s=None) == [f"not measured yet: {why}"]
    assert reasons({**FIT, "last_seen_s": 90.0}, beginning) == ["agent a is silent for 90 s"]


def test_an_older_collector_does_not_tell_since_when_it_knows() -> None:
    assert reasons({**FIT, "last_seen_s": None}, Beginning.of({})) == ["agent a has never reported"]


def test_clocks_and_delay() -> None:
    known: dict[str, Any] = {"verdict_loss": "met", "verdict_delay": "unknown"}
    assert reasons(**known, delay_basis="half round trip") == [
        "the clocks do not allow one-way delay, and half of the round trip (0.90 ms) cannot be told from the "
        "objective of 1 ms"
    ]
    assert reasons(**known) == ["too few packets to tell 0.90 ms from the objective of 1 ms"]
    nothing: dict[str, Any] = {**known, "state": {"period_delay_us": None}}
    assert reasons(**nothing) == ["no reply in time, so no delay is known"]
    assert reasons(**nothing, probes={"stamp": {"sent": 9, "replied": 9}}) == [
        "a throughput test ran in every window so far, so no delay is known"
    ]


def test_throughput_only_where_it_was_promised() -> None:
    known: dict[str, Any] = {"verdict_loss": "met"}
    assert reasons(**known, state={"promised_bps": 1e9}) == ["throughput has not been measured in time"]
    assert reasons(**known) == reasons(state=None) == ["not judged yet"]


def test_flows_in_words() -> None:
    assert flow_words(link()) is None
    assert flow_words(link(state=None)) is None
    state = {"flows": 32, "flows_bad": 3, "flows_bad_loss_ratio": 0.98}
    assert flow_words(link(state=state)) == "a>b@n: 3 of 32 flows lose 98 %, the others do not"
    assert flow_words(link(state={**state, "flows_bad_loss_ratio": None})) == (
        "a>b@n: 3 of 32 flows lose more than the others"
    )


def test_divergence_in_words() -> None:
    assert divergence_words(link()) is None
    assert divergence_words(link(divergent=["stamp"], probes={"icmp": {}})) == (
        "a>b@n: stamp sees trouble, icmp sees none: something treats them apart"
    )


def test_windows_that_do_not_count_are_a_reason() -> None:
    assert reasons(state={"drill": 1})[0] == "a drill plays on it, and such windows do not count"
    assert reasons(state={"maintenance": 1})[0] == "work is announced, and such windows do not count"
