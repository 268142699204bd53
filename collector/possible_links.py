"""Links that rows are taken of: those expected, and every other that the inventory's nodes could have. Pure.

An agent may have its plan from another collector, whose inventory is newer: what it measures by that is kept.
What nodes and networks allow bounds how many links one agent can make up.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass

from linkgauge.errors import ConfigError
from linkgauge.model import Link, Node


@dataclass(frozen=True, slots=True)
class PossibleLinks:
    """A container of text forms. expected: links of plans, now and formerly; nodes: of the inventory."""

    expected: Container[str]
    nodes: Mapping[str, Node]

    def __contains__(self, text: object) -> bool:
        return text in self.expected or (isinstance(text, str) and self._possible(text))

    def _possible(self, text: str) -> bool:
        try:
            link = Link.parse(text)
        except ConfigError:
            return False
        ends = [self.nodes.get(name) for name in (link.src, link.dst)]
        return all(node is not None and link.network in node.addresses for node in ends)
