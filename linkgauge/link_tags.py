"""The tags of a link in the stores, as a mapping that costs no more than the values it looks up. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from linkgauge.model import Link, Site, Tier


class LinkTags(Mapping[str, str]):
    """link src dst src_site dst_site src_region dst_region network tier, in this order; text to text.

    There may be a million of them: a dict each would be a gigabyte.
    """

    __slots__ = ("dst_site", "of", "src_site", "tier")
    of: Link
    src_site: Site
    dst_site: Site
    tier: Tier

    def __init__(self, of: Link, src_site: Site, dst_site: Site, tier: Tier) -> None:
        self.of, self.src_site, self.dst_site, self.tier = of, src_site, dst_site, tier

    def __getitem__(self, name: str) -> str:
        return _VALUES[name](self)

    def __iter__(self) -> Iterator[str]:
        return iter(_VALUES)

    def __len__(self) -> int:
        return len(_VALUES)

    def __repr__(self) -> str:
        return f"LinkTags({dict(self)})"


_VALUES: Mapping[str, Callable[[LinkTags], str]] = {
    "link": lambda tags: str(tags.of),
    "src": lambda tags: tags.of.src,
    "dst": lambda tags: tags.of.dst,
    "src_site": lambda tags: tags.src_site.name,
    "dst_site": lambda tags: tags.dst_site.name,
    "src_region": lambda tags: tags.src_site.region,
    "dst_region": lambda tags: tags.dst_site.region,
    "network": lambda tags: tags.of.network,
    "tier": lambda tags: tags.tier.name,
}
