"""The growth benchmark: what its agents report is taken, and its picture is a picture."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

from benchmarks.growth_plot import PANELS, draw
from benchmarks.mesh import LINKS, WINDOW_NS, Mesh
from linkgauge.inventory import load
from linkgauge.wire import decode, encode

START_NS = 180_000_000 * WINDOW_NS


def test_agents_report_links_of_the_inventory(tmp_path: Path) -> None:
    mesh = Mesh(300)
    path = tmp_path / "inventory.yaml"
    path.write_text(mesh.inventory())
    expected = {str(link) for link in load(path).links}
    assert len(expected) == 300
    batches = [decode(encode(batch)) for batch in mesh.batches(6, START_NS)]
    told = {link for batch in batches for link in batch.frames["window"].text("link").tolist()}
    assert told == expected
    assert {batch.frames["window"].rows for batch in batches} == {3 * LINKS}
    assert {batch.frames["flow"].rows for batch in batches} == {LINKS}
    window = batches[0].frames["window"]
    assert (window.count("sent") == window.count("replied") + window.count("lost_forward")).all()


def test_the_picture_has_every_figure() -> None:
    sizes = [
        {"links": links, **{name: links / 7 for panel in PANELS for name in panel.series.values()}}
        for links in (100, 1_000, 10_000, 100_000)
    ]
    picture = ElementTree.fromstring(draw(sizes))  # our own text
    lines = [each for each in picture.iter() if each.tag.endswith("polyline")]
    assert len(lines) == sum(len(panel.series) for panel in PANELS)
    for line in lines:
        points = [tuple(map(float, pair.split(","))) for pair in line.attrib["points"].split()]
        assert len(points) == len(sizes)
        assert [x for x, _ in points] == sorted(x for x, _ in points)
        assert [y for _, y in points] == sorted((y for _, y in points), reverse=True)
