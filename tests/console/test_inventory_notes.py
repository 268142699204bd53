"""Notes on inventories: each odd thing has its sentence, an ordinary file has none."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from alerts.rule import load_rules
from console.inventory_notes import notes
from console.main import app
from linkgauge.inventory import load


def write(folder: Path, nodes: int, probing: str = "{}", mesh: str = "full") -> Path:
    lines = ["version: 1", "sites: [{name: s, region: r, operator: o}]"]
    lines += [f"networks: [{{name: n, kind: backbone, mesh: {mesh}}}]", f"probing: {probing}", "nodes:"]
    lines += [
        f"  - {{name: h{at}, site: s, addresses: {{n: 10.0.{at // 250}.{at % 250 + 1}}}}}"
        for at in range(nodes)
    ]
    path = folder / "inventory.yaml"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_an_ordinary_inventory_has_none(tmp_path: Path) -> None:
    assert notes(load(write(tmp_path, 10)), load_rules()) == []


@pytest.mark.parametrize(
    ("nodes", "probing", "key", "words"),
    [
        (201, "{throughput: null, path: null}", "networks[0].mesh",
         "a full mesh of 201 nodes is 40200 links"),
        (30, "{stamp: {rate_pps: 1000}}", "probing.stamp.rate_pps", "h0 sends 29000 packets a second"),
        (60, "{stamp: {paths: 32, classes: [0, 1, 2, 3, 4, 5], rate_pps: 1}, path: null}",
         "probing.stamp.paths", "h0 would have 71862 sessions"),
        (3, "{stamp: {size_bytes: 60}}", "probing.stamp.size_bytes", "72 octets instead of 60"),
        (60, "{path: {interval_s: 5}}", "probing.path.interval_s", "h0 has 59 sweeps a round"),
        (60, "{throughput: {duration_s: 600}}", "probing.throughput.duration_s", "days until each link"),
    ],
)  # fmt: skip
def test_what_is_odd_is_said(tmp_path: Path, nodes: int, probing: str, key: str, words: str) -> None:
    said = [note for note in notes(load(write(tmp_path, nodes, probing))) if note.startswith(f"{key}: ")]
    assert len(said) == 1
    assert words in said[0]
    assert ";" in said[0], "it names the mend"


def test_notes_are_printed_and_are_no_faults(tmp_path: Path) -> None:
    path = write(tmp_path, 3, "{stamp: {size_bytes: 60}}")
    result = CliRunner().invoke(app, ["check-config", str(path)])
    assert result.exit_code == 0
    assert f"{path}: inventory with" in result.output
    assert f"{path}: note: probing.stamp.size_bytes" in result.output


def test_rules_that_there_are_not_and_what_is_over(tmp_path: Path) -> None:
    path = write(tmp_path, 3)
    path.write_text(
        path.read_text() + "maintenance:\n"
        "  - {from: 2026-01-01T00:00:00Z, until: 2026-01-02T00:00:00Z, reason: x, sites: [s]}\n"
        "silences:\n"
        "  - {until: 2036-01-01T00:00:00Z, reason: x, rules: [link-los, zzz]}\n"
        "  - {until: 2026-01-01T00:00:00Z, reason: x, rules: [link-loss]}\n"
    )
    said = notes(load(path), load_rules(), 1_790_000_000 * 10**9)
    assert said == [
        "silences[0].rules: there is no rule link-los, so nothing is silent by it; did you mean link-loss?",
        "silences[0].rules: there is no rule zzz, so nothing is silent by it;"
        " `linkgauge alerts list` has their names",
        "maintenance[0]: over; take out what is over",
        "silences[1]: over; take out what is over",
    ]


@pytest.mark.parametrize(
    ("rate_pps", "told"),
    [
        (2, "2 a second are 20 packets a window of 10 s, too few for some rules: delay-variation cannot "
            "fire; 5.9 serve them all"),
        (0.5, "delay-variation, dscp-remarked cannot fire;"),
        (0.1, "0.1 a second are one packet each window of 10 s, too few for some rules: delay-variation, "
              "dscp-remarked cannot fire; link-unreachable after 100 s at best;"),
        (0.05, "one packet each 2 windows of 10 s, too few for some rules: delay-variation, dscp-remarked "
               "cannot fire; link-unreachable after 200 s at best"),
        (0.02, "one packet each 5 windows of 10 s, too few for some rules: congestion-marks, "
               "delay-variation, dscp-remarked cannot fire; link-delay after 150 s, link-loss after "
               "100 s, link-unreachable after 500 s, loss-bursts after 150 s at best"),
    ],
)  # fmt: skip
def test_rules_that_so_few_packets_leave_blind_are_named(tmp_path: Path, rate_pps: float, told: str) -> None:
    path = write(tmp_path, 3, f"{{stamp: {{rate_pps: {rate_pps}}}}}")
    path.write_text(path.read_text() + "period_s: 1000000\n")
    (said,) = notes(load(path), load_rules())
    assert said.startswith("probing.stamp.rate_pps: ")
    assert told in said


def test_a_period_in_which_no_link_can_be_met_is_noted(tmp_path: Path) -> None:
    path = write(tmp_path, 3)
    path.write_text(path.read_text() + "period_s: 200\n")
    (said,) = notes(load(path), load_rules())
    assert said == (
        "period_s: 200 s have 2000 packets of a link, and 2995 without loss are needed to be met with tier "
        "metro (loss_ratio 0.001): its links stay unknown; take 300 or more, or a higher "
        "probing.stamp.rate_pps"
    )


@pytest.mark.parametrize(
    ("rate_pps", "loss_ratio", "mend", "mended"),
    [
        (0.0012, 0.001, "take 2495834 or more, or a higher probing.stamp.rate_pps", (0.0012, 2_495_834)),
        (
            0.001,
            0.001,
            "take a probing.stamp.rate_pps of 3.4 or more: no period_s is long enough",
            (3.4, 900),
        ),
        (
            10,
            1e-8,
            "take a period_s of 2678400 and a probing.stamp.rate_pps of 120 or more",
            (120, 2_678_400),
        ),
        (10, 1e-12, "no rate and no period are enough; take a larger loss_ratio", None),
    ],
)
def test_how_a_link_can_be_met_is_told_so_that_the_inventory_takes_it(
    tmp_path: Path, rate_pps: float, loss_ratio: float, mend: str, mended: tuple[float, int] | None
) -> None:
    def said(rate_pps: float, period_s: int) -> list[str]:
        path = write(tmp_path, 3, f"{{stamp: {{rate_pps: {rate_pps}}}}}")
        tier = f"tiers: {{metro: {{delay_us: 1000, loss_ratio: {loss_ratio}}}}}\n"
        path.write_text(path.read_text() + f"period_s: {period_s}\n" + tier)
        return [note for note in notes(load(path)) if note.startswith("period_s: ")]

    (told,) = said(rate_pps, 900)
    assert told.endswith(f"its links stay unknown; {mend}")
    assert mended is None or said(*mended) == []
