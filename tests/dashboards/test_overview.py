"""The board's structure: what Grafana needs of every panel, and names that the schema has."""

from __future__ import annotations

import re
from itertools import combinations

import pytest

from dashboards.overview import overview
from dashboards.panel import Json
from linkgauge.model import Verdict
from linkgauge.schema import LINK_TAGS, RAW_TABLES
from tests.dashboards.grafana import panels, queries

BOARD = overview()
PANELS = panels(BOARD)
EVERY_PANEL = pytest.mark.parametrize("panel", PANELS, ids=[panel["title"] for panel in PANELS])
QUERIES = list(queries(BOARD))
EVERY_QUERY = pytest.mark.parametrize(("name", "query"), QUERIES, ids=[name for name, _ in QUERIES])
MEASUREMENTS = {name: table for table in RAW_TABLES.values() for name in table.measurements}
VARIABLES = [variable["name"] for variable in BOARD["templating"]["list"]]


def test_ids_and_titles_are_unique() -> None:
    assert [panel["id"] for panel in BOARD["panels"]] == list(range(1, len(BOARD["panels"]) + 1))
    titles = [panel["title"] for panel in BOARD["panels"]]
    assert len(set(titles)) == len(titles)


def _cells(panel: Json) -> set[tuple[int, int]]:
    at = panel["gridPos"]
    return {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}


def test_panels_lie_side_by_side_in_24_columns_without_a_hole() -> None:
    for one, other in combinations(BOARD["panels"], 2):
        assert not _cells(one) & _cells(other), (one["title"], other["title"])
    covered = {cell for panel in BOARD["panels"] for cell in _cells(panel)}
    assert {x for x, _ in covered} == set(range(24))
    assert len(covered) == 24 * (1 + max(y for _, y in covered))


@EVERY_PANEL
def test_a_panel_explains_itself(panel: Json) -> None:
    defaults = panel["fieldConfig"]["defaults"]
    assert len(panel["description"]) > 30
    assert panel["description"].endswith(".")
    assert defaults["unit"] in {"µs", "s", "percentunit", "bps", "short"}
    assert defaults["noValue"] in {"no data", "-"}
    steps = defaults["thresholds"]["steps"]
    assert steps[0]["value"] is None
    values = [step["value"] for step in steps[1:]]
    assert values == sorted(values) != []


@EVERY_PANEL
def test_targets_are_ones_that_every_grafana_reads(panel: Json) -> None:
    refs = [target["refId"] for target in panel["targets"]]
    assert refs == [chr(ord("A") + at) for at in range(len(refs))]
    assert refs
    for target in panel["targets"]:
        assert target["datasource"] == panel["datasource"] == {"type": "influxdb", "uid": "${ds}"}
        assert target["rawQuery"] is True
        assert target["policy"] == "default"
        assert target["resultFormat"] == ("table" if panel["type"] == "table" else "time_series")
        assert target["alias"] or panel["type"] in ("table", "stat")


@EVERY_QUERY
def test_a_query_is_one_statement_over_names_of_the_schema(name: str, query: str) -> None:
    assert ";" not in query
    measurements = re.findall(r'FROM "(\w+)"', query)
    assert len(measurements) == 1
    table = MEASUREMENTS[measurements[0]]
    fields = {field.name for field in table.fields if field.measurement == measurements[0]}
    aliases = set(re.findall(r'AS "([\w ]+)"', query))
    tags = {*LINK_TAGS, "probe", "class"} if "link" in table.keys else set(table.keys)
    quoted = set(re.findall(r'"([\w ]+)"', query)) - {measurements[0]}
    assert quoted <= fields | tags | aliases, name
    assert name.startswith("variable") or quoted & fields


@EVERY_QUERY
def test_variables_are_matched_as_regular_expressions(name: str, query: str) -> None:
    used = re.findall(r"\$\{(\w+):regex\}", query)
    assert set(used) <= set(VARIABLES)
    assert query.count("$") == (
        len(re.findall(r'"(\w+)" =~ /\^\$\{\1:regex\}\$/', query))
        + sum(len(re.findall(macro, query)) for macro in (r"\$timeFilter", r"\$__interval", r"\$/"))
    )


@EVERY_PANEL
def test_panels_about_links_obey_every_variable(panel: Json) -> None:
    for target in panel["targets"]:
        if '"link_' in target["query"]:
            used = set(re.findall(r"\$\{(\w+):regex\}", target["query"]))
            assert used == {"network", "tier", "src_site", "dst_site", "link"}


def test_variables_offer_all() -> None:
    assert VARIABLES == ["ds", "network", "tier", "src_site", "dst_site", "link"]
    for variable in BOARD["templating"]["list"][1:]:
        assert (variable["includeAll"], variable["multi"], variable["allValue"]) == (True, True, ".*")
        assert variable["refresh"] == 2


def test_every_verdict_has_a_word_and_a_colour_of_its_own() -> None:
    (timeline,) = (panel for panel in PANELS if panel["title"] == "Verdicts")
    values, nothing = timeline["fieldConfig"]["defaults"]["mappings"]
    assert {int(v): told["text"] for v, told in values["options"].items()} == {
        int(verdict): verdict.word for verdict in Verdict
    }
    assert len({told["color"] for told in values["options"].values()}) == len(Verdict)
    assert nothing["options"]["result"]["text"] == "no data"


def test_the_table_shows_its_columns_in_a_fixed_order() -> None:
    (table,) = (panel for panel in PANELS if panel["title"] == "Links, worst first")
    names = [re.findall(r'AS "([\w ]+)"', target["query"])[0] for target in table["targets"]]
    organize = table["transformations"][-1]["options"]
    shown = [name for name in names if name not in organize["excludeByName"]]
    assert set(organize["indexByName"]) == {*shown, "link", "network", "tier"}
    assert sorted(organize["indexByName"].values()) == list(range(len(organize["indexByName"])))
    assert {"Time", "time", "rank"} <= set(organize["excludeByName"])
