"""What Grafana's pages make of the boards, as far as the JSON tells: each of these was once drawn wrong."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from dashboards.asking import panels
from dashboards.boards import boards
from dashboards.trouble import WORST
from dashboards.words import Json

PANELS = [(name, panel) for name, board in boards().items() for panel in panels(board)]
IDS = [f"{name}: {panel['title']}" for name, panel in PANELS]
EVERY = pytest.mark.parametrize("panel", [panel for _, panel in PANELS], ids=IDS)


def _fields(panel: Json) -> Iterator[dict[str, Any]]:
    """The settings of all fields, and those of each override, by Grafana's ids ("custom.width")."""
    defaults = panel["fieldConfig"]["defaults"]
    custom = {f"custom.{name}": value for name, value in defaults.get("custom", {}).items()}
    yield {**defaults, **custom}
    for rule in panel["fieldConfig"]["overrides"]:
        yield {told["id"]: told["value"] for told in rule["properties"]}


def _mappings(panel: Json) -> Iterator[Json]:
    for field in _fields(panel):
        yield from field.get("mappings", ())


@EVERY
def test_a_text_is_not_taken_for_no_value(panel: Json) -> None:
    matches = {told["options"]["match"] for told in _mappings(panel) if told["type"] == "special"}
    assert matches <= {"null", "empty"}, "before Grafana 10 every text is 'not a number'"


@EVERY
def test_both_ends_of_a_range_of_values_are_told(panel: Json) -> None:
    for told in _mappings(panel):
        if told["type"] == "range":
            assert {type(told["options"][end]) for end in ("from", "to")} <= {int, float}, (
                "null is taken for 0"
            )


@EVERY
def test_a_coloured_cell_is_one_to_early_builds_too(panel: Json) -> None:
    modes = {"color-background": "color-background-solid", "auto": "auto"}
    for field in _fields(panel):
        assert ("custom.cellOptions" in field) == ("custom.displayMode" in field)
        if "custom.cellOptions" in field:
            assert field["custom.displayMode"] == modes[field["custom.cellOptions"]["type"]]


@EVERY
def test_columns_may_be_narrower_than_grafana_makes_them(panel: Json) -> None:
    if panel["type"] == "table":
        assert panel["fieldConfig"]["defaults"]["custom"]["minWidth"] <= 60, "else columns are out of sight"


@EVERY
def test_a_timeline_has_the_colours_of_its_words(panel: Json) -> None:
    if panel["type"] == "state-timeline":
        assert panel["fieldConfig"]["defaults"]["color"]["mode"] == "fixed", "thresholds win over mappings"


@EVERY
def test_a_narrow_title_is_not_written_over(panel: Json) -> None:
    if panel["type"] == "stat" and "timeFrom" in panel:
        assert panel["hideTimeOverride"] is True


@EVERY
def test_a_table_shows_no_other_columns(panel: Json) -> None:
    steps = {step["id"]: step["options"] for step in panel["transformations"]}
    if panel["type"] == "table" and "groupingToMatrix" not in steps:
        kept = steps["filterFieldsByName"]["include"]["names"]
        shown = [name for name in kept if not steps["organize"]["excludeByName"].get(name)]
        assert set(shown) == set(steps["organize"]["indexByName"])


MATRICES = [panel for _, panel in PANELS if "groupingToMatrix" in {t["id"] for t in panel["transformations"]}]
MATRIX = pytest.mark.parametrize("panel", MATRICES, ids=[panel["title"] for panel in MATRICES])


@MATRIX
def test_the_values_of_a_matrix_have_lost_the_name_that_the_server_gave(panel: Json) -> None:
    """Grafana 12 shows the last column's values in all columns that have the same name."""
    steps = [step["id"] for step in panel["transformations"]]
    options = {step["id"]: step["options"] for step in panel["transformations"]}
    assert steps.index("calculateField") < steps.index("groupingToMatrix")
    copy = options["calculateField"]
    assert "alias" not in copy, "the alias would be the name of every column"
    assert (copy["mode"], copy["reduce"]["reducer"]) == ("reduceRow", "last")
    assert options["groupingToMatrix"]["valueField"] == "Last", "what Grafana calls such a copy"
    (value,) = copy["reduce"]["include"]
    assert f'"{value}"' in panel["targets"][0]["query"]


@MATRIX
def test_a_matrix_is_in_order_whatever_the_order_of_the_answer(panel: Json) -> None:
    steps = panel["transformations"]
    at = [step["id"] for step in steps].index("groupingToMatrix")
    row, column = (steps[at]["options"][field] for field in ("rowField", "columnField"))
    names = [step["options"]["sort"][0]["field"] for step in steps if step["id"] == "sortBy"]
    assert names == [column, f"{row}\\{column}", row], "newer Grafana calls the corner by the tag"
    assert steps[0]["id"] == "sortBy"


@MATRIX
def test_only_the_cells_of_a_matrix_lead_on(panel: Json) -> None:
    assert "links" not in panel["fieldConfig"]["defaults"], "Grafana 12 adds them to the corner's own"
    rules = {rule["matcher"]["id"]: rule["properties"] for rule in panel["fieldConfig"]["overrides"]}
    assert [told["id"] for told in rules["byType"]] == ["links"]


@EVERY
def test_the_heading_of_a_number_has_its_room(panel: Json) -> None:
    for field in _fields(panel):
        assert not (field.get("custom.filterable") and field.get("unit")), "its sign hides the heading"


def test_the_map_needs_no_internet_and_shows_the_sites() -> None:
    (panel,) = (panel for _, panel in PANELS if panel["type"] == "geomap")
    options = panel["options"]
    assert options["basemap"]["type"] == "geojson"
    assert options["basemap"]["config"]["src"].startswith("public/")
    assert options["view"]["layer"] in {layer["name"] for layer in options["layers"]}
    assert not options["view"].get("allLayers"), "the land is a layer too: the whole world would be shown"


@pytest.mark.parametrize("name", boards())
def test_no_board_asks_a_stranger(name: str) -> None:
    assert "://" not in str(boards()[name])


def test_rows_of_the_worst_links_do_not_lie_over_each_other() -> None:
    (height,) = (panel["gridPos"]["h"] for _, panel in PANELS if panel["title"] == "Worst links")
    assert height * 1.5 >= WORST


def test_a_variable_of_one_value_is_never_handed_all_by_another_board() -> None:
    multi: dict[bool, set[str]] = {True: set(), False: set()}
    for board in boards().values():
        for variable in board["templating"]["list"]:
            if variable["type"] == "query" and variable["hide"] == 0:
                multi[variable["includeAll"]].add(variable["name"])
    assert multi[True] & multi[False] == set(), "All would then be the one value, and nothing be shown"


@EVERY
def test_no_axis_is_logarithmic(panel: Json) -> None:
    custom = panel["fieldConfig"]["defaults"].get("custom", {})
    assert "scaleDistribution" not in custom, "its unlabelled ticks would say 'no data'"


@EVERY
def test_a_column_has_one_override(panel: Json) -> None:
    names = [rule["matcher"]["options"] for rule in panel["fieldConfig"]["overrides"]]
    assert len(set(names)) == len(names), (
        "the first gives it another name, and the second finds none of its own"
    )


def test_marks_are_asked_for_by_their_target() -> None:
    marks = [mark for board in boards().values() for mark in board["annotations"]["list"]]
    assert marks
    for mark in marks:
        asked = mark["target"]
        assert asked["fromAnnotations"]
        assert asked["queryType"] == "tags"
        for known in ("query", "textColumn", "tagsColumn"):
            assert asked[known] == mark[known], "after Grafana 9 only the target counts"
        assert "GROUP BY" not in asked["query"], "a tag in the name of the text's column makes that a tag"
