"""How many things stand so now: a number of what each node told last, added up."""

from __future__ import annotations

from dashboards.panel import COUNT, stat
from dashboards.query import LATELY, by, range_and, target
from dashboards.words import Json, Text


def counted(
    title: Text,
    description: Text,
    color: Json,
    each: str,
    measurement: str,
    *conditions: str,
    total: str = "sum",
) -> Json:
    """A panel. each: an expression over a node's rows; of the nodes it is added up, or in total "count".

    Indicators are added up, because a count of nothing would be no row instead of 0.
    """
    of_nodes = f'SELECT {each} AS "each" FROM "{measurement}" {range_and(*conditions)} {by("node")}'
    query = f'SELECT {total}("each") AS "total" FROM ({of_nodes}) WHERE $timeFilter'
    return stat(title, description, [target(query)], COUNT, color, last=LATELY)
