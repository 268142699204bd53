"""Why an agent was not fit to measure, in words."""

from __future__ import annotations

from linkgauge.code import Unfit

WORDS = {
    Unfit.LOOP_LAG: "it came too late to send",
    Unfit.CLOCK_STEP: "its clock was set",
    Unfit.RECEIVE_DROPPED: "its receive queue was full",
    Unfit.SUSPENDED: "it was suspended",
    Unfit.CPU_STARVED: "its processor was taken away",
    Unfit.SELF_PROBE: "a probe to itself was slow or lost",
}


def unfit_words(bits: int) -> str:
    """The reasons in a sum of Unfit bits; empty for 0."""
    return " and ".join(words for why, words in WORDS.items() if bits & why.value)
