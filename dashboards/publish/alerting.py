"""Contact points, mute timings, policies and rules of a Grafana: what differs from what is wanted.

The order is that in which Grafana takes them: a policy names contact points and mute timings that are there,
and what is removed is named by none any more. Secrets come back hidden, so a contact point of which nothing
but a secret changed looks the same; `linkgauge publish --secrets` writes it again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from dashboards.publish.change import Change, covers, differences
from dashboards.publish.grafana import Client
from dashboards.publish.wanted import Alerting, Group, Json, is_ours
from linkgauge.errors import LinkgaugeError

API = "/api/v1/provisioning"


def changes(client: Client, wanted: Alerting, rewrite: bool = False) -> Iterator[Change]:
    """Every change of Grafana's alerting, in order. rewrite: contact points as well that look the same."""
    points = _list(client, "/contact-points", "contact points")
    _refuse_files(client, points)
    timings = _list(client, "/mute-timings", "mute timings")
    yield from _contact_points(client, points, wanted, rewrite)
    yield from _mute_timings(client, timings, wanted)
    yield from _policies(client, wanted)
    yield from _rules(client, wanted)
    kept = {timing["name"] for timing in wanted.mute_timings}
    for timing in timings:
        if is_ours(timing.get("name")) and timing["name"] not in kept:
            yield _removal(client, f"mute timing {timing['name']}", "/mute-timings", timing["name"])
    kept = {point["uid"] for point in wanted.contact_points}
    for point in points:
        if is_ours(point.get("uid")) and point["uid"] not in kept:
            yield _removal(client, f"contact point {point['uid']}", "/contact-points", point["uid"])


def _refuse_files(client: Client, points: list[Json]) -> None:
    """What Grafana loads from files it lets nobody else change: said before anything is."""
    if any(is_ours(point.get("uid")) and point.get("provenance") == "file" for point in points):
        raise LinkgaugeError(
            f"Grafana at {client.url} has our alerting from provisioned files already, which only those can "
            "change; use one way of the two: render again, or publish with --boards-only"
        )


def _list(client: Client, path: str, what: str) -> list[Json]:
    found = client.get(f"{API}{path}", f"its {what}", missing=False)
    if isinstance(found, dict):  # Grafana says null when there are none
        return []
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise client.no_grafana()
    return found


def _contact_points(client: Client, there: list[Json], wanted: Alerting, rewrite: bool) -> Iterator[Change]:
    by_uid = {point.get("uid"): point for point in there}
    for point in wanted.contact_points:
        old = by_uid.get(point["uid"])
        if rewrite or old is None or not covers(old, point):
            lines = () if old is None else _settings(old, point)
            yield _upsert(
                client, old, f"contact point {point['uid']}", "/contact-points", point["uid"], point, lines
            )


def _settings(old: Json, point: Json) -> tuple[str, ...]:
    """Which settings change; not their values, which may be secrets."""
    told = [f"{key} changes" for key in ("name", "type") if old.get(key) != point[key]]
    settings = old.get("settings") or {}
    for key, value in point["settings"].items():
        if not covers(settings.get(key), value):
            told.append(f"settings.{key} changes")
    return tuple(told)


def _mute_timings(client: Client, there: list[Json], wanted: Alerting) -> Iterator[Change]:
    by_name = {timing.get("name"): timing for timing in there}
    for timing in wanted.mute_timings:
        old = by_name.get(timing["name"])
        if old is None or not covers(old, timing):
            lines = () if old is None else differences(old, timing)
            yield _upsert(
                client, old, f"mute timing {timing['name']}", "/mute-timings", timing["name"], timing, lines
            )


def _policies(client: Client, wanted: Alerting) -> Iterator[Change]:
    """Our one route stands among the others; Grafana takes only the whole tree."""
    what = "notification policy linkgauge"
    tree = client.get(f"{API}/policies", "its notification policies", missing=False)
    if not isinstance(tree, dict) or "receiver" not in tree:
        raise client.no_grafana()
    others = tree.get("routes") or []
    mine = _ordered(wanted.route)
    ours = [
        at
        for at, each in enumerate(others)
        if _ordered(each).get("object_matchers") == mine["object_matchers"]
    ]
    old = _ordered(others[ours[0]]) if ours else None
    if len(ours) == 1 and covers(old, mine) and covers(mine, old):
        return
    at = ours[0] if ours else 0
    routes = [route for number, route in enumerate(others) if number not in ours]
    routes.insert(at, wanted.route)
    body = {key: value for key, value in tree.items() if key not in ("status", "provenance")}
    body["routes"] = routes
    lines = () if old is None else differences(old, mine)
    yield Change("+" if old is None else "~", what, lambda: client.put(f"{API}/policies", body, what), lines)


def _ordered(route: Json) -> Json:
    """The route with its matchers in order, at every depth: Grafana gives them back in its own order."""
    made = {**route, "object_matchers": sorted(route.get("object_matchers") or [])}
    return {**made, "routes": [_ordered(each) for each in route.get("routes") or []]}


def _rules(client: Client, wanted: Alerting) -> Iterator[Change]:
    there = {rule.get("uid"): rule for rule in _list(client, "/alert-rules", "alert rules")}
    kept: set[str] = set()
    for group in wanted.groups:
        changed = False
        for rule in group.rules:
            kept.add(rule["uid"])
            old = there.get(rule["uid"])
            if old is None or not _same_rule(old, rule):
                changed = True
                lines = () if old is None else differences(old, rule)
                yield _upsert(
                    client, old, f"alert rule {rule['uid']}", "/alert-rules", rule["uid"], rule, lines
                )
        yield from _group(client, group, changed)
    folders = {group.folder for group in wanted.groups}
    for uid, rule in there.items():
        if is_ours(uid) and uid not in kept and rule.get("folderUID") in folders:
            yield _removal(client, f"alert rule {uid}", "/alert-rules", str(uid))


def _same_rule(there: Json, rule: Json) -> bool:
    """Labels and annotations are ours alone; of the rest Grafana may know more."""
    named = all((there.get(key) or {}) == rule.get(key, {}) for key in ("labels", "annotations"))
    return named and covers(there, rule)


def _group(client: Client, group: Group, changed: bool) -> Iterator[Change]:
    """The group's interval; a rule that is made alone gets Grafana's default."""
    what = f"alert rule group {group.name}"
    path = f"{API}/folder/{quote(group.folder, safe='')}/rule-groups/{quote(group.name, safe='')}"
    found = client.get(path, what)
    # some versions show a group that is none as one without rules
    there = found if isinstance(found, dict) and found.get("rules") else {}
    interval = there.get("interval")
    if interval == group.interval_s and not changed:
        return
    body = {
        "title": group.name,
        "folderUid": group.folder,
        "interval": group.interval_s,
        "rules": list(group.rules),
    }
    lines = (f"every {group.interval_s} s" + ("" if interval is None else f" (was {interval} s)"),)
    yield Change("~" if there else "+", what, lambda: client.put(path, body, what), lines)


def _upsert(
    client: Client, old: Json | None, what: str, collection: str, name: str, body: Any, lines: tuple[str, ...]
) -> Change:
    path = f"{API}{collection}/{quote(name, safe='')}"
    return Change(
        "+" if old is None else "~",
        what,
        lambda: client.put_or_post(path, f"{API}{collection}", body, what),
        lines,
    )


def _removal(client: Client, what: str, collection: str, name: str) -> Change:
    path = f"{API}{collection}/{quote(name, safe='')}"
    return Change("-", what, lambda: client.delete(path, what))
