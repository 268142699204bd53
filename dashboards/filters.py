"""The variables that several boards share, so that a link from one board to another carries them.

network, tier, src_site, dst_site: of links; link: one link; node: one node or its agent; site: one site.
"""

from __future__ import annotations

from dashboards.board import variable
from dashboards.words import FROM_SITE, LINK, NETWORK, NODE, SITE, TIER, TO_SITE, Json

LINK_FILTERS = ("network", "tier", "src_site", "dst_site")
_LABELS = (NETWORK, TIER, FROM_SITE, TO_SITE)


def link_filters() -> list[Json]:
    """network, tier, src_site, dst_site: each list is narrowed by those before it."""
    return [
        variable(name, label, "link_state", LINK_FILTERS[:at])
        for at, (name, label) in enumerate(zip(LINK_FILTERS, _LABELS, strict=True))
    ]


def link_choice() -> Json:
    """link: exactly one, among those that the filters leave."""
    return variable("link", LINK, "link_state", LINK_FILTERS, one=True)


def site_filter() -> Json:
    """site: of nodes."""
    return variable("site", SITE, "node_state")


def node_filter() -> Json:
    """node: those of the sites chosen."""
    return variable("node", NODE, "node_state", ("site",))
