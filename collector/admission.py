"""What of a batch is taken: only what its agent may report, about links that are expected, in a sane time.

Pure. A batch that its agent had no right to send, or that lies about time, is refused whole; rows that are
merely out of step with the inventory, or too old for any store, are left out and counted.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linkgauge.clock import AHEAD_NS, NS_PER_S
from linkgauge.code import EventKind
from linkgauge.errors import ConfigError, LinkgaugeError
from linkgauge.frame import Frame
from linkgauge.model import Link, Probe
from linkgauge.plan import MAX_FLOWS
from linkgauge.schema import AGENT_TABLES
from linkgauge.table import Kind
from linkgauge.wire import Batch

FUTURE_NS = AHEAD_NS
"""How far an agent's clock may be ahead."""
OLDEST_NS = 8 * 86_400 * NS_PER_S
"""How old a row may be: an outbox keeps a week."""
_KEYS = {
    "probe": frozenset(probe.value for probe in Probe),
    "class": frozenset(str(dscp) for dscp in range(64)),
    "flow": frozenset(str(flow) for flow in range(MAX_FLOWS)),
    "kind": frozenset(kind.value for kind in EventKind),
}
MAX_TEXT = 8_192
"""Characters of a text field: 64 hops of IPv6 addresses, or with four MPLS labels each, fit twice."""


class Refusal(LinkgaugeError):
    """Why a batch is not taken. `reason`: a fixed word for counters; `status`: the HTTP status.

    409 (RFC 9110 section 15.5.10): not now; once a clock is set or a side upgraded, the same batch is taken.
    """

    def __init__(self, reason: str, sentence: str, status: int) -> None:
        super().__init__(sentence)
        self.reason, self.status = reason, status


@dataclass(frozen=True, slots=True)
class Admitted:
    """The batch less the rows left out: `unknown_link` not in the inventory, `too_old` before OLDEST_NS."""

    batch: Batch
    unknown_link: int
    too_old: int

    @property
    def whole(self) -> bool:
        """Nothing was left out."""
        return not (self.unknown_link or self.too_old)


def admit(batch: Batch, agent: str, links: Container[str] | None, now_ns: int) -> Admitted:
    """Check a batch that came with the token of `agent`; raises Refusal.

    links: text forms of the expected links, None = any of that agent. now_ns: Unix time here.
    """
    if batch.agent != agent:
        raise Refusal(
            "wrong_agent", f"the batch is from {batch.agent!r}, but its token is that of {agent}", 403
        )
    if batch.created_ns > now_ns + FUTURE_NS:
        raise _future(batch.agent, batch.created_ns - now_ns)
    frames, unknown, old = {}, 0, 0
    for name, frame in batch.frames.items():
        _check_frame(name, frame, agent, now_ns)
        fresh = frame.count("start_ns") >= now_ns - OLDEST_NS
        known = _known(frame, agent, links) if "link" in frame.table.keys else np.ones(frame.rows, np.bool_)
        old += int((~fresh).sum())
        unknown += int((fresh & ~known).sum())
        keep = fresh & known
        if keep.any():
            frames[name] = frame if keep.all() else frame.take(keep)
    kept = Batch(batch.agent, batch.boot, batch.number, batch.created_ns, frames)
    return Admitted(kept, unknown, old)


def _check_frame(name: str, frame: Frame, agent: str, now_ns: int) -> None:
    if name not in AGENT_TABLES:
        raise Refusal("wrong_table", f"an agent may not report the table {name}", 403)
    ahead_ns = int((frame.count("start_ns") + frame.count("length_ns")).max()) - now_ns
    if ahead_ns > FUTURE_NS:
        raise _future(agent, ahead_ns)
    if "agent" in frame.table.keys and (others := set(frame.words("agent").words) - {agent}):
        raise Refusal("wrong_agent", f"{agent} may not report the health of {sorted(others)[0][:80]!r}", 403)
    for key, allowed in _KEYS.items():
        if key in frame.table.keys and (odd := set(frame.words(key).words) - allowed):
            raise Refusal("bad_value", f"table {name} has a {key} {sorted(odd)[0][:40]!r}, unknown here", 400)
    for field in frame.table.fields:
        if field.kind is Kind.TEXT and any(len(word) > MAX_TEXT for word in frame.words(field.name).words):
            raise Refusal("bad_value", f"table {name} has a {field.name} above {MAX_TEXT} characters", 400)


def _known(frame: Frame, agent: str, links: Container[str] | None) -> NDArray[np.bool_]:
    """Mask of the rows whose link is expected; refuses links that are none or start elsewhere."""
    return frame.words("link").mask(lambda text: _expected(text, agent, links))


def _expected(text: str, agent: str, links: Container[str] | None) -> bool:
    known = links is not None and text in links  # then it is a link
    try:
        source = text.partition(">")[0] if known else Link.parse(text).src
    except ConfigError as err:
        raise Refusal("bad_value", str(err)[:200], 400) from None
    if source != agent:
        raise Refusal("wrong_agent", f"{agent} may not report {text}, which starts elsewhere", 403)
    return known or links is None


def _future(agent: str, ahead_ns: int) -> Refusal:
    return Refusal(
        "future",
        f"{agent} reports a time {ahead_ns / NS_PER_S:.0f} s ahead of the collector's clock;"
        " set the clock of whichever is wrong",
        409,
    )
