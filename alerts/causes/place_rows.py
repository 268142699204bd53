"""Rows of PLACE: what is told of the places of a window, each kind and place once. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from alerts.causes.located import Altered, Key, Located
from alerts.evaluation.evaluate import Window
from linkgauge.frame import Frame
from linkgauge.schema import PLACE

_UNALTERED = {"links_small": 0.0, "links_remarked": 0.0}
_UNALTERED |= dict.fromkeys(("mtu_bytes", "mtu_usual_bytes", "remarked_ratio"), float("nan"))


def place_rows(found: Sequence[Located], altered: Sequence[Altered], window: Window) -> Frame:
    """found: dead, lossy and slow places. A place that is in both has the direction and counts of the first,
    and of `altered` what it alters."""
    rows: dict[Key, dict[str, Any]] = {}
    for one in found:
        bad = max(one.finding.links_bad, len(one.links))
        rows[one.key] = {**_row(one), "links_bad": bad}
    for each in altered:
        rows.setdefault(each.key, {**_row(each.located), "links_bad": 0}).update(each.numbers)
    whole = [{**_UNALTERED, **row} for row in rows.values()]
    columns = {name: [row[name] for row in whole] for name in whole[0]} if whole else _nothing()
    times = {"start_ns": [window.start_ns] * len(whole), "length_ns": [window.length_ns] * len(whole)}
    return Frame.of(PLACE, {**columns, **times}, len(whole))


def _row(one: Located) -> dict[str, Any]:
    told = one.finding
    return {
        "place": told.place,
        "kind": told.kind,
        "network": told.network,
        "direction": told.direction,
        "site": told.site,
        "links_judged": max(told.links_judged, len(one.links)),
        "explained_ratio": one.share,
        "sure_ratio": 1.0 if told.sure else 0.5,
        "others": ", ".join(told.others),
    }


def _nothing() -> dict[str, list[str]]:
    return {key: [] for key in PLACE.keys}
