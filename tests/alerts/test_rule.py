"""Rule files: those that come with the program, and every way to get one wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from alerts.quantity import quantity, told
from alerts.rule import RULES, TABLES, WORDS, Rule, load_rules, watches
from linkgauge.errors import ConfigError
from tests.alerts.world import NAN

DESIGN = """
link-unreachable state.unanswered_s >1 1/4 page holds
link-loss state.loss_{direction}_spread_ratio >0 2/6 page holds link-unreachable
loss-bursts state.loss_{direction}_excess_ratio >0 3/6 page holds link-unreachable link-loss
flow-loss state.flows_bad >0 3/6 ticket holds link-loss loss-bursts link-unreachable
link-delay state.delay_excess_us >0 3/6 ticket holds
delay-step state.delay_step_us >0 1/4 ticket clears link-delay
delay-variation state.pdv_excess_us >0 6/6 ticket holds link-delay
delay-asymmetry state.asymmetry_excess_us >0 3/6 ticket holds delay-step
congestion-marks state.ce_{direction}_excess_ratio >0 3/6 ticket clears link-loss loss-bursts
dscp-remarked state.remarked_{direction}_ratio >0.05 3/6 ticket clears
path-changed state.path_changes >0 1/4 ticket clears delay-step path-flapping
path-flapping state.path_changes >3 1/4 ticket clears
mtu-shrunk state.mtu_shrunk_bytes >0 10/4 ticket clears
throughput-low state.throughput_low_ratio >0 1/4 ticket holds link-unreachable link-loss loss-bursts
certificate-expiring node.certificate_left_s <1209600 1/4 ticket holds
burn-fast state.burn_fast_ratio >14.4 2/5 page holds link-unreachable link-loss loss-bursts
burn-slow state.burn_slow_ratio >6 2/5 ticket holds burn-fast link-unreachable link-loss loss-bursts \
link-delay
node-down node.down_ratio >0.5 1/4 page holds
agent-silent node.silent_s >60 1/4 ticket holds node-down
agent-unfit node.unfit_ratio >0.5 6/6 ticket holds agent-silent
clock-unsynchronised node.clock_unsynchronised_ratio >0.5 6/6 ticket holds
plan-stale node.plan_age_s >600 1/4 ticket holds agent-silent
agent-backlog node.outbox_oldest_s >120 3/6 ticket holds agent-silent
collector-backlog sink.behind_s >300 3/6 ticket holds sink-held
sink-held sink.stuck_ratio >0.5 6/6 ticket holds
dead-letters collector.dead_letters >0 1/4 ticket holds
common-cause place.links_bad >1 1/4 page clears node-down
common-mtu place.links_small >1 2/4 ticket clears node-down common-cause
common-remark place.links_remarked >1 1/4 ticket clears node-down
"""
"""Every rule in a line: what it looks at, its bound, hold and clear, severity, unknown, explained by."""


def _line(rule: Rule) -> str:
    bound = f">{rule.above:.10g}" if rule.above is not None else f"<{rule.below:.10g}"
    windows = f"{rule.hold_windows}/{rule.clear_windows}"
    return " ".join(
        (
            rule.name,
            f"{rule.table}.{rule.field}",
            bound,
            windows,
            rule.severity,
            rule.unknown,
            *rule.explained_by,
        )
    )


def test_the_programs_own_rules() -> None:
    assert sorted(_line(rule) for rule in load_rules()) == sorted(DESIGN.strip().splitlines())


def test_a_rule_with_directions_is_watched_in_each() -> None:
    both = {watch.rule.name: watch.direction for watch in watches(load_rules()) if watch.direction}
    assert sorted(both) == ["congestion-marks", "dscp-remarked", "link-loss", "loss-bursts"]
    assert len(watches(load_rules())) == 33


def test_every_field_of_every_rule_lands_in_the_measurement_of_its_table() -> None:
    measurements = {
        "state": "link_state", "node": "node_state", "sink": "sink_state", "collector": "collector_health",
        "place": "place_state",
    }  # fmt: skip
    for watch in watches(load_rules()):
        assert watch.measurement == measurements[watch.table]
        for field in watch.numbers.values():
            assert TABLES[watch.table].field(field).measurement == measurements[watch.table]


def test_rules_that_explain_are_there_and_go_in_no_circle() -> None:
    explained_by = {rule.name: rule.explained_by for rule in load_rules()}
    for name in explained_by:
        seen, open_ = set[str](), [name]
        while open_:
            for other in explained_by[open_.pop()]:
                assert other != name
                open_ += [] if other in seen else [other]
                seen.add(other)


@pytest.mark.parametrize("rule", load_rules(), ids=lambda rule: rule.name)
def test_what_a_rule_says_is_one_sentence_with_its_numbers_and_three_steps(rule: Rule) -> None:
    words = dict.fromkeys(WORDS[rule.table], "x")
    for template in (rule.summary, rule.resolved):
        said = told(template, dict.fromkeys(rule.numbers, 2.0), words)
        assert ". " not in said
        assert not said.endswith(".")
        assert "{" not in said
    assert "{since}" in rule.summary
    assert any(f"{{{name}}}" in rule.summary for name in rule.numbers)
    assert len(rule.first_steps) == 3
    assert all(step.endswith(".") for step in rule.first_steps)


def _written(folder: Path, changes: dict[str, Any], file: str = "link-loss") -> Path:
    data = yaml.safe_load((RULES / "link-loss.yaml").read_text(encoding="utf-8"))
    data |= changes
    (folder / f"{file}.yaml").write_text(yaml.safe_dump(data), encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"holds": 3}, "holds: there is no such key; remove it or correct its name"),
        ({"hold_windows": 0}, "hold_windows: input should be greater than or equal to 1, got 0"),
        ({"unknown_windows": 1}, "unknown_windows: input should be greater than or equal to 2, got 1"),
        ({"severity": "loud"}, "severity: input should be 'page' or 'ticket', got 'loud'"),
        ({"below": 1}, "a rule has either above or below; name one of them"),
        ({"above": None}, "a rule has either above or below; name one of them"),
        ({"clear_windows": 64}, "hold_windows and clear_windows together may be 65 at most"),
        ({"table": "node", "field": "silent_{direction}_s"}, "directions are of links"),
        ({"table": "links"}, "table: input should be 'state', 'node', 'sink', 'collector' or 'place'"),
        ({"numbers": {"tier": "loss_objective_ratio"}}, "numbers: tier is a word of every template"),
        ({"explained_by": ["No Rule"]}, "explained_by[0]"),
        ({"field": "loss_{direction}_excess"}, "there is no number loss_forward_excess in the table state"),
        ({"field": "delay_excess_us"}, "directions must be named exactly when field has {direction} in it"),
        ({"directions": []}, "directions must be named exactly when field has {direction} in it"),
        ({"numbers": {"loss_ratio": "loss"}}, "there is no number loss in the table state"),
        ({"summary": "{lost}"}, "a template has {lost}, it may use"),
        ({"summary": "{loss_ratio:.2f}"}, "a template has more than loss_ratio in its braces"),
        ({"summary": "{loss_ratio:>5000000}"}, "a template has more than loss_ratio in its braces"),
        ({"summary": "{src:{bogus}}"}, "a template has more than src in its braces"),
        ({"summary": "{src!r}"}, "a template has more than src in its braces"),
        ({"resolved": "{src"}, "a template cannot be filled in"),
        ({"resolved": "{}"}, "a template has {}, it may use"),
        ({"explained_by": ["no-such-rule"]}, "explained_by: no-such-rule is no rule of this folder"),
        ({"explained_by": ["link-loss"]}, "explained_by: link-loss is the rule itself"),
        ({"aftermath_s": "windows"}, "aftermath_s"),
        ({"aftermath_s": -1}, "aftermath_s"),
        ({"resolved": "{link.__class__}"}, "a template has {link.__class__}, it may use"),
        ({"name": "other"}, "name: is other, but must be that of the file, link-loss"),
    ],
)
def test_a_wrong_rule_is_refused_in_one_sentence(
    tmp_path: Path, changes: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load_rules(_written(tmp_path, changes))
    assert str(caught.value).startswith(f"{tmp_path / 'link-loss.yaml'}: ")
    assert sentence in str(caught.value)


def test_faults_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    _written(tmp_path, {"holds": 3})
    _written(tmp_path, {"name": "second", "severity": "loud"}, "second")
    with pytest.raises(ConfigError) as caught:
        load_rules(tmp_path)
    assert len(caught.value.faults) == 2


def test_a_folder_without_rules_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has no rule files; put"):
        load_rules(tmp_path)


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("loss_ratio", 0.204, "20.4 %"),
        ("loss_ratio", 0.00001, "0.001 %"),
        ("burn_fast_ratio", 14.4, "14.4 times"),
        ("loss_ratio", NAN, "an unknown share"),
        ("delay_us", 830.4, "830 us"),
        ("delay_us", 15_230.0, "15.2 ms"),
        ("error_us", 16_000_000.0, "16 s"),
        ("delay_us", NAN, "unknown"),
        ("tries", 3.0, "3"),
        ("pace", 20.345, "20.3"),
        ("pace", float("inf"), "inf"),
        ("silent_s", 90.0, "90 s"),
        ("silent_s", 600.0, "10 min"),
        ("left_s", 1_209_600.0, "14 days"),
        ("left_s", -7_200.0, "-2 h"),
        ("received_bps", 9.41e9, "9.41 Gbit/s"),
        ("received_bps", 94.1e6, "94.1 Mbit/s"),
        ("rows", 1_234_567.0, "1234567"),
    ],
)
def test_numbers_as_a_person_reads_them(name: str, value: float, text: str) -> None:
    assert quantity(name, value) == text
