"""Announced work, and alerts that nobody wants to hear for a while: what the inventory says of both. Pure.

Both are told of things by their labels: those of a link (link src dst src_site dst_site network, as in
`LinkSpec.tags`), of a node (node site), of a place (place kind site network), and the rule of an alert.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Labels = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Scope:
    """Names of what is meant. An empty set means all; what several sets name must be in each of them."""

    sites: frozenset[str] = frozenset()
    nodes: frozenset[str] = frozenset()
    networks: frozenset[str] = frozenset()
    links: frozenset[str] = frozenset()

    def covers(self, labels: Labels) -> bool:
        """Whether the thing with these labels is meant: a link when one of its ends is."""
        return all(
            not wanted or not wanted.isdisjoint(_named(labels, keys, kind))
            for wanted, keys, kind in (
                (self.links, ("link",), ""),
                (self.nodes, ("src", "dst", "node"), "node"),
                (self.sites, ("src_site", "dst_site", "site"), "site"),
                (self.networks, ("network",), "network"),
            )
        )


def _named(labels: Labels, keys: tuple[str, ...], kind: str) -> set[str]:
    """The values of these labels, and the place when it is of this kind."""
    found = {labels[key] for key in keys if key in labels}
    if kind and labels.get("kind") == kind:
        found.add(labels.get("place", ""))
    return found


@dataclass(frozen=True, slots=True)
class Maintenance:
    """Announced work: while it lasts, what it touches is neither good nor bad. Times are Unix ns."""

    scope: Scope
    from_ns: int
    until_ns: int
    reason: str

    def runs(self, start_ns: int, end_ns: int) -> bool:
        """Whether some of the time from start_ns to end_ns is announced."""
        return start_ns < self.until_ns and self.from_ns < end_ns

    def covers(self, labels: Labels) -> bool:
        return self.scope.covers(labels)


@dataclass(frozen=True, slots=True)
class Silence:
    """Alerts of these rules (empty: of all) about what the scope names are told to nobody until then."""

    scope: Scope
    rules: frozenset[str]
    until_ns: int
    reason: str

    def runs(self, now_ns: int) -> bool:
        return now_ns < self.until_ns

    def covers(self, labels: Labels) -> bool:
        """Whether the alert with these labels is meant; `rule` is one of them."""
        return (not self.rules or labels.get("rule") in self.rules) and self.scope.covers(labels)
