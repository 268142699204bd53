"""Publishing to a server that answers as Grafana 9.4 does: what is made, changed, removed, and left alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dashboards.publish.change import Change, covers, differences
from dashboards.publish.publisher import carry_out, changes
from linkgauge.errors import LinkgaugeError
from tests.dashboards.publish.asked import (
    OTHERS,
    POINT,
    ROUTE,
    TIMING,
    Json,
    alerting,
    board,
    client,
    published,
    rule,
    wanted,
)
from tests.dashboards.publish.server import FakeGrafana


@pytest.mark.parametrize("shows_empty_groups", [False, True])
def test_everything_is_made_in_an_order_that_grafana_takes(
    fake: FakeGrafana, shows_empty_groups: bool
) -> None:
    fake.state.shows_empty_groups = shows_empty_groups
    assert published(fake, wanted()) == [
        "+ folder linkgauge",
        "+ folder linkgauge alerts",
        "+ data source linkgauge-influx",
        "+ board linkgauge-overview",
        "+ contact point linkgauge-page-webhook",
        "+ mute timing linkgauge-work",
        "+ notification policy linkgauge",
        "+ alert rule linkgauge-loss",
        "+ alert rule linkgauge-delay",
        "+ alert rule group linkgauge-links",
    ]
    state = fake.state
    assert set(state.rules) == {"linkgauge-loss", "linkgauge-delay"}
    assert state.intervals == {("linkgauge-alerts", "linkgauge-links"): 10}
    assert state.boards["linkgauge-overview"][1] == "linkgauge"
    assert state.points["linkgauge-page-webhook"]["settings"]["password"] == "of-the-webhook"
    assert state.policies["receiver"] == "grafana-default-email"


def test_a_second_time_nothing_is_sent(fake: FakeGrafana) -> None:
    published(fake, wanted())
    before = len(fake.writes)
    assert published(fake, wanted()) == []
    assert len(fake.writes) == before


def test_reading_alone_changes_nothing(fake: FakeGrafana) -> None:
    assert changes(client(fake), wanted())
    assert fake.writes == []


def test_what_differs_is_shown_and_sent_and_nothing_else(fake: FakeGrafana) -> None:
    published(fake, wanted())
    asked = wanted(boards={"overview": board("Overview")}, alerting=alerting(rule(bound=3.5), rule("delay")))
    told = "\n".join(map(str, changes(client(fake), asked)))
    assert "~ board linkgauge-overview\n    -title: Network overview\n    +title: Overview" in told
    assert "-      - 2.5" in told
    assert "+      - 3.5" in told
    assert published(fake, asked) == [
        "~ board linkgauge-overview",
        "~ alert rule linkgauge-loss",
        "~ alert rule group linkgauge-links",
    ]
    assert fake.state.rules["linkgauge-loss"] == rule(bound=3.5)


def test_only_what_is_ours_is_pruned(fake: FakeGrafana) -> None:
    published(fake, wanted(alerting=alerting(rule(), rule("old"))))
    state = fake.state
    state.boards["linkgauge-old"] = (board(uid="linkgauge-old"), "linkgauge")
    state.boards["linkgauge-overview-zh"] = (board(uid="linkgauge-overview-zh"), "linkgauge")
    state.boards["linkgauge-mine"] = (board(uid="linkgauge-mine"), "elsewhere")
    state.boards["theirs"] = (board(uid="theirs"), "linkgauge")
    state.rules["theirs"] = {**rule("theirs"), "uid": "theirs", "ruleGroup": "theirs"}
    state.points["theirs"] = {**POINT, "uid": "theirs", "name": "theirs"}
    state.timings["theirs"] = {**TIMING, "name": "theirs"}
    state.timings["linkgauge-past"] = {**TIMING, "name": "linkgauge-past"}
    state.points["linkgauge-page-email"] = {**POINT, "uid": "linkgauge-page-email"}
    assert published(fake, wanted(alerting=alerting(rule()))) == [
        "- board linkgauge-old",
        "- alert rule linkgauge-old",
        "- mute timing linkgauge-past",
        "- contact point linkgauge-page-email",
    ]
    assert set(state.boards) == {"linkgauge-overview", "linkgauge-overview-zh", "linkgauge-mine", "theirs"}
    assert set(state.rules) == {"linkgauge-loss", "theirs"}
    assert set(state.points) == {"linkgauge-page-webhook", "theirs"}
    assert set(state.timings) == {"linkgauge-work", "theirs"}


def test_the_routes_of_others_stay(fake: FakeGrafana) -> None:
    fake.state.policies["routes"] = [OTHERS]
    published(fake, wanted())
    assert [route["receiver"] for route in fake.state.policies["routes"]] == [
        "linkgauge-page",
        OTHERS["receiver"],
    ]
    fake.state.policies["routes"] = [OTHERS, {**ROUTE, "receiver": "grafana-default-email"}, ROUTE]
    assert published(fake, wanted()) == ["~ notification policy linkgauge"]
    assert [route["receiver"] for route in fake.state.policies["routes"]] == [
        OTHERS["receiver"],
        "linkgauge-page",
    ]
    assert fake.state.policies["receiver"] == "grafana-default-email"


def test_a_mute_timing_goes_after_the_policy_that_named_it(fake: FakeGrafana) -> None:
    published(fake, wanted())
    quiet = {**ROUTE, "routes": [{"receiver": "linkgauge-page"}]}
    asked = replace(alerting(timings=()), route=quiet)
    assert published(fake, wanted(alerting=asked)) == [
        "~ notification policy linkgauge",
        "- mute timing linkgauge-work",
    ]


def test_without_alerting_it_is_left_alone(fake: FakeGrafana) -> None:
    published(fake, wanted(alerting=None))
    assert [path for _, path in fake.asked if "provisioning" in path] == []


def test_what_files_provision_is_refused_before_anything_changes(fake: FakeGrafana) -> None:
    fake.state.points["linkgauge-page-webhook"] = {**POINT, "provenance": "file"}
    with pytest.raises(LinkgaugeError, match=r"from provisioned files already.*--boards-only"):
        changes(client(fake), wanted())
    fake.state.points["linkgauge-page-webhook"] = {**POINT, "uid": "theirs", "provenance": "file"}
    assert changes(client(fake), wanted())
    assert fake.writes == []


def test_a_data_source_that_is_there_stays_and_a_missing_one_is_told(fake: FakeGrafana) -> None:
    with pytest.raises(
        LinkgaugeError, match=r"has no data source of uid linkgauge-influx, which .*--influxdb"
    ):
        changes(client(fake), wanted(data_sources={"linkgauge-influx": None}))
    fake.state.sources["linkgauge-influx"] = {"name": "mine", "url": "http://mine"}
    published(fake, wanted())
    assert fake.state.sources["linkgauge-influx"]["url"] == "http://mine"


def test_a_contact_point_whose_secret_changed_is_written_when_asked(fake: FakeGrafana) -> None:
    published(fake, wanted())
    point = {**POINT, "settings": {**POINT["settings"], "password": "a new one"}}
    asked = wanted(alerting=alerting(points=[point]))
    assert changes(client(fake), asked) == []
    todo = changes(client(fake), asked, rewrite=True)
    assert [change.what for change in todo] == ["contact point linkgauge-page-webhook"]
    carry_out(todo)
    assert fake.state.points["linkgauge-page-webhook"]["settings"]["password"] == "a new one"


def test_values_of_contact_points_are_never_shown(fake: FakeGrafana) -> None:
    published(fake, wanted())
    point = {**POINT, "settings": {"url": "http://127.0.0.1:9/?access_token=very-secret"}}
    told = "\n".join(map(str, changes(client(fake), wanted(alerting=alerting(points=[point])))))
    assert "settings.url changes" in told
    assert "very-secret" not in told


@pytest.mark.parametrize(
    ("there", "asked", "same"),
    [
        ({"a": 1, "b": 2}, {"a": 1}, True),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ({}, {"a": [], "b": "", "c": False}, True),
        ({"a": [1, 2]}, {"a": [1]}, False),
        ({"a": [{"x": 1, "y": 2}]}, {"a": [{"x": 1}]}, True),
        ({"a": "[REDACTED]"}, {"a": "secret"}, True),
        ({"a": None}, {"a": 1}, False),
    ],
)
def test_what_grafana_adds_is_no_difference(there: Json, asked: Json, same: bool) -> None:
    assert covers(there, asked) is same


def test_a_label_that_is_no_longer_wanted_goes(fake: FakeGrafana) -> None:
    labelled = {**rule(), "labels": {"severity": "page", "drill": "true"}}
    published(fake, wanted(alerting=alerting(labelled)))
    plain = {**rule(), "labels": {"severity": "page"}}
    assert published(fake, wanted(alerting=alerting(plain)))
    assert fake.state.rules["linkgauge-loss"]["labels"] == {"severity": "page"}


def test_a_long_difference_is_cut() -> None:
    lines = differences({}, {str(at): at for at in range(100)})
    assert len(lines) == 41
    assert lines[-1] == "... and 61 lines more"
    assert str(Change("-", "board x", lambda: None)) == "- board x"
