"""Who is told, in how many messages; secrets stay variables."""

from __future__ import annotations

from typing import Any

import pytest

from alerts.grafana.alertmanager import RESOLVE_MINUTES
from alerts.grafana.policies import KINDS, Contacts, route, timings
from linkgauge.errors import ConfigError
from tests.alerts.grafana.tree import chosen, every, routes

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


def messages(tree: Json, alerts: list[dict[str, str]]) -> set[tuple[str, ...]]:
    """The groups that the alerts fall into."""
    return {
        (taken["receiver"], *(each.get(label, "") for label in taken["group_by"]))
        for each in alerts
        for taken in [chosen(tree, each)]
    }


def whole(contacts: Contacts) -> Json:
    """Our route below a root, as in Grafana."""
    return {"receiver": "root", "group_by": [], "routes": [route(contacts)]}


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
    tree = whole(Contacts({}, teams=("east", "lab", "west")))
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


@pytest.mark.parametrize(
    ("teams", "home"), [(("core", "network", "west"), "network"), (("core", "west"), "core"), ((), "")]
)
def test_what_no_team_is_known_of_goes_to_the_home_team_by_severity(
    teams: tuple[str, ...], home: str
) -> None:
    tree = whole(Contacts({}, teams=teams))
    end = f"-{home}" if home else ""
    for team in ({}, {"team": "new"}):
        for thing in ({"link": "a-1>b-1@n"}, {"node": "a-1"}, {}):
            told = {
                severity: chosen(tree, {**FOLDER, "severity": severity, **thing, **team})["receiver"]
                for severity in ("page", "ticket", "")
            }
            ticket = f"linkgauge-ticket{end}"
            assert told == {"page": f"linkgauge-page{end}", "ticket": ticket, "": ticket}


def test_a_quiet_grafana_tells_of_a_silent_collector_and_nothing_else() -> None:
    contacts = Contacts({}, quiet=True)
    tree = whole(contacts)
    silent = chosen(tree, {**FOLDER, "rule": "collector-silent", "severity": "page"})
    assert silent["receiver"] == "linkgauge-page"
    assert "mute_time_intervals" not in silent
    (always,) = timings(contacts)
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


def test_contact_points_of_long_names_are_told_apart() -> None:
    teams = ("backbone-operations-north-china", "backbone-operations-north-east", "x")
    contacts = Contacts({"page": ("webhook", "email")}, teams=teams)
    uids = [point["uid"] for point in contacts.points]
    assert len(set(uids)) == len(uids)
    assert all(len(uid) <= 40 for uid in uids)
    assert "linkgauge-page-x-webhook" in uids, "what fits stays as it is"
    assert "linkgauge-page-backbone-opera-e632ca541e" in uids, "and each run makes the same"


def test_a_kind_that_grafana_does_not_have_is_told() -> None:
    with pytest.raises(ConfigError, match="'feishu' is no kind of contact point; there are alertmanager, "):
        Contacts({"page": ("feishu",)})


@pytest.mark.parametrize("teams", [(), ("east",), ("east", "west")])
def test_every_receiver_of_a_route_is_a_contact_point(teams: tuple[str, ...]) -> None:
    contacts = Contacts({}, teams=teams)
    used = {each["receiver"] for each in routes(route(contacts))}
    assert used <= {point["name"] for point in contacts.points}
