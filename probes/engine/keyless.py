"""Links of an authenticated plan whose peer has no key here: told as packets that could not be sent. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from linkgauge.frame import Frame
from linkgauge.model import Probe
from linkgauge.plan import Plan, PlanLink
from linkgauge.schema import WINDOW


def keyless_links(plan: Plan, keys: Mapping[str, bytes]) -> list[PlanLink]:
    """Links that the plan wants authenticated and for which there is no key."""
    return [link for link in plan.links if plan.authenticated and link.peer not in keys]


def sentence(links: Sequence[PlanLink]) -> str:
    """What to say of them, in one line."""
    peers = sorted({link.peer for link in links})
    more = f" and {len(peers) - 3} more" if len(peers) > 3 else ""
    return (
        f"the plan wants authenticated STAMP and keys_file has no key for {', '.join(peers[:3])}{more}: "
        f"{len(links)} links are not probed and their packets count as send_failed; "
        "add the keys and start the agent again"
    )


def keyless_frame(plan: Plan, links: Sequence[PlanLink], start_ns: int, length_ns: int, unfit: int) -> Frame:
    """WINDOW rows of a window, one per link and class: what the plan wanted sent was not."""
    rows = [(link.link, str(klass)) for link in links for klass in plan.classes]
    wanted = max(1, round(length_ns / plan.stamp_interval_ns))
    columns = {
        "link": [link for link, _ in rows],
        "probe": [Probe.STAMP.value] * len(rows),
        "class": [klass for _, klass in rows],
        "start_ns": [start_ns] * len(rows),
        "length_ns": [length_ns] * len(rows),
        "send_failed": [wanted] * len(rows),
        "unfit": [unfit] * len(rows),
    }
    return Frame.of(WINDOW, columns)
