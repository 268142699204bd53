"""The rendered rules: their form, their queries on a real InfluxDB, and that both engines mean the same."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Sequence
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from alerts.evaluate import Evaluator
from alerts.event import Fired
from alerts.grafana import RENDERED, render, rule_file
from alerts.rule import load_rules
from collector.sinks.influx import InfluxSink
from collector.sinks.influx_address import InfluxAddress
from collector.sinks.influx_transport import connect
from collector.sinks.line_protocol import LineMaker
from collector.sinks.link_tags import link_tags
from collector.sinks.sink import Delivery
from linkgauge.clock import NS_PER_S
from linkgauge.frame import concat
from linkgauge.model import DelayBasis
from linkgauge.schema import LINK_TAGS, STATE
from tests.alerts.world import FIRST_NS, NAN, WINDOW_NS, lossy, rule, series, slow, spec, state
from tests.dashboards.world import inventory
from tests.influxd import Influxd

DATABASE = "linkgauge"
WINDOW_S = WINDOW_NS // NS_PER_S


def rendered(window_s: int = 10) -> list[dict[str, Any]]:
    (group,) = yaml.safe_load(rule_file(load_rules(), window_s))["groups"]
    rules: list[dict[str, Any]] = group["rules"]
    return rules


def models(made: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {data["refId"]: data["model"] for data in made["data"]}


def test_the_committed_file_is_fresh() -> None:
    assert RENDERED.read_text(encoding="utf-8") == rule_file(load_rules()), "run python -m alerts.grafana"


def test_render_writes_where_it_is_told(tmp_path: Any) -> None:
    path = render(tmp_path / "made" / "rules.yaml", window_s=5)
    assert "GROUP BY time(5s)" in path.read_text(encoding="utf-8")


def test_one_rule_for_each_direction() -> None:
    assert [made["uid"] for made in rendered()] == [
        "linkgauge-link-delay-forward",
        "linkgauge-link-delay-round-trip",
        "linkgauge-link-loss-forward",
        "linkgauge-link-loss-backward",
    ]
    assert len({made["title"] for made in rendered()}) == 4


@pytest.mark.parametrize(("window_s", "every"), [(5, "10s"), (10, "10s"), (15, "20s"), (60, "60s")])
def test_groups_are_evaluated_at_multiples_of_ten_seconds(window_s: int, every: str) -> None:
    (group,) = yaml.safe_load(rule_file(load_rules(), window_s))["groups"]
    assert group["interval"] == every


@pytest.mark.parametrize("made", rendered(), ids=lambda made: made["uid"])
def test_what_grafana_needs_of_a_rule(made: dict[str, Any]) -> None:
    assert len(made["uid"]) <= 40
    assert made["for"] == "0s"
    always_known = made["uid"] == "linkgauge-link-loss-forward"
    assert made["noDataState"] == ("NoData" if always_known else "OK")
    assert made["execErrState"] == "Error"
    assert made["condition"] == "E"
    assert set(made["labels"]) == {"severity", "rule", "direction"}
    assert "{{ $labels.src }}" in made["annotations"]["summary"]
    assert "$" not in "".join([made["title"], *made["labels"].values()]).replace("$$", "")
    query = models(made)["A"]["query"]
    assert re.fullmatch(
        r'SELECT last\("(\w+)"\) AS "excess" FROM "link_state" WHERE \$timeFilter( AND "delay_basis" = [12])?'
        r" GROUP BY time\(10s\),(.+) fill\(none\)",
        query,
    )
    assert all(f'"{tag}"' in query.partition("GROUP BY")[2] for tag in LINK_TAGS)
    assert "&id" not in rule_file(load_rules()), "aliases are hard to read in a file that people edit"


def test_a_dollar_in_a_title_is_no_variable() -> None:
    (group,) = yaml.safe_load(rule_file([rule("link-delay", title="Costs $5")]))["groups"]
    assert group["rules"][0]["title"] == "Costs $$5 (forward)"


def _fires(made: dict[str, Any], values: Sequence[float]) -> bool:
    """What Grafana makes of the values of one series: reduce, math, threshold."""
    known = [value for value in values if not math.isnan(value)]
    if not known:
        return False
    expressions = models(made)
    reduced = {"min": min(known), "count": float(len(known))}
    least, count = (reduced[expressions[ref]["reducer"]] for ref in ("B", "C"))
    found = re.fullmatch(r"\$B \* \(\$C >= (\d+)\)", expressions["D"]["expression"])
    assert found is not None
    assert expressions["E"]["expression"] == "D"
    (bound,) = expressions["E"]["conditions"][0]["evaluator"]["params"]
    return bool(least * (count >= int(found[1])) > bound)


def _grafana(excesses: Sequence[float], phase_s: int, lag_s: int) -> list[tuple[str, int]]:
    """Changes of one alert, evaluated every 10 s: (status, time in s from the first window)."""
    (made,) = [made for made in rendered() if made["uid"] == "linkgauge-link-loss-forward"]
    back_s = made["data"][0]["relativeTimeRange"]["from"]
    changes: list[tuple[str, int]] = []
    for now_s in range(phase_s, (len(excesses) + 4) * WINDOW_S, 10):
        seen = [
            value
            for at, value in enumerate(excesses)
            if at * WINDOW_S >= now_s - back_s and (at + 1) * WINDOW_S + lag_s <= now_s
        ]
        status = "firing" if _fires(made, seen) else "resolved"
        if status != (changes[-1][0] if changes else "resolved"):
            changes.append((status, now_s))
    return changes


def _in_process(excesses: Sequence[float], lag_s: int) -> list[tuple[str, int]]:
    evaluator = Evaluator([rule("link-loss")], [spec()])
    events = [event for frame in series(excesses) for event in evaluator.step(frame)]
    return [
        ("firing" if isinstance(event, Fired) else "resolved", (event.at_ns - FIRST_NS) // NS_PER_S + lag_s)
        for event in events
    ]


BREACHED, CLEAR = st.sampled_from([1, 3, 4, 7]), st.integers(3, 7)


@given(st.lists(st.tuples(CLEAR, BREACHED), min_size=1, max_size=5), st.integers(0, 9), st.integers(1, 5))
def test_both_engines_fire_and_resolve_within_an_evaluation_and_a_window(
    runs: list[tuple[int, int]], phase_s: int, lag_s: int
) -> None:
    excesses = [
        value for clear, breached in runs for value in [-0.001] * clear + [0.13] * breached
    ] + [-0.001] * 4  # fmt: skip
    here, there = _in_process(excesses, lag_s), _grafana(excesses, phase_s, lag_s)
    assert [status for status, _ in here] == [status for status, _ in there]
    for (_, here_s), (_, there_s) in zip(here, there, strict=True):
        assert abs(here_s - there_s) <= 10 + WINDOW_S
    assert len(here) == 2 * sum(breached > 1 for _, breached in runs)


@pytest.mark.parametrize("phase_s", range(10))
def test_a_single_breach_in_silence_fires_in_neither(phase_s: int) -> None:
    excesses = [NAN, 0.13, NAN, NAN, NAN, NAN, -0.001, 0.13, NAN, NAN, NAN]
    assert _in_process(excesses, 3) == _grafana(excesses, phase_s, 3) == []


@pytest.mark.parametrize("phase_s", range(10))
def test_an_alert_that_is_unknown_for_good_ends_in_both(phase_s: int) -> None:
    """Soon there, where a series that is silent is forgotten; after `unknown_windows` here."""
    unknown = rule("link-loss").unknown_windows
    excesses = [-0.001, 0.13, 0.13, 0.13, *[NAN] * (unknown + 2)]
    here, there = _in_process(excesses, 3), _grafana(excesses, phase_s, 3)
    assert [status for status, _ in here] == [status for status, _ in there] == ["firing", "resolved"]
    assert here[1][1] == (4 + unknown) * WINDOW_S + 3
    assert 4 * WINDOW_S <= there[1][1] <= 7 * WINDOW_S


@pytest.mark.influx
def test_queries_on_a_real_influxdb(influxd: Influxd) -> None:
    """One value column, a series for each known link with all its tags, and the values as written."""
    world = inventory()
    links = list(world.links.values())
    now_ns = time.time_ns()
    first_ns = now_ns - now_ns % WINDOW_NS - 3 * WINDOW_NS
    windows = []
    for at in range(3):
        rows = [
            {**lossy(0.1 + at if row % 2 else NAN), **slow(1_000 + at, DelayBasis(row % 2 + 1))}
            for row in range(len(links))
        ]
        frame = state(rows, at, links)
        starts = frame.count("start_ns") - FIRST_NS + first_ns
        windows.append(type(frame)(STATE, {**frame.columns, "start_ns": starts}, frame.rows))
    sink = InfluxSink(
        lambda: connect(InfluxAddress(influxd.url, DATABASE)),
        LineMaker(link_tags(lambda: world), lambda: world),
    )
    sink.write([Delivery(1, "@collector", "boot", 1, {"state": concat(STATE, windows)})])
    sink.close()
    odd = {str(link.link) for link in links[1::2]}
    even = {str(link.link) for link in links[::2]}
    expected = {"forward": odd, "round-trip": odd, "loss-backward": set()}
    for made in rendered():
        text = models(made)["A"]["query"].replace("$timeFilter", f"time >= {first_ns} and time <= {now_ns}")
        found = influxd.query(text, DATABASE).get("series", [])
        names = {series_["tags"]["link"] for series_ in found}
        wanted = {"linkgauge-link-delay-forward": even}.get(made["uid"])
        if wanted is None:
            wanted = next(links_ for end, links_ in expected.items() if made["uid"].endswith(end))
        assert names == wanted, made["uid"]
        for series_ in found:
            assert series_["columns"] == ["time", "excess"]
            assert set(series_["tags"]) == set(LINK_TAGS)
            base = 1_000 if "delay" in made["uid"] else 0.1
            assert [value for _, value in series_["values"]] == pytest.approx([base, base + 1, base + 2])
