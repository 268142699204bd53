"""What a board asks its data sources, and the words that Grafana sends: for tests and measurements. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from dashboards.words import Json

ALL = ".*"


@dataclass(frozen=True, slots=True)
class Asked:
    """One query. source: the variable of its data source, "ds", "resolution" or "hours".

    last: the span before now that its panel shows, whatever the board's range is; empty: the board's range.
    opened: whether it is asked when the board is opened; else when somebody opens its section.
    """

    name: str
    query: str
    source: str
    last: str = ""
    opened: bool = True


def panels(board: Json) -> list[Json]:
    """The panels that show data, those in collapsed sections too: all but the headings."""
    flat = [inner for panel in board["panels"] for inner in (panel, *panel.get("panels", ()))]
    return [panel for panel in flat if panel["type"] != "row"]


def asked(board: Json) -> Iterator[Asked]:
    """Every target, query variable and annotation of the board."""
    hidden = {inner["id"] for panel in board["panels"] for inner in panel.get("panels", ())}
    for panel in panels(board):
        for target in panel["targets"]:
            name = f"{panel['title']} {target['refId']}"
            opened = panel["id"] not in hidden
            yield Asked(name, target["query"], _source(target), panel.get("timeFrom", ""), opened)
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            yield Asked(f"variable {variable['name']}", variable["query"], _source(variable))
    for annotation in board["annotations"]["list"]:
        yield Asked(f"annotation {annotation['name']}", annotation["query"], _source(annotation))


def _source(asks: Json) -> str:
    return str(asks["datasource"]["uid"]).strip("${}")


def regex_value(chosen: Sequence[str]) -> str:
    """`${name:regex}`: the chosen values escaped, several of them in (a|b); none of them is `()`."""
    escaped = [re.sub(r"([\\^$*+?.()|\[\]{}/])", r"\\\1", value) for value in chosen]
    return escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})"


def valued(query: str, chosen: Mapping[str, Sequence[str]]) -> str:
    """The query with its variables replaced, as Grafana's pages do it; what is not in `chosen` is at All."""

    def value(match: re.Match[str]) -> str:
        return regex_value(chosen[match[1]]) if match[1] in chosen else ALL

    return re.sub(r"\$\{(\w+):regex\}", value, query)


def sent(query: str, chosen: Mapping[str, Sequence[str]], from_ms: int, to_ms: int, step_s: int = 10) -> str:
    """The query as it reaches InfluxDB: macros replaced as well, as Grafana's server does it."""
    text = valued(query, chosen).replace("$timeFilter", f"time >= {from_ms}ms and time <= {to_ms}ms")
    return text.replace("$__interval", f"{step_s}s")
