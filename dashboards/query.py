"""InfluxQL as the boards write it: kept to what InfluxDB 1.6 to 3 and Grafana 9.4 to 13 read alike.

Raw statements, one for each target; variables always as `=~ /^${name:regex}$/`; `$timeFilter` is the range of
the board or of the panel. A target may have several value columns: in a table they are columns, in a graph
each is a line that goes by its column's name.
"""

from __future__ import annotations

from dashboards.words import Json

RAW: Json = {"type": "influxdb", "uid": "${ds}"}
"""The data source of the raw database."""
CHOSEN: Json = {"type": "influxdb", "uid": "${resolution}"}
"""Raw, or a roll-up, as the variable `resolution` says: only `link_delay` and `link_loss`."""
HOURS: Json = {"type": "influxdb", "uid": "${hours}"}
"""The database of hours, which is kept for years; `link_score` is only there."""
LATELY = "2m"
"""The span in which what stands now is looked for, whatever range the board has."""
STEP = "GROUP BY time($__interval)"


def where(*filters: str) -> str:
    """The WHERE clause of a panel: the range of time, then every tag as its variable says."""
    return range_and(*(matches(name) for name in filters))


def range_and(*conditions: str) -> str:
    """The WHERE clause of a panel: the range of time, then these conditions."""
    return " AND ".join(["WHERE $timeFilter", *conditions])


def matches(tag: str, variable: str = "") -> str:
    """The condition that a tag is one of those chosen in `variable`, by default that of the tag's name."""
    return f'"{tag}" =~ /^${{{variable or tag}:regex}}$/'


def columns(**values: str) -> str:
    """The list of a SELECT: `columns(p50='max("rtt_p50_us")')`."""
    return ", ".join(f'{value} AS "{name}"' for name, value in values.items())


def by(*tags: str) -> str:
    """GROUP BY these tags; nothing when there are none."""
    return "GROUP BY " + ",".join(f'"{tag}"' for tag in tags) if tags else ""


def split(measurement: str, rest: str, **values: str) -> list[Json]:
    """The statements of a table over many links, one for each column: InfluxDB reads each column of each
    series by itself, and answers several statements side by side."""
    return [
        target(f'SELECT {columns(**{name: value})} FROM "{measurement}" {rest}', table=True)
        for name, value in values.items()
    ]


def target(query: str, alias: str = "$col", table: bool = False, source: Json = RAW) -> Json:
    """One statement. alias: what a line is called (`$col`, `$tag_link`); of no meaning in a table."""
    return {
        "datasource": source,
        "rawQuery": True,
        "query": query,
        "alias": "" if table else alias,
        "resultFormat": "table" if table else "time_series",
        "policy": "default",
        "measurement": "",
        "tags": [],
        "select": [],
        "groupBy": [],
        "orderByTime": "ASC",
        "hide": False,
    }
