"""The board "Network overview": which links keep their objectives, where they do not, and who measures.

Everything about links obeys the variables network, tier, src_site, dst_site and link. Verdicts are numbers
in the store (`linkgauge.model.Verdict`) and coloured words here. A step of a graph shows its worst window
(delay) or the mean of its windows (loss: every window sends the same number of packets).
"""

from __future__ import annotations

from dashboards.health import agents, collector
from dashboards.panel import (
    BITS,
    BLUE,
    COUNT,
    GREY,
    MICROSECONDS,
    ORANGE,
    RATIO,
    STEP,
    VERMILLION,
    Json,
    board,
    data_source_variable,
    override,
    panel,
    placed,
    row,
    series,
    stat,
    target,
    thresholds,
    timeline,
    variable,
    where,
    words,
)

UID = "linkgauge-overview"
DATA_SOURCE_UID = "linkgauge-influx"
TAGS = ("network", "tier", "src_site", "dst_site", "link")
LINKS = where(*TAGS)
STAMP = f"{LINKS} AND \"probe\" = 'stamp'"
VERDICTS = words({1: ("met", BLUE), 2: ("missed", VERMILLION), 0: ("unknown", GREY)}, "no data")
PROBES = ((1, "stamp"), (2, "icmp"), (4, "tcp"))
"""The bits of the field `divergent`."""
DIVERGENCE = words(
    {
        bits: (" ".join(name for bit, name in PROBES if bits & bit) or "none", ORANGE if bits else BLUE)
        for bits in range(8)
    },
    "no data",
)
LOSS_STEPS = thresholds((0, BLUE), (0.001, ORANGE), (0.01, VERMILLION))


def overview() -> Json:
    """The board as Grafana's JSON model."""
    panels = [*_verdicts(), *_matrices(), *_series(), *_trouble(50), *agents(59), *collector(87)]
    return board(UID, "Network overview", _variables(), panels)


def _variables() -> list[Json]:
    labels = ("Network", "Tier", "From site", "To site", "Link")
    chained = [
        variable(name, label, "link_state", TAGS[:at])
        for at, (name, label) in enumerate(zip(TAGS, labels, strict=True))
    ]
    return [data_source_variable(DATA_SOURCE_UID), *chained]


def _counted(name: str, indicator: str) -> str:
    """How many links have their last verdict v with indicator(v) = 1.

    Counted by arithmetic because `WHERE v = 2` gives nothing, and not 0, when no link has missed.
    """
    last = f'SELECT last("verdict") AS "v" FROM "link_state" {LINKS} GROUP BY "link"'
    return (
        f'SELECT sum("is") AS "{name}" FROM (SELECT {indicator} AS "is" FROM ({last}) '
        'WHERE $timeFilter GROUP BY "link") WHERE $timeFilter'
    )


def _verdicts() -> list[Json]:
    met = stat(
        "Links met",
        "Links whose last verdict is met: delay and loss over the period keep to the tier, "
        "with enough packets to say so.",
        _counted("met", '"v" * (2 - "v")'),
        thresholds((0, GREY), (1, BLUE)),
    )
    missed = stat(
        "Links missed",
        "Links whose last verdict is missed: delay, loss or throughput does not keep to its objective.",
        _counted("missed", '"v" * ("v" - 1) / 2'),
        thresholds((0, BLUE), (1, VERMILLION)),
    )
    unknown = stat(
        "Links unknown",
        "Links of which nothing can be said: not measured, an unfit agent, or too few packets yet. "
        "This is neither good nor bad.",
        _counted("unknown", '("v" - 1) * ("v" - 2) / 2'),
        thresholds((0, BLUE), (1, ORANGE)),
    )
    state = timeline(
        "Verdicts",
        "The worst verdict of each link in each step. A gap means that the collector wrote nothing.",
        target("A", f'SELECT max("verdict") AS "verdict" FROM "link_state" {LINKS} {STEP},"link" fill(null)',
               "$tag_link"),
        VERDICTS,
    )  # fmt: skip
    return [
        placed(met, 0, 0, 8, 4),
        placed(missed, 8, 0, 8, 4),
        placed(unknown, 16, 0, 8, 4),
        placed(_links(), 0, 4, 24, 10),
        placed(state, 0, 14, 24, 9),
    ]


_COLUMNS = (
    ("verdict", 'last("verdict")', "link_state", COUNT),
    ("delay", 'last("delay_us")', "link_state", MICROSECONDS),
    ("objective", 'last("delay_objective_us")', "link_state", MICROSECONDS),
    ("loss forward", 'last("loss_forward_ratio")', "link_state", RATIO),
    ("loss backward", 'last("loss_backward_ratio")', "link_state", RATIO),
    ("throughput", 'last("received_bps")', "link_throughput", BITS),
    ("bad flows", 'last("flows_bad")', "link_state", COUNT),
    ("divergent", 'last("divergent")', "link_state", COUNT),
    # 2 missed, 1 unknown, 0 met: the order of the rows; not shown
    ("rank", '1.5 * last("verdict") * last("verdict") - 2.5 * last("verdict") + 1', "link_state", COUNT),
)


def _links() -> Json:
    """One row for each link: a target for each column, merged by the tags that all of them have."""
    targets = [
        target(chr(ord("A") + at), f'SELECT {value} AS "{name}" FROM "{measurement}" {LINKS} '
               'GROUP BY "link","tier","network"', table=True)
        for at, (name, value, measurement, _) in enumerate(_COLUMNS)
    ]  # fmt: skip
    order = ["verdict", "link", "network", "tier", *(name for name, *_ in _COLUMNS[1:-1])]
    colored = {"custom_cellOptions": {"type": "color-text"}, "thresholds": LOSS_STEPS}
    units = [override(name, unit=unit) for name, _, _, unit in _COLUMNS[1:-1]]
    return panel(
        "table",
        "Links, worst first",
        "The last verdict and figures of every link. Delay is one way where both clocks allow it, else half "
        "the round trip, at the tier's quantile; loss is that of the last window; throughput is that of the "
        "last test. Bad flows lose more than the link's others; divergent are probes that see trouble where "
        "another sees none. Empty: not known.",
        targets,
        COUNT,
        defaults={
            "custom": {"align": "auto", "filterable": True},
            "mappings": words({}, "-")[1:],
            "noValue": "-",
        },
        overrides=[
            override("verdict", mappings=VERDICTS, custom_cellOptions={"type": "color-background"}),
            *units,
            *(override(name, **colored) for name in ("loss forward", "loss backward")),
            override("divergent", mappings=DIVERGENCE),
        ],
        options={"showHeader": True, "cellHeight": "sm", "footer": {"show": False}},
        transformations=[
            {"id": "filterFieldsByName", "options": {"exclude": {"names": ["Time", "time"]}}},
            {"id": "merge", "options": {}},
            {"id": "sortBy", "options": {"fields": {}, "sort": [{"field": "rank", "desc": True}]}},
            {
                "id": "organize",
                "options": {
                    "excludeByName": {"rank": True, "Time": True, "time": True},
                    "indexByName": {name: at for at, name in enumerate(order)},
                    "renameByName": {},
                },
            },
        ],
    )


def _matrices() -> list[Json]:
    loss = _matrix(
        "Loss forward, site to site",
        "Rows send to columns: of the links between two sites the worst, each the mean of its windows.",
        "loss_forward_ratio",
        RATIO,
        LOSS_STEPS,
    )
    delay = _matrix(
        "Delay over objective, site to site",
        "Rows send to columns: of the links between two sites the worst, each the mean of its windows; "
        "above zero the tier's objective is exceeded.",
        "delay_excess_us",
        MICROSECONDS,
        thresholds((-1e9, BLUE), (0, VERMILLION)),
    )
    return [placed(loss, 0, 23, 12, 8), placed(delay, 12, 23, 12, 8)]


def _matrix(title: str, description: str, field: str, unit: str, color: Json) -> Json:
    each = f'SELECT mean("{field}") AS "each" FROM "link_state" {LINKS} GROUP BY "link","src_site","dst_site"'
    query = f'SELECT max("each") AS "worst" FROM ({each}) WHERE $timeFilter GROUP BY "src_site","dst_site"'
    options = {"columnField": "dst_site", "rowField": "src_site", "valueField": "worst", "emptyValue": "null"}
    return panel(
        "table",
        title,
        description,
        [target("A", query, table=True)],
        unit,
        defaults={
            "custom": {"align": "center", "cellOptions": {"type": "color-background"}},
            "mappings": words({}, "-")[1:],
            "noValue": "-",
            "thresholds": color,
        },
        overrides=[override("src_site\\dst_site", custom_cellOptions={"type": "auto"}, unit="string")],
        options={"showHeader": True, "cellHeight": "sm", "footer": {"show": False}},
        transformations=[{"id": "groupingToMatrix", "options": options}],
    )


def _by_link(ref_id: str, value: str, name: str, measurement: str) -> Json:
    query = f'SELECT {value} AS "{name}" FROM "{measurement}" {LINKS} {STEP},"link" fill(null)'
    return target(ref_id, query, "$tag_link")


def _by_class(ref_id: str, value: str, name: str, measurement: str, what: str) -> Json:
    """A line for each class of STAMP of each link."""
    query = f'SELECT {value} AS "{name}" FROM "{measurement}" {STAMP} {STEP},"link","class" fill(null)'
    return target(ref_id, query, f"$tag_link class $tag_class {what}".strip())


def _series() -> list[Json]:
    delay = series(
        "Round trip",
        "Round trip less the reflector's own time, by class (DSCP). p50: the worst window's median in each "
        "step; max: the slowest packet.",
        [
            _by_class("A", 'max("rtt_p50_us")', "p50", "link_delay", "p50"),
            _by_class("B", 'max("rtt_max_us")', "max", "link_delay", "max"),
        ],
        MICROSECONDS,
    )
    forward, backward = (
        series(
            f"Loss {way}",
            f"Share of packets lost on the way {there}, mean of the windows of each step. The dashed line is "
            "the default tiers' objective. No line: the direction is not known.",
            [_by_class("A", f'mean("loss_{way}_ratio")', way, "link_loss", "")],
            RATIO,
            custom={"thresholdsStyle": {"mode": "dashed"}},
            defaults={"thresholds": thresholds((0, BLUE), (0.001, ORANGE))},
        )
        for way, there in (("forward", "out"), ("backward", "back"))
    )
    rate = series(
        "Throughput received",
        "Goodput at the receiver of each iperf3 test; points are tests, lines only join them.",
        [_by_link("A", 'last("received_bps")', "received", "link_throughput")],
        BITS,
        custom={"showPoints": "always", "pointSize": 6, "spanNulls": True},
    )
    return [
        placed(row("Delay, loss, throughput"), 0, 31, 24, 1),
        placed(delay, 0, 32, 12, 9),
        placed(rate, 12, 32, 12, 9),
        placed(forward, 0, 41, 12, 9),
        placed(backward, 12, 41, 12, 9),
    ]


def _trouble(y: int) -> list[Json]:
    """What an average hides; 9 rows high."""
    flows = series(
        "Bad flows",
        "Flows (source ports) of a link that lose significantly more than its others over the period: one of "
        "several equal paths is ill.",
        [_by_link("A", 'max("flows_bad")', "bad", "link_state")],
        COUNT,
        defaults={"thresholds": thresholds((0, BLUE), (1, ORANGE))},
    )
    apart = timeline(
        "Probes that disagree",
        "Probes that see loss or delay on a link where another probe to the same address sees none: a "
        "filter, a rate limit or an ill reflector rather than the network.",
        _by_link("A", 'max("divergent")', "divergent", "link_state"),
        DIVERGENCE,
    )
    return [
        placed(row("What averages hide"), 0, y, 24, 1),
        placed(flows, 0, y + 1, 12, 8),
        placed(apart, 12, y + 1, 12, 8),
    ]
