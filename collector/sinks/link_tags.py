"""The tags of a link as the inventory has them now."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from linkgauge.inventory import Inventory
from linkgauge.model import Link

Tags = Callable[[str], Mapping[str, str]]
"""Tags by the text form of a link; raises ConfigError when the text is none."""


def link_tags(inventory: Callable[[], Inventory]) -> Tags:
    """A function from link to tags; a link that has left the inventory keeps those that its name tells."""

    def tags(text: str) -> Mapping[str, str]:
        link = Link.parse(text)
        spec = inventory().links.get(link)
        if spec is not None:
            return spec.tags
        return {"link": text, "src": link.src, "dst": link.dst, "network": link.network}

    return tags
