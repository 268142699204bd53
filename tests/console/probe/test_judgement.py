"""What is said of a result: loss with its bounds, what sizes, marks, flows and other probes give away."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from console.probe.judgement import is_fine, sentences
from console.probe.result import Echo, Flow, Packets, Result, Way
from console.unfit import unfit_words
from linkgauge.code import Unfit

NAN = float("nan")
GOOD = Packets(72, 0, sent=1000, replied=1000, rtt_min_us=1.0)


def told(*packets: Packets, **others: Any) -> list[str]:
    return sentences(Result(list(packets), **others))


def lossy(forward: int = 0, backward: int = 0, unknown: int = 0, **changed: Any) -> Packets:
    lost = forward + backward + unknown
    counts = {"lost_forward": forward, "lost_backward": backward, "lost_unattributed": unknown}
    return replace(GOOD, replied=1000 - lost, **counts, **changed)


def test_no_loss_has_its_bound() -> None:
    assert told(GOOD) == ["no loss in 1000 packets: below 0.3 % with 95 % confidence"]
    assert told(replace(GOOD, sent=10, replied=10)) == [
        "no loss in 10 packets: below 26 % with 95 % confidence"
    ]
    assert is_fine(Result([GOOD]))


def test_loss_has_direction_and_bounds() -> None:
    # two-sided 95 % bounds of 12 in 1000 (Clopper-Pearson, statistical tables): 0.62 % and 2.09 %
    assert told(lossy(forward=10, backward=2)) == [
        "12 of 1000 packets lost (10 out, 2 back): 1.2 %, between 0.62 % and 2.1 % with 95 % confidence"
    ]
    assert "(3 somewhere)" in told(lossy(unknown=3))[0]
    assert not is_fine(Result([lossy(forward=1)]))


@pytest.mark.parametrize(
    ("packets", "sentence"),
    [
        (replace(GOOD, replied=0, lost_unattributed=1000), "no reply to 1000 packets: nobody listens there"),
        (replace(GOOD, replied=0, refused=1000), "nobody answers there: 1000 of 1000 packets were refused"),
        (replace(GOOD, sent=0, replied=0, send_failed=40), "kernel refused 40 packets"),
        (replace(GOOD, send_failed=7), "; 7 could not be sent"),
    ],
)
def test_what_is_not_loss_is_told_apart(packets: Packets, sentence: str) -> None:
    assert sentence in told(packets)[0]
    assert not is_fine(Result([packets]))


def test_what_is_the_same_for_all_is_said_once() -> None:
    assert told(GOOD, replace(GOOD, dscp=46)) == [
        "each of 2 sizes and classes: no loss in 1000 packets: below 0.3 % with 95 % confidence"
    ]
    assert told(GOOD, replace(GOOD, dscp=46, sent=10, replied=10))[1].startswith(
        "72 octets, DSCP 46: no loss"
    )


def test_late_replies_are_answers() -> None:
    late = replace(GOOD, replied=990, late=10)
    assert is_fine(Result([late]))
    assert told(late)[0].startswith("no loss in 1000 packets")


def test_a_size_that_does_not_pass_is_an_mtu() -> None:
    big = replace(GOOD, size_bytes=1472, replied=0, lost_forward=1000)
    said = told(GOOD, replace(GOOD, size_bytes=512), big)
    assert said[0].startswith("72 octets, DSCP 0: no loss")
    assert (
        "packets of 1472 octets and more do not pass while 512 octets do: a smaller MTU on the way, or "
        "fragments are dropped"
    ) in said


def test_marks_on_each_way() -> None:
    marked = replace(GOOD, dscp=46, marks=1000, remarked_forward=1000, dscp_forward=0.0, dscp_backward=46.0)
    said = told(replace(marked, bleached_backward=5, ce_forward=3, remarked_backward=2))
    assert said[1:] == [
        "DSCP 46 arrives as 0 on the way out (1000 of 1000 packets): the class is remarked",
        "DSCP 46: 3 of 1000 packets were marked congested on the way out",
        "DSCP 46 is remarked on the way back in 2 of 1000 packets",
        "DSCP 46: ECT is removed on the way back from 5 of 1000 packets",
    ]


def test_bad_flows_are_named() -> None:
    flows = [Flow(72, 0, 4000 + at, 100, 98 if at < 3 else 0, 0, 0, 1.0) for at in range(32)]
    said = told(lossy(forward=294), flows=flows)
    assert said[1] == (
        "3 of 32 flows lose 98 %, the others do not: one of several equal paths is bad, or the far end caps "
        "what it answers (source ports 4000, 4001, 4002)"
    )
    even = [replace(flow, lost_forward=9) for flow in flows]
    assert len(told(lossy(forward=288), flows=even)) == 1


def test_other_probes_that_disagree() -> None:
    echo = Echo("icmp", 20, 20, 0, 0, 0, 1.0, 1.0, 1.0)
    silent = replace(GOOD, replied=0, lost_unattributed=1000)
    assert "the host is there, its STAMP is not reached" in told(silent, echoes=[echo])[1]
    filtered = replace(echo, probe="tcp", answered=0, lost=20)
    assert told(GOOD, echoes=[filtered])[1] == (
        "TCP to the same address is not answered though STAMP is: a filter treats them apart"
    )
    refused = replace(filtered, lost=0, refused=20)
    assert told(silent, echoes=[refused])[1] == (
        "TCP to the same address is refused: the host is there, nobody listens"
    )
    assert len(told(GOOD, echoes=[echo])) == 1
    assert told(GOOD, echoes=[replace(echo, unavailable="not allowed")])[1] == "no ICMP was sent: not allowed"


def test_paths_that_differ_or_end() -> None:
    way = Way(0, "0", True, NAN, "10.0.0.1 10.0.0.9", "1 2", "- -")
    other = replace(way, flow="1", path="10.0.0.2 10.0.0.9")
    assert told(GOOD, ways=[way, other])[1] == "flows take 2 different paths"
    short = replace(way, reached=False, path="10.0.0.1")
    assert told(GOOD, ways=[short])[1] == "1 of 1 sweeps did not reach the far end: 10.0.0.1"


def test_an_unfit_host_says_so() -> None:
    bits = Unfit.SUSPENDED.value | Unfit.LOOP_LAG.value
    assert told(replace(GOOD, unfit=bits, missed=4))[1:] == [
        "this host was not fit to measure (it came too late to send and it was suspended): do not trust "
        "these numbers",
        "this host came too late to send 4 packets; they are not part of the counts",
    ]
    assert all(unfit_words(why.value) for why in Unfit)
