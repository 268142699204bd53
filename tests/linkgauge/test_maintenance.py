"""Announced work and silences: what the inventory's keys mean, and the sentences that bad ones earn."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from linkgauge.errors import ConfigError
from linkgauge.inventory import Inventory, load
from linkgauge.maintenance import Scope
from tests.linkgauge.test_inventory import GOOD, NAME_RULE, without_lines

FROM, UNTIL = "from: 2026-11-21T22:00:00+08:00", "until: 2026-11-22T02:00:00+08:00"
WORK = f"maintenance:\n  - {{{FROM}, {UNTIL}, reason: new optics, sites: [jinan]}}\n"
QUIET = f"silences:\n  - {{{UNTIL}, reason: known, rules: [link-loss]}}\n"
FROM_NS = int(datetime(2026, 11, 21, 14, tzinfo=UTC).timestamp()) * 1_000_000_000
UNTIL_NS = FROM_NS + 4 * 3600 * 1_000_000_000
SHAPE = "must be a time with its offset, as 2026-11-21T22:00:00+08:00, got "

BAD: list[tuple[str, str, str, list[str]]] = [
    ("time without offset", FROM, "from: 2026-11-21T22:00:00",
     [f"maintenance[0].from: {SHAPE}2026-11-21T22:00:00"]),
    ("a date", FROM, "from: 2026-11-21", [f"maintenance[0].from: {SHAPE}2026-11-21"]),
    ("no time", FROM, "from: tonight", [f"maintenance[0].from: {SHAPE}'tonight'"]),
    ("time missing", f"{FROM}, ", "", ["maintenance[0].from: this key is missing; add it"]),
    ("over before it begins", f"{FROM}, {UNTIL}", f"from: 2026-11-22T05:00:00+08:00, {UNTIL}",
     ["maintenance[0].until: 2026-11-22T02:00:00+08:00 is not after `from`; correct one of the two"]),
    ("nothing named", ", sites: [jinan]", "",
     ["maintenance[0]: it names nothing; add sites, nodes, networks or links that the work touches"]),
    ("no reason", "reason: new optics", "reason: ''",
     ["maintenance[0].reason: string should have at least 1 character, got ''"]),
    ("unknown site", "sites: [jinan]", "sites: [qingdao, jnan]",
     ["maintenance[0].sites[1]: there is no site jnan; correct the name or take it out"]),
    ("unknown node", "sites: [jinan]", "nodes: [j9]",
     ["maintenance[0].nodes[0]: there is no node j9; correct the name or take it out"]),
    ("unknown network", "sites: [jinan]", "networks: [dark]",
     ["maintenance[0].networks[0]: there is no network dark; correct the name or take it out"]),
    ("no link", "sites: [jinan]", "links: [j1-q1]",
     ["maintenance[0].links[0]: link 'j1-q1' is not of the form src>dst@network with two different nodes"]),
    ("a link that cannot be", "sites: [jinan]", "links: [j1>q1@private, j2>q1@private]",
     ["maintenance[0].links[1]: there can be no link j2>q1@private; correct it or take it out"]),
    ("unknown key", "sites: [jinan]", "site: jinan",
     ["maintenance[0].site: there is no such key; remove it or correct its name"]),
    ("rules do not stop work", "sites: [jinan]", "rules: [link-loss]",
     ["maintenance[0].rules: there is no such key; remove it or correct its name"]),
    ("silence of nothing", ", rules: [link-loss]", "",
     ["silences[0]: it names nothing; add rules, sites, nodes, networks or links to be silent about"]),
    ("rule of no name", "[link-loss]", "[Link Loss]",
     [f"silences[0].rules[0]: {NAME_RULE}, got 'Link Loss'"]),
    ("silence of an unknown node", "[link-loss]", "[link-loss], nodes: [x]",
     ["silences[0].nodes[0]: there is no node x; correct the name or take it out"]),
    ("silence for ever", f"{UNTIL}, reason: known", "reason: known",
     ["silences[0].until: this key is missing; add it"]),
    ("no list", "[jinan]", "jinan", ["maintenance[0].sites: input should be a valid list, got 'jinan'"]),
]  # fmt: skip


def read(folder: Path, text: str) -> Inventory:
    path = folder / "inventory.yaml"
    path.write_text(text, encoding="utf-8")
    return load(path)


@pytest.mark.parametrize(("old", "new", "faults"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_bad_file(tmp_path: Path, old: str, new: str, faults: list[str]) -> None:
    text = GOOD + WORK + QUIET
    assert old in WORK + QUIET
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text.replace(old, new, 1))
    assert without_lines(caught.value.faults) == [f"{tmp_path}/inventory.yaml: {fault}" for fault in faults]


def test_work_is_announced_for_a_time_and_a_place(tmp_path: Path) -> None:
    inventory = read(tmp_path, GOOD + WORK + QUIET)
    (work,) = inventory.maintenance
    assert (work.from_ns, work.until_ns, work.reason) == (FROM_NS, UNTIL_NS, "new optics")
    spans = [(-10, 0), (-10, 1), (0, 10)]
    assert [work.runs(FROM_NS + a, FROM_NS + b) for a, b in spans] == [False, True, True]
    assert [work.runs(UNTIL_NS + a, UNTIL_NS + b) for a, b in spans] == [True, True, False]
    covered = [str(spec.link) for spec in inventory.links.values() if work.covers(spec.tags)]
    assert covered == [str(link) for link in inventory.links if {"j1", "j2"} & {link.src, link.dst}]
    assert work.covers({"node": "j1", "site": "jinan"})
    assert not work.covers({"node": "q1", "site": "qingdao"})


def test_a_silence_is_of_rules_or_things_and_ends(tmp_path: Path) -> None:
    (silence,) = read(tmp_path, GOOD + QUIET).silences
    assert silence.runs(UNTIL_NS - 1)
    assert not silence.runs(UNTIL_NS)
    assert silence.covers({"rule": "link-loss", "link": "j1>q1@private"})
    assert silence.covers({"rule": "link-loss", "collector": "here", "sink": "archive"})
    assert not silence.covers({"rule": "link-delay", "link": "j1>q1@private"})
    (other,) = read(tmp_path, GOOD + QUIET.replace("rules: [link-loss]", "nodes: [j1]")).silences
    assert other.covers({"rule": "node-down", "node": "j1", "site": "jinan"})
    assert not other.covers({"rule": "sink-held", "collector": "here", "sink": "archive"})


def test_what_several_lists_name_must_be_in_each() -> None:
    scope = Scope(sites=frozenset({"jinan"}), networks=frozenset({"private"}))
    link = {"link": "j1>q1@private", "src": "j1", "dst": "q1", "src_site": "jinan", "dst_site": "qingdao"}
    assert scope.covers({**link, "network": "private"})
    assert not scope.covers({**link, "network": "backbone"})
    assert not scope.covers({"node": "j1", "site": "jinan"})
    assert Scope().covers({})
    assert Scope(nodes=frozenset({"j1"})).covers({"kind": "node", "place": "j1", "network": "private"})
    assert not Scope(nodes=frozenset({"j1"})).covers({"kind": "site", "place": "j1", "network": "private"})


def test_what_is_not_told_is_empty(tmp_path: Path) -> None:
    inventory = read(tmp_path, GOOD)
    assert (inventory.maintenance, inventory.silences) == ((), ())
