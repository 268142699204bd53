"""Who is told, in how many messages; secrets stay variables."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from alerts.grafana.alertmanager import RESOLVE_MINUTES
from alerts.grafana.muted import Muted
from alerts.grafana.policies import KINDS, Contacts, route, timings
from linkgauge.errors import ConfigError
from linkgauge.maintenance import Scope

Json = dict[str, Any]
FOLDER = {"grafana_folder": "linkgauge alerts"}


def labels(src: str, dst: str, rule: str = "link-loss", **more: str) -> dict[str, str]:
    ends = {
        "link": f"{src}>{dst}@backbone",
        "src": src,
        "dst": dst,
        "src_site": src[:-2],
        "dst_site": dst[:-2],
    }
    return {
        **FOLDER,
        "rule": rule,
        "severity": "page",
        "network": "backbone",
        "site": src[:-2],
        **ends,
        **more,
    }


def chosen(tree: Json, of: Mapping[str, str]) -> Json:
    """The route that Grafana takes for an alert."""
    (taken,) = every(tree, of)
    return taken


def every(tree: Json, of: Mapping[str, str]) -> list[Json]:
    """All routes that it takes."""
    taken: list[Json] = []
    for child in tree.get("routes", ()):
        if all(_matches(matcher, of) for matcher in child["object_matchers"]):
            taken += every(child, of)
            if not child.get("continue"):
                return taken
    return taken or [tree]


def _matches(matcher: list[str], of: Mapping[str, str]) -> bool:
    label, operator, value = matcher
    there = of.get(label, "")
    if operator in ("=", "!="):
        return (there == value) == (operator == "=")
    return (re.fullmatch(value, there) is not None) == (operator == "=~")


def messages(tree: Json, alerts: list[dict[str, str]]) -> set[tuple[str, ...]]:
    """The groups that the alerts fall into."""
    return {
        (taken["receiver"], *(each.get(label, "") for label in taken["group_by"]))
        for each in alerts
        for taken in [chosen(tree, each)]
    }


def whole(contacts: Contacts, *muted: Muted) -> Json:
    """Our route below a root, as in Grafana."""
    return {"receiver": "root", "group_by": [], "routes": [route(contacts, muted)]}


def test_a_dead_node_is_one_message_of_its_links_and_one_of_itself() -> None:
    tree = whole(Contacts({}))
    sources = [f"{site}-{at}" for site in ("jinan", "qingdao") for at in range(5)]
    links = [labels(src, "guiyang-1", rule) for src in sources for rule in ("link-loss", "link-unreachable")]
    node = {**FOLDER, "rule": "node-down", "severity": "page", "node": "guiyang-1", "site": "guiyang"}
    assert len(messages(tree, links)) == 1
    assert len(messages(tree, [*links, node])) == 2


def test_severity_and_team_choose_the_contact_point() -> None:
    tree = whole(Contacts({}, teams=("east", "west")))
    assert chosen(tree, labels("a-1", "b-1", team="east"))["receiver"] == "linkgauge-page-east"
    ticket = labels("a-1", "b-1", team="west", severity="ticket")
    assert chosen(tree, ticket)["receiver"] == "linkgauge-ticket-west"
    assert chosen(tree, {"severity": "page"})["receiver"] == "root", "an alert of another folder is not ours"


def test_a_trunk_is_told_to_the_teams_of_both_ends() -> None:
    now = datetime(2025, 11, 21, tzinfo=UTC)
    work = Muted("work", Scope(sites=frozenset({"c"})), frozenset(), now, now)
    tree = whole(Contacts({}, teams=("east", "lab", "west")), work)
    place = {**FOLDER, "rule": "common-cause", "severity": "page", "kind": "trunk", "place": "a<>b"}
    told = {
        teams: [each["receiver"] for each in every(tree, {**place, "team": "west", "teams": teams})]
        for teams in ("", ",east,west", ",west")
    }
    assert told == {
        "": ["linkgauge-page-west"],
        ",east,west": ["linkgauge-page-east", "linkgauge-page-west"],
        ",west": ["linkgauge-page-west"],
    }


def test_announced_work_mutes_what_it_names_and_no_more() -> None:
    now = datetime(2025, 11, 21, tzinfo=UTC)
    work = Muted("linkgauge-work", Scope(sites=frozenset({"guiyang"})), frozenset(), now, now)
    tree = whole(Contacts({}), work)
    for named in (labels("jinan-1", "guiyang-1"), labels("guiyang-1", "jinan-1")):
        taken = chosen(tree, named)
        assert taken["mute_time_intervals"] == ["linkgauge-work"]
        assert taken["receiver"] == "linkgauge-page"
    node = {**FOLDER, "severity": "page", "node": "guiyang-1", "site": "guiyang"}
    assert chosen(tree, node)["mute_time_intervals"] == ["linkgauge-work"]
    assert "mute_time_intervals" not in chosen(tree, labels("jinan-1", "qingdao-1"))


def test_what_is_announced_twice_is_muted_in_both_times() -> None:
    now, later = datetime(2025, 11, 21, tzinfo=UTC), datetime(2025, 11, 22, tzinfo=UTC)
    site = Muted("tomorrow", Scope(sites=frozenset({"jinan"})), frozenset(), later, later)
    node = Muted("today", Scope(nodes=frozenset({"jinan-1"})), frozenset(), now, now)
    tree = whole(Contacts({}), site, node)
    assert chosen(tree, labels("jinan-1", "guiyang-1"))["mute_time_intervals"] == ["today", "tomorrow"]
    assert chosen(tree, labels("jinan-2", "guiyang-1"))["mute_time_intervals"] == ["tomorrow"]
    assert "mute_time_intervals" not in chosen(tree, labels("qingdao-1", "guiyang-1"))


@pytest.mark.parametrize("announced", [3, 8, 20])
def test_many_announcements_make_no_forest(announced: int) -> None:
    at = datetime(2025, 11, 21, tzinfo=UTC)
    muted = [
        Muted(f"work-{n}", Scope(nodes=frozenset({f"n{n}-1"})), frozenset(), at, at) for n in range(announced)
    ]
    assert sum(1 for _ in _receivers(route(Contacts({}), muted))) < 4_000


def test_a_quiet_grafana_tells_of_a_silent_collector_and_nothing_else() -> None:
    contacts = Contacts({}, quiet=True)
    tree = whole(contacts)
    silent = chosen(tree, {**FOLDER, "rule": "collector-silent", "severity": "page"})
    assert silent["receiver"] == "linkgauge-page"
    assert "mute_time_intervals" not in silent
    (always,) = timings(contacts, ())
    assert chosen(tree, labels("a-1", "b-1"))["mute_time_intervals"] == [always["name"]]


def test_an_alertmanager_is_told_again_before_it_takes_an_alert_for_over() -> None:
    tree = whole(Contacts({"ticket": ("email",)}))
    assert chosen(tree, labels("a-1", "b-1"))["repeat_interval"] == "5m"
    assert chosen(tree, labels("a-1", "b-1", severity="ticket"))["repeat_interval"] == "1d"
    assert RESOLVE_MINUTES >= 2 * 5


def test_contact_points_hold_variables_and_never_secrets() -> None:
    contacts = Contacts({"page": tuple(KINDS), "ticket": ("email",)}, teams=("east", "north-west"))
    assert len(contacts.points) == 2 * len(KINDS) + 2
    assert len({point["uid"] for point in contacts.points}) == len(contacts.points)
    assert all(len(point["uid"]) <= 40 for point in contacts.points)
    assert "LINKGAUGE_PAGE_NORTH_WEST_WECOM_URL" in contacts.variables
    assert "LINKGAUGE_TICKET_EAST_EMAIL_ADDRESSES" in contacts.variables
    for point in contacts.points:
        value = point["settings"].get("url", point["settings"].get("addresses"))
        assert value.startswith("$LINKGAUGE_") or point["type"] == "prometheus-alertmanager"


def test_a_kind_that_grafana_does_not_have_is_told() -> None:
    with pytest.raises(ConfigError, match="'feishu' is no kind of contact point; there are alertmanager, "):
        Contacts({"page": ("feishu",)})


def _receivers(tree: Json) -> Iterator[str]:
    yield tree["receiver"]
    for child in tree.get("routes", ()):
        yield from _receivers(child)


@pytest.mark.parametrize("teams", [(), ("east",), ("east", "west")])
def test_every_receiver_of_a_route_is_a_contact_point(teams: tuple[str, ...]) -> None:
    contacts = Contacts({}, teams=teams)
    assert set(_receivers(route(contacts))) <= {point["name"] for point in contacts.points}
