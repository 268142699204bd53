"""Every rule as Grafana's: form, labels, queries on a real InfluxDB."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from alerts.grafana.rules import COLLECTOR_SILENT, LAG_S, GrafanaRules, Times, query, tags
from alerts.grafana.teams import Teams
from alerts.rule import TABLES, Watch, load_rules, watches
from linkgauge.schema import LINK_TAGS
from tests.alerts.world import rule
from tests.influxd import Influxd

Json = dict[str, Any]
RULES = load_rules()
GROUPS = GrafanaRules().groups(RULES)
MADE = [made for group in GROUPS.values() for made in group]
WATCHES = watches(RULES)


def model(made: Json, ref_id: str) -> Json:
    (found,) = (data["model"] for data in made["data"] if data["refId"] == ref_id)
    return dict(found)


def test_every_rule_is_there_in_each_direction_and_the_one_of_grafana_alone() -> None:
    names = [made["labels"]["rule"] for made in MADE]
    assert sorted(names) == sorted([*(watch.rule.name for watch in WATCHES), COLLECTOR_SILENT])
    assert len({made["uid"] for made in MADE}) == len({made["title"] for made in MADE}) == len(MADE)
    assert set(GROUPS) == {"linkgauge-links", "linkgauge-nodes", "linkgauge-places", "linkgauge-system"}
    assert json.loads(json.dumps(MADE)) == MADE


@pytest.mark.parametrize("made", MADE, ids=lambda made: made["uid"])
def test_what_grafana_needs_of_a_rule(made: Json) -> None:
    assert len(made["uid"]) <= 40
    assert made["folderUID"] == "linkgauge-alerts"
    assert made["ruleGroup"] in GROUPS
    assert made["condition"] in [data["refId"] for data in made["data"]]
    silent = made["labels"]["rule"] == COLLECTOR_SILENT
    assert made["noDataState"] == made["execErrState"] == ("Alerting" if silent else "OK")
    assert made["for"] == ("1m" if silent else "0s")
    assert made["annotations"]["runbook"].startswith("docs/runbooks/")
    assert made["labels"]["severity"] in ("page", "ticket")
    assert made["labels"]["team"] == "network"
    assert model(made, "A")["query"].count(" AS ") == 1, "one value column"
    (condition,) = model(made, "C")["conditions"]
    assert condition["evaluator"]["type"] == ("lt" if silent else "gt")


@pytest.mark.parametrize("watch", WATCHES, ids=lambda watch: f"{watch.rule.name} {watch.direction}")
def test_a_query_reads_the_column_of_the_rule(watch: Watch) -> None:
    text = query(watch)
    assert f'SELECT "{watch.field}" AS "v" FROM "{watch.measurement}" WHERE $timeFilter' in text
    assert (
        f'AND "{watch.field}" {">" if watch.rule.above is not None else "<"} {watch.rule.bound:.15g}' in text
    )
    by = text.partition("GROUP BY ")[2].split(",")
    assert by == [f'"{tag}"' for tag in tags(watch.table)]
    known = {field.name for field in TABLES[watch.table].fields}
    assert ('AND "drill" = 0' in text) == ("drill" in known)
    assert ('AND "fit" = 1' in text) == (watch.table == "state")


def test_labels_of_a_link_a_node_and_a_place() -> None:
    made = {each["uid"]: each["labels"] for each in MADE}
    assert made["linkgauge-link-loss-forward"] == {
        "rule": "link-loss",
        "severity": "page",
        "direction": "forward",
        "about": '{{ index $labels "link" }}',
        "site": '{{ index $labels "src_site" }}',
        "team": "network",
    }
    assert made["linkgauge-node-down"]["about"] == '{{ index $labels "node" }}'
    assert made["linkgauge-node-down"]["direction"] == "-"
    assert "site" not in made["linkgauge-node-down"], "it is a tag of the row"
    assert "direction" not in made["linkgauge-common-cause"], "it is a tag of the row"
    assert tags("state") == LINK_TAGS


@pytest.mark.parametrize(("window_s", "every_s"), [(5, 10), (10, 10), (15, 20), (60, 60)])
def test_a_range_holds_the_windows_of_the_rule_at_any_time(window_s: int, every_s: int) -> None:
    times = Times(window_s)
    assert times.every_s == every_s
    for name, least, most in (("loss-bursts", 8, 8), ("link-unreachable", 4 - every_s / window_s, 3)):
        span = times.span(rule(name))
        assert span.to_s == window_s + LAG_S
        for now_s in range(1_000, 1_000 + window_s):
            starts = range(0, 2_000, window_s)
            seen = sum(now_s - span.from_s <= start <= now_s - span.to_s for start in starts)
            assert int(least) <= seen <= most


@pytest.mark.parametrize("window_s", [1, 2, 3])
def test_of_short_windows_each_is_seen_by_an_evaluation(window_s: int) -> None:
    times = Times(window_s)
    for name in ("link-unreachable", "node-down", "common-cause"):
        span = times.span(rule(name))
        assert span.from_s - span.to_s >= times.every_s - 1
        for start_s in range(0, 60, window_s):
            assert any(
                now_s - span.from_s <= start_s <= now_s - span.to_s for now_s in range(0, 200, times.every_s)
            )


@pytest.mark.parametrize("window_s", [1, 7, 10, 30, 50, 60, 90, 120, 300])
def test_a_collector_that_writes_its_windows_is_never_silent(window_s: int) -> None:
    made = GrafanaRules(Times(window_s)).collector_silent()
    data = made["data"][0]
    step_s, until_s = data["model"]["intervalMs"] // 1_000, data["relativeTimeRange"]["to"]
    for now_s in range(10_000, 12_000):
        end_s = now_s - until_s
        starts = range(end_s // step_s * step_s, end_s + 1)
        rows = [start for start in starts if start % window_s == 0 and start + window_s + LAG_S <= now_s]
        assert rows, "the last step of the answer is empty"


def test_a_collector_that_writes_each_five_minutes_is_not_silent() -> None:
    made = GrafanaRules(Times(300)).collector_silent()
    assert "GROUP BY time(300s)" in model(made, "A")["query"]
    assert made["for"] == "5m"


def test_the_team_is_that_of_the_network_else_of_the_first_site() -> None:
    teams = Teams({"private": "cloud"}, {"jinan": "east", "qingdao": "east", "guiyang": "network"})
    assert teams.names == ("cloud", "east", "network")
    assert teams.label("state") == (
        '{{ if eq (index $labels "network") "private" }}cloud'
        '{{ else if eq (index $labels "src_site") "jinan" "qingdao" }}east{{ else }}network{{ end }}'
    )
    assert teams.label("node") == (
        '{{ if eq (index $labels "site") "jinan" "qingdao" }}east{{ else }}network{{ end }}'
    )
    assert teams.label("sink") == "network"
    assert Teams({}, {"jinan": "network"}).label("state") == "network"


def test_the_teams_of_a_trunk_are_those_of_its_ends() -> None:
    teams = Teams({"private": "cloud"}, {"jinan": "east", "jinan-2": "east", "guiyang": "network"})
    trunk, place = 'and (eq (index $labels "kind") "trunk") (match "', '" (index $labels "place")) }}'
    assert teams.of_trunk() == (
        '{{ if eq (index $labels "network") "private" }}{{ else }}'
        f"{{{{ if {trunk}(^|>)(jinan|jinan-2)($|[<>]){place},east{{{{ end }}}}"
        f"{{{{ if {trunk}(^|>)(guiyang)($|[<>]){place},network{{{{ end }}}}{{{{ end }}}}"
    )
    assert teams.label("place").endswith(
        f"{{{{ else if {trunk}^(jinan|jinan-2)[<>]{place}east{{{{ else }}}}network{{{{ end }}}}"
    )
    made = GrafanaRules(teams=teams).groups(load_rules())["linkgauge-places"]
    assert {each["labels"]["teams"] for each in made} == {teams.of_trunk()}
    assert "teams" not in GrafanaRules().groups(load_rules())["linkgauge-places"][0]["labels"]
    assert Teams({}, {"jinan": "network"}).of_trunk() == ""
    of_jinan = re.compile("(^|>)(jinan|jinan-2)($|[<>])")
    named = ("jinan>guiyang", "guiyang<>jinan-2", "jinan-3>guiyang", "guiyang>old-jinan")
    assert [bool(of_jinan.search(each)) for each in named] == [True, True, False, False]


@pytest.mark.parametrize("made", MADE, ids=lambda made: made["uid"])
def test_texts_name_the_thing_and_its_numbers(made: Json) -> None:
    summary = made["annotations"]["summary"]
    assert re.search(r"\{\{ index \$labels \"\w+\" \}\}", summary)
    assert made["annotations"]["first_steps"].count("\n- ") >= 1


@pytest.mark.influx
@pytest.mark.parametrize("made", MADE, ids=lambda made: made["uid"])
def test_influxdb_understands_every_query(influxd: Influxd, made: Json) -> None:
    influxd.query("CREATE DATABASE understood")
    text = model(made, "A")["query"].replace("$timeFilter", "time >= 0ms and time <= 10ms")
    assert "series" not in influxd.query(text, "understood")
