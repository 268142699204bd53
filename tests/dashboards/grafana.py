"""What Grafana does to a query before it sends it: macros and variables replaced, `:regex` values escaped."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from dashboards.words import Json

ALL = ".*"


def panels(board: Json) -> list[Json]:
    """The panels that show data, those in collapsed rows too: all but the row headings."""
    flat = [inner for panel in board["panels"] for inner in (panel, *panel.get("panels", ()))]
    return [panel for panel in flat if panel["type"] != "row"]


def queries(board: Json) -> Iterator[tuple[str, str, str]]:
    """Name, raw query and variable of the data source of every target, query variable and annotation."""
    for panel in panels(board):
        for target in panel["targets"]:
            yield f"{panel['title']} {target['refId']}", target["query"], _source(target)
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            yield f"variable {variable['name']}", variable["query"], _source(variable)
    for annotation in board["annotations"]["list"]:
        yield f"annotation {annotation['name']}", annotation["query"], _source(annotation)


def _source(asks: Json) -> str:
    """ "ds", "resolution" or "hours"."""
    return str(asks["datasource"]["uid"]).strip("${}")


def regex_value(chosen: list[str]) -> str:
    """`${name:regex}`: the chosen values escaped, several of them in (a|b); none of them is `()`."""
    escaped = [re.sub(r"([\\^$*+?.()|\[\]{}/])", r"\\\1", value) for value in chosen]
    return escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})"


def interpolate(
    query: str, chosen: Mapping[str, list[str]], from_ms: int, to_ms: int, step_s: int = 10
) -> str:
    """The query as it reaches InfluxDB; a variable that is not in `chosen` stands at All."""

    def value(match: re.Match[str]) -> str:
        return regex_value(chosen[match[1]]) if match[1] in chosen else ALL

    query = re.sub(r"\$\{(\w+):regex\}", value, query)
    query = query.replace("$timeFilter", f"time >= {from_ms}ms and time <= {to_ms}ms")
    return query.replace("$__interval", f"{step_s}s")
