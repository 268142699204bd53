"""iperf3 without iperf3: what it is asked, and what its JSON says. Pure.

iperf3 before 3.14 ends with code 0 when the far end refuses or is busy, and says so only in the key "error"
(3.12 was looked at), so the code decides nothing here. Round trips of the far side of a reversed test are
told as 0, which is "not known".
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from linkgauge.clock import NS_PER_S
from linkgauge.code import Outcome
from linkgauge.frame import Frame
from linkgauge.schema import THROUGHPUT

COMMAND = "iperf3"
CONNECT_TIMEOUT_MS = 1000
IDLE_TIMEOUT_S = 5
"""Beyond the longest wait for its client a server that nobody ends does so itself."""


@dataclass(frozen=True, slots=True)
class Report:
    """How a test ended. Numbers are NaN when not known; rates in bit/s; sentence: why it has no result."""

    outcome: Outcome
    received_bps: float = math.nan
    sent_bps: float = math.nan
    retransmits: float = math.nan
    loaded_rtt_us: float = math.nan
    duration_s: float = math.nan
    sentence: str = ""

    def frame(self, link: str, start_ns: int, length_ns: int) -> Frame:
        """One THROUGHPUT row."""
        return Frame.of(
            THROUGHPUT,
            {
                "link": [link],
                "start_ns": [start_ns],
                "length_ns": [length_ns],
                "outcome": [self.outcome.value],
                "received_bps": [self.received_bps],
                "sent_bps": [self.sent_bps],
                "retransmits": [self.retransmits],
                "loaded_rtt_us": [self.loaded_rtt_us],
                "duration_s": [self.duration_s],
            },
        )


def client_argv(local: str, peer: str, port: int, duration_ns: int, limit_bps: int = 0) -> list[str]:
    """A TCP test from `local` to `peer`; whole seconds, at least one; limit_bps 0: as fast as it goes."""
    return [
        COMMAND, "-c", peer, "-B", local, "-p", str(port), "-t", str(whole_s(duration_ns)), "-J",
        "--connect-timeout", str(CONNECT_TIMEOUT_MS), "-b", str(limit_bps),
    ]  # fmt: skip


def server_argv(local: str, port: int) -> list[str]:
    """A server for one test."""
    return [COMMAND, "-s", "-1", "-B", local, "-p", str(port), "-J", "--idle-timeout", str(IDLE_TIMEOUT_S)]


def whole_s(duration_ns: int) -> int:
    """Duration in whole seconds, at least one: iperf3 takes no fractions."""
    return max(1, round(duration_ns / NS_PER_S))


def parse(output: bytes) -> Report:
    """What a client's JSON says; output that is none is a FAILED test, never an exception."""
    try:
        document = json.loads(output)
    except (ValueError, RecursionError):
        return _failed(f"iperf3 printed {len(output)} octets that are no JSON")
    if not isinstance(document, dict):
        return _failed("iperf3 printed JSON that is no report")
    if "error" in document:
        return _error(str(document["error"]))
    end = _part(document, "end")
    sent, received = _part(end, "sum_sent"), _part(end, "sum_received")
    report = Report(
        Outcome.MEASURED,
        received_bps=_number(received, "bits_per_second"),
        sent_bps=_number(sent, "bits_per_second"),
        retransmits=_number(sent, "retransmits"),
        loaded_rtt_us=_mean_rtt_us(end),
        duration_s=_number(sent, "seconds"),
    )
    if not report.received_bps > 0:
        why = "iperf3 tells nothing received at the far end"
        return replace(report, outcome=Outcome.FAILED, sentence=why)
    return report


def served(output: bytes) -> str:
    """Why a server's JSON shows no test; empty when it served one."""
    if not output.strip():
        return "nobody came"
    return parse(output).sentence


def _error(text: str) -> Report:
    line = " ".join(text.split())[:300]
    if "server is busy" in line:
        return Report(Outcome.BUSY, sentence=line)
    if "unable to connect to server" in line:
        return Report(Outcome.UNREACHABLE, sentence=line)
    return _failed(line)


def _failed(sentence: str) -> Report:
    return Report(Outcome.FAILED, sentence=sentence)


def _part(document: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    part = document.get(key)
    return part if isinstance(part, dict) else {}


def _number(part: Mapping[str, Any], key: str) -> float:
    value = part.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan
    return float(value) if abs(value) < 1e18 and value >= 0 else math.nan


def _mean_rtt_us(end: Mapping[str, Any]) -> float:
    """Mean over the streams that know it; 0 means that they do not."""
    streams = end.get("streams")
    listed = streams if isinstance(streams, list) else []
    senders = [_part(stream, "sender") for stream in listed if isinstance(stream, dict)]
    known = [rtt_us for sender in senders if (rtt_us := _number(sender, "mean_rtt")) > 0]
    return math.fsum(known) / len(known) if known else math.nan
