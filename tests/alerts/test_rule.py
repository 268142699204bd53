"""Rule files: those that come with the program, and every way to get one wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from alerts.rule import RULES, load_rules, quantity, watches
from linkgauge.errors import ConfigError
from linkgauge.schema import STATE
from tests.alerts.world import NAN


def test_the_programs_own_rules() -> None:
    assert [rule.name for rule in load_rules()] == ["link-delay", "link-loss"]
    told = {(watch.rule.name, watch.direction, watch.field) for watch in watches(load_rules())}
    assert told == {
        ("link-loss", "forward", "loss_forward_excess_ratio"),
        ("link-loss", "backward", "loss_backward_excess_ratio"),
        ("link-delay", "", "delay_excess_us"),
    }


def test_every_field_of_every_rule_is_in_the_schema() -> None:
    for watch in watches(load_rules()):
        for field in (watch.field, *watch.numbers.values()):
            assert STATE.field(field).measurement == "link_state"


def test_every_runbook_is_there() -> None:
    for rule in load_rules():
        assert (RULES.parent.parent / rule.runbook).is_file()


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
        ({"above": -1}, "above: input should be greater than or equal to 0, got -1"),
        ({"field": "loss_{direction}_excess"}, "there is no field loss_forward_excess in link_state"),
        ({"field": "delay_excess_us"}, "directions must be named exactly when field has {direction} in it"),
        ({"directions": []}, "directions must be named exactly when field has {direction} in it"),
        ({"numbers": {"loss_ratio": "loss"}}, "there is no field loss in link_state"),
        ({"summary": "{lost}"}, "a template has {lost}, it may use"),
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
        ("loss_ratio", NAN, "an unknown share"),
        ("delay_us", 830.4, "830 us"),
        ("delay_us", 15_230.0, "15.2 ms"),
        ("delay_us", NAN, "unknown"),
        ("tries", 3.0, "3"),
    ],
)
def test_numbers_as_a_person_reads_them(name: str, value: float, text: str) -> None:
    assert quantity(name, value) == text
