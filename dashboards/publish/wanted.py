"""What is to stand in a Grafana: values, as its API has them. Everything of ours is known by its name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

OURS = "linkgauge"
"""How uids and names of all that we make begin; nothing else is ever changed or removed."""


@dataclass(frozen=True, slots=True)
class Group:
    """A group of alert rules, evaluated every `interval_s`; each rule with its uid, folderUID, ruleGroup."""

    folder: str
    name: str
    interval_s: int
    rules: Sequence[Json]


@dataclass(frozen=True, slots=True)
class Alerting:
    """route: the policy that takes our alerts and no others, a child of Grafana's own root."""

    groups: Sequence[Group]
    contact_points: Sequence[Json]
    route: Json
    mute_timings: Sequence[Json]


@dataclass(frozen=True, slots=True)
class Wanted:
    """folders: uid to title. boards: name to model, all in `board_folder`; spared: uids of boards of ours
    that may stand there as well, as in another language. data_sources: by uid; a value is made when it is
    missing, None must be there. alerting: None leaves Grafana's alerting alone."""

    folders: Mapping[str, str]
    board_folder: str
    boards: Mapping[str, Json]
    spared: frozenset[str]
    data_sources: Mapping[str, Json | None] = field(repr=False)
    alerting: Alerting | None = field(default=None, repr=False)


def is_ours(name: object) -> bool:
    """Whether a uid or name is one that we gave."""
    return isinstance(name, str) and (name == OURS or name.startswith(f"{OURS}-"))
