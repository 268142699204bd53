"""Structure of all boards in all languages: what Grafana needs of every panel, names that the schema has, the
budget of queries, ways between the boards that lead somewhere."""

from __future__ import annotations

import re
from itertools import combinations, product

import pytest

from dashboards import colours
from dashboards.asking import asked, panels
from dashboards.board import MOST_QUERIES, WIDTH
from dashboards.boards import BOARDS, RENDERED, board_files, boards
from dashboards.links import TITLES, uid
from dashboards.panel import UNITS
from dashboards.words import LANGUAGES, NO_DATA, Json, spoken
from linkgauge.schema import LINK_TAGS, RAW_TABLES, TABLES, WINDOW, WINDOW_1H, WINDOW_5M
from linkgauge.table import Table

ALL = {(name, language): board for language in LANGUAGES for name, board in boards(language).items()}
EVERY_BOARD = pytest.mark.parametrize("board", ALL.values(), ids=["-".join(key) for key in ALL])
ENGLISH = boards("en")
PANELS = [(f"{name}: {panel['title']}", panel) for name, board in ENGLISH.items() for panel in panels(board)]
EVERY_PANEL = pytest.mark.parametrize("panel", [p for _, p in PANELS], ids=[name for name, _ in PANELS])
QUERIES = [(name, a.name, a.query, a.source) for name, board in ENGLISH.items() for a in asked(board)]
EVERY_QUERY = pytest.mark.parametrize(
    ("board", "name", "query", "source"), QUERIES, ids=[f"{board}: {name}" for board, name, *_ in QUERIES]
)
PALETTE = {value for name, value in vars(colours).items() if name.isupper() and isinstance(value, str)}
KINDS = {"table", "stat", "timeseries", "state-timeline", "geomap", "bargauge", "barchart", "heatmap"}
IN_HOURS = ("score", "node_score", "throughput", "window_1h")


def test_the_boards_are_those_that_the_links_name() -> None:
    assert set(BOARDS) <= set(TITLES)
    assert {ALL[key]["uid"] for key in ALL} == {uid(*key) for key in ALL}
    assert uid("overview", "en") == "linkgauge-overview"
    assert uid("overview", "zh") == "linkgauge-overview-zh"


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_committed_files_are_those_that_the_code_makes(language: str) -> None:
    files = {path.name: path.read_text(encoding="utf-8") for path in (RENDERED / language).iterdir()}
    assert files == board_files(language), "run python -m dashboards.boards and commit"


@EVERY_BOARD
def test_ids_and_titles_are_unique(board: Json) -> None:
    every = [inner for panel in board["panels"] for inner in (panel, *panel.get("panels", ()))]
    ids = [panel["id"] for panel in every]
    assert ids == list(range(1, len(ids) + 1))
    titles = [panel["title"] for panel in every]
    assert len(set(titles)) == len(titles)


def _cells(panel: Json) -> set[tuple[int, int]]:
    at = panel["gridPos"]
    return set(product(range(at["x"], at["x"] + at["w"]), range(at["y"], at["y"] + at["h"])))


@pytest.mark.parametrize("board", ENGLISH.values(), ids=ENGLISH)
def test_panels_lie_side_by_side_in_24_columns_without_a_hole(board: Json) -> None:
    for shown in (board["panels"], *(panel["panels"] for panel in board["panels"] if panel.get("collapsed"))):
        for one, other in combinations(shown, 2):
            assert not _cells(one) & _cells(other), (one["title"], other["title"])
        covered = {cell for panel in shown for cell in _cells(panel)}
        rows = {y for _, y in covered}
        assert covered == set(product(range(WIDTH), range(min(rows), max(rows) + 1)))


@pytest.mark.parametrize("board", ENGLISH.values(), ids=ENGLISH)
def test_a_board_asks_few_queries_when_it_is_opened(board: Json) -> None:
    assert 0 < sum(one.opened for one in asked(board)) <= MOST_QUERIES


@EVERY_PANEL
def test_a_panel_explains_itself(panel: Json) -> None:
    defaults = panel["fieldConfig"]["defaults"]
    assert panel["type"] in KINDS
    assert len(panel["description"]) > 30
    assert panel["description"].endswith(".")
    assert defaults["unit"] in UNITS
    assert defaults["noValue"]
    steps = defaults["thresholds"]["steps"]
    assert (steps[0]["value"], steps[0]["color"]) == (None, colours.NO_DATA), "what is not there is not good"
    values = [step["value"] for step in steps[1:]]
    assert values == sorted(values) != []
    for rule in panel["fieldConfig"]["overrides"]:
        units = [told["value"] for told in rule["properties"] if told["id"] == "unit"]
        assert set(units) <= {*UNITS, "string", "dateTimeAsLocal"}


@EVERY_BOARD
def test_every_colour_is_of_the_palette(board: Json) -> None:
    assert set(re.findall(r"#[0-9A-Fa-f]{6}\b", str(board))) <= PALETTE
    assert not re.search(r"'color': '(?!#)\w", str(board)), "a colour that is not ours"


@EVERY_BOARD
def test_the_same_word_has_the_same_colour(board: Json) -> None:
    told: dict[str, set[str]] = {}
    for panel in panels(board):
        texts = re.findall(r"'text': '([^']+)', 'color': '(#\w+)'", str(panel["fieldConfig"]))
        for text, colour in texts:
            told.setdefault(text, set()).add(colour)
    assert {text: found for text, found in told.items() if len(found) > 1} == {}


@EVERY_PANEL
def test_targets_are_ones_that_every_grafana_reads(panel: Json) -> None:
    refs = [target["refId"] for target in panel["targets"]]
    assert refs == [chr(ord("A") + at) for at in range(len(refs))] != []
    table = panel["type"] in ("table", "geomap", "barchart", "bargauge")
    for target in panel["targets"]:
        assert target["datasource"]["type"] == "influxdb"
        assert target["rawQuery"] is True
        assert target["policy"] == "default"
        assert (target["resultFormat"] == "table") >= (panel["type"] in ("table", "geomap"))
        assert target["alias"] or table or target["resultFormat"] == "table"


def _tables(source: str, measurement: str) -> list[Table]:
    """The tables that feed a measurement where the data source `source` may point to."""
    found = {
        "ds": list(RAW_TABLES.values()),
        "resolution": [WINDOW, WINDOW_5M, WINDOW_1H],
        "hours": [TABLES[name] for name in IN_HOURS],
    }[source]
    return [table for table in found if measurement in table.measurements]


@EVERY_QUERY
def test_a_query_is_one_statement_over_names_of_the_schema(
    board: str, name: str, query: str, source: str
) -> None:
    assert ";" not in query
    measurements = set(re.findall(r'FROM "(\w+)"', query))
    assert len(measurements) == 1
    (measurement,) = measurements
    aliases = set(re.findall(r'AS "([\w ]+)"', query)) | {"top", "bottom"}
    tables = _tables(source, measurement)
    assert tables, f"{measurement} is not where {source} points to"
    for table in tables:
        fields = {field.name for field in table.fields if field.measurement == measurement}
        tags = {*LINK_TAGS, *table.keys} if "link" in table.keys else set(table.keys)
        quoted = set(re.findall(r'"([\w ]+)"', query)) - measurements
        assert quoted <= fields | tags | aliases, (board, table.name, quoted - fields - tags - aliases)
        assert name.startswith("variable") or quoted & fields


@EVERY_QUERY
def test_only_windows_are_read_at_a_resolution(board: str, name: str, query: str, source: str) -> None:
    measurements = set(re.findall(r'FROM "(\w+)"', query))
    assert source != "resolution" or measurements <= {*WINDOW_5M.measurements}, "5m does not have it"


@EVERY_QUERY
def test_variables_are_matched_as_regular_expressions(board: str, name: str, query: str, source: str) -> None:
    known = {variable["name"] for variable in ENGLISH[board]["templating"]["list"]}
    assert set(re.findall(r"\$\{(\w+):regex\}", query)) <= known
    matched = len(re.findall(r'"\w+" =~ /\^\$\{\w+:regex\}\$/', query))
    macros = sum(len(re.findall(macro, query)) for macro in (r"\$timeFilter", r"\$__interval\b", r"\$/"))
    assert query.count("$") == matched + macros


@EVERY_QUERY
def test_a_query_has_a_range_of_time(board: str, name: str, query: str, source: str) -> None:
    if not name.startswith("variable") or "$timeFilter" in query:
        assert "$timeFilter" in query or "time > now() - " in query
    else:
        assert "time > now() - " in query
    if name.startswith(("variable", "annotation")):
        assert query.count("$timeFilter") <= 1, "Grafana 9.4 replaces the first one only"


@EVERY_BOARD
def test_variables_offer_all_or_are_one(board: Json) -> None:
    sources, others = board["templating"]["list"][:3], board["templating"]["list"][3:]
    assert [source["name"] for source in sources] == ["ds", "resolution", "hours"]
    assert [source["current"]["text"] for source in sources] == ["linkgauge", "linkgauge", "linkgauge 1h"]
    for variable in others:
        assert variable["refresh"] == 2
        assert variable["multi"] == variable["includeAll"]
        if variable["hide"]:
            assert "allValue" not in variable, "nothing found must not mean everything"
        elif variable["multi"]:
            assert variable["allValue"] == ".*"


def _urls(board: Json) -> list[str]:
    texts = re.findall(r"'url': '([^']*)'", str(board))
    assert len(texts) >= len(board["links"])
    return texts


@pytest.mark.parametrize(("name", "language"), ALL, ids=["-".join(key) for key in ALL])
def test_ways_lead_to_boards_of_the_same_language_with_variables_that_exist(name: str, language: str) -> None:
    board = ALL[name, language]
    there = {uid(other, language): other for other in TITLES}
    known = {variable["name"] for variable in board["templating"]["list"]}
    for url in _urls(board)[:]:
        path, _, query = url.partition("?")
        target = path.removeprefix("/d/")
        if target == uid(name, "en" if language == "zh" else "zh"):
            continue
        assert target in there, url
        kept = re.findall(r"\$\{(\w+):queryparam\}", query)
        assert set(kept) <= known, f"{url} carries what this board does not have"
        assert not query or "${__url_time_range}" in query
        if there[target] in BOARDS:
            taken = {v["name"] for v in ALL[there[target], language]["templating"]["list"]}
            assert {*kept, *re.findall(r"var-(\w+)=", query)} <= taken, (
                f"{url} carries what is not taken there"
            )


@pytest.mark.parametrize(("name", "language"), ALL, ids=["-".join(key) for key in ALL])
def test_every_board_leads_to_every_other_with_time_and_variables(name: str, language: str) -> None:
    links = ALL[name, language]["links"]
    assert {link["url"] for link in links[:-1]} == {f"/d/{uid(o, language)}" for o in TITLES if o != name}
    assert links[-1]["url"] == f"/d/{uid(name, 'en' if language == 'zh' else 'zh')}"
    assert all(link["includeVars"] and link["keepTime"] and not link["targetBlank"] for link in links)


@EVERY_PANEL
def test_columns_of_a_table_have_a_fixed_order(panel: Json) -> None:
    steps = {step["id"]: step["options"] for step in panel["transformations"]}
    if panel["type"] != "table" or "groupingToMatrix" in steps:
        return
    order = steps["organize"]["indexByName"]
    assert sorted(order.values()) == list(range(len(order)))
    shown = {rule["matcher"]["options"] for rule in panel["fieldConfig"]["overrides"]}
    assert shown == set(order), "every column has a heading"
    joined = " ".join(target["query"] for target in panel["targets"])
    for name in set(order) - {"Time", "time"}:
        assert f'"{name}"' in joined, f"no query gives {name}"


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_value_is_told_in_words(language: str) -> None:
    for panel in (panel for name in BOARDS for panel in panels(ALL[name, language])):
        if panel["type"] in ("stat", "state-timeline", "timeseries"):
            assert panel["fieldConfig"]["defaults"]["noValue"] == spoken(NO_DATA, language)
