"""What of a plan can be carried out here now: not links without a key, or from an address that is away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from linkgauge.plan import Plan, PlanLink
from probes.engine.keyless import keyless_links
from probes.presence import absent


@dataclass(frozen=True, slots=True)
class Reach:
    """plan: as it came. here: with the addresses that this host has; measured: with the links from there.

    absent: addresses of the plan that this host does not have. unsent: links that are not measured, of which
    keyless for want of a key.
    """

    plan: Plan
    here: Plan
    measured: Plan
    absent: tuple[str, ...]
    keyless: Sequence[PlanLink]
    unsent: Sequence[PlanLink]

    @classmethod
    def of(cls, plan: Plan, keys: Mapping[str, bytes]) -> Reach:
        """Look at this host's addresses. Where it has none of them nothing is away: let it fail, and be
        tried again."""
        away = absent(plan.locals)
        if len(away) == len(plan.locals):
            away = ()
        keyless = keyless_links(plan, keys)
        names = {link.link for link in keyless}
        unsent = [*keyless, *(link for link in plan.links if link.local in away and link.link not in names)]
        names |= {link.link for link in unsent}
        here = replace(plan, locals=[ip for ip in plan.locals if ip not in away])
        measured = replace(here, links=[link for link in plan.links if link.link not in names])
        return cls(plan, here, measured, away, keyless, unsent)
