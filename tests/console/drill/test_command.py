"""`linkgauge drill list`, and what `drill run` refuses before it builds anything."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from console.drill.command import app
from console.drill.setting import lab_fault, lab_setting
from lab.faults.fault import KINDS
from linkgauge.errors import LinkgaugeError


def test_every_fault_is_listed() -> None:
    told = json.loads(CliRunner().invoke(app, ["list", "--json"]).stdout)
    assert [each["fault"] for each in told] == list(KINDS)
    assert all(each["must"] or each["seen_in"] for each in told)


def test_the_list_is_read_on_a_narrow_terminal() -> None:
    told = CliRunner().invoke(app, ["list"]).stdout
    assert len(told.splitlines()) == 2 * len(KINDS)
    assert "usually 2000000 bit/s" in told
    assert "usually a ratio of 0.05; also live" in told


def test_what_cannot_be_run_is_a_sentence(tmp_path: Path) -> None:
    for words in (
        ["gremlin"],
        ["loss", "--lab", "moon"],
        ["loss", "--window-s", "1"],
        ["loss", "--magnitude", "7"],
        ["loss", "--link", "jinan-1>nowhere@backbone"],
        ["node-down", "--place", "nowhere"],
    ):
        result = CliRunner().invoke(app, ["run", *words, "--folder", str(tmp_path)])
        assert isinstance(result.exception, LinkgaugeError)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_fault_has_a_lab_and_a_place(kind: str) -> None:
    setting = lab_setting(kind, "auto", 10)
    assert setting.topology is not None
    assert lab_fault(kind, None, None, None).kind == kind


def test_a_place_is_for_faults_that_are_on_places() -> None:
    with pytest.raises(LinkgaugeError, match="--place foo: fault loss is on a link; give --link instead"):
        lab_fault("loss", None, "foo", None)
