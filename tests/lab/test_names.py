"""Names of what a world makes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lab import names

_NAMES = st.from_regex(r"[a-z0-9][a-z0-9-]{0,20}", fullmatch=True)


@given(st.integers(0), _NAMES, _NAMES, _NAMES)
def test_every_name_belongs_to_its_world_only(number: int, node: str, network: str, hub: str) -> None:
    world = names.world_id(number)
    made = {
        names.node_namespace(world, node),
        names.hub_namespace(world, network, hub),
        names.center_namespace(world),
        names.ether_namespace(world),
    }
    assert names.is_world_id(world)
    assert len(made) == 4
    assert all(names.belongs(name, world) for name in made)
    assert not any(names.belongs(name, names.world_id(number + 1)) for name in made)


def test_foreign_names_do_not_belong() -> None:
    for name in ("lg12ab", "lg12ab-", "lg12abc-center", "xlg12ab-center", "lg12ab-center/../x", "default"):
        assert not names.belongs(name, "lg12ab")
    for text in ("lg12a", "lg12abc", "LG12AB", "lgzzzz", ".lg12ab-7"):
        assert not names.is_world_id(text)
