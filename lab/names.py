"""The names that a world gives to what it makes: `lg<4 hex>-<what>` for namespaces. Pure.

Every world has an id of its own, so two can live at once and a sweep knows whose a namespace is.
"""

from __future__ import annotations

import re

_WORLD_ID = re.compile(r"lg[0-9a-f]{4}")
_NAMESPACE = re.compile(r"(lg[0-9a-f]{4})-[a-z0-9-]+")


def world_id(number: int) -> str:
    """The id of the world with that number, of which the low 16 bits count."""
    return f"lg{number & 0xFFFF:04x}"


def is_world_id(text: str) -> bool:
    """Whether the text is the id of a world."""
    return _WORLD_ID.fullmatch(text) is not None


def belongs(namespace: str, world: str) -> bool:
    """Whether a namespace of that name can only be the world's."""
    match = _NAMESPACE.fullmatch(namespace)
    return match is not None and match.group(1) == world


def node_namespace(world: str, node: str) -> str:
    """Where a node lives."""
    return f"{world}-node-{node}"


def hub_namespace(world: str, network: str, hub: str) -> str:
    """Where a router or bridge of a network lives."""
    return f"{world}-hub-{network}-{hub}"


def center_namespace(world: str) -> str:
    """Where the bridge of the management network lives."""
    return f"{world}-center"


def ether_namespace(world: str) -> str:
    """Where the far sides of all wire ends live."""
    return f"{world}-ether"
