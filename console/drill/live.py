"""Ordering a drill on a live link: a file for the running agent at the link's far end."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

from console.single import is_held
from linkgauge.clock import NS_PER_S, SystemClock
from linkgauge.errors import ConfigError
from linkgauge.model import Link
from linkgauge.plan import Plan
from probes.engine.drill_order import LONGEST_S, NAME, DrillOrder, write_order
from probes.plan_cache import PlanCache
from probes.settings import AgentSettings, load
from probes.stamp.played_fault import PLAYABLE

_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h)")
_UNIT_S = {"s": 1, "m": 60, "h": 3_600}


def span_s(text: str) -> float:
    """``90s``, ``2m``, ``1h`` in seconds. Raises ConfigError."""
    found = _SPAN.fullmatch(text.strip())
    length_s = float(found[1]) * _UNIT_S[found[2]] if found else 0.0
    if not 0 < length_s <= LONGEST_S:
        raise ConfigError(f"--for {text}: write a time up to 1h, such as 90s or 2m")
    return length_s


def order(config: Path, fault: str, link: str, lasts_s: float, magnitude: float | None) -> DrillOrder:
    """What the agent of this node is to be told. Raises ConfigError for what it cannot play."""
    kind = PLAYABLE.get(fault)
    if kind is None:
        raise ConfigError(f"{fault} cannot be played on live links; one of {', '.join(PLAYABLE)} can")
    if magnitude is not None and not kind.least <= magnitude <= kind.most:
        raise ConfigError(f"--magnitude {magnitude:.10g}: give {kind.between}")
    settings = load(config)
    plan = PlanCache(settings.data_dir / "plan.json", settings.node, SystemClock()).load()
    if plan is None:
        raise ConfigError(
            f"{settings.data_dir}: no plan is kept there; let the agent of {settings.node} run first"
        )
    named = Link.parse(link)
    peer = _peer(settings, plan, named)
    until = datetime.now(UTC) + timedelta(seconds=lasts_s + plan.window_ns / NS_PER_S)
    return DrillOrder(link=str(named), peer=peer, fault=fault, magnitude=magnitude, until=until)


def place(config: Path, wanted: DrillOrder) -> Path:
    """Put the order where the agent looks; returns the file.

    Raises ConfigError when no agent works there, StoreError.
    """
    settings = load(config)
    if not is_held(settings.data_dir, "agent"):
        raise ConfigError(
            f"{settings.data_dir}: no agent works there, so nothing would be played; start the agent of "
            f"{settings.node} first"
        )
    path = settings.data_dir / NAME
    write_order(path, wanted)
    return path


def _peer(settings: AgentSettings, plan: Plan, link: Link) -> str:
    """The address from which the link's packets come: that to which the link back is probed."""
    if link.dst != settings.node:
        raise ConfigError(
            f"{link}: its far end is {link.dst}, and this is {settings.node}; order the drill there, or name "
            f"a link to {settings.node}"
        )
    back = str(Link(link.dst, link.src, link.network))
    for each in plan.links:
        if each.link == back:
            return each.peer
    raise ConfigError(f"{link}: the plan of {settings.node} has no link {back}; name a link of its peers")
