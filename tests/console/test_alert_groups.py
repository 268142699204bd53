"""Alerts grouped by what explains them: one sentence for a cause, none for what nobody wants to hear."""

from __future__ import annotations

from typing import Any

from console.alert_groups import quiet, troubles


def alert(rule: str, about: str, cause: str | None = None, **changed: Any) -> dict[str, Any]:
    told = {"id": f"{rule}/{about}/-", "rule": rule, "about": about, "severity": "page", "labels": {}}
    more = {"summary": "it is so", "place": None, "told": cause is None, "held": None, "cause": cause}
    return {**told, **more, **changed}


def node(name: str, **changed: Any) -> dict[str, Any]:
    return {"node": name, "down_ratio": 0.0, "maintenance": 0, "drill": 0, **changed}


def test_what_explains_others_is_one_sentence() -> None:
    down = alert("node-down", "g1", place="node g1")
    first = alert("link-unreachable", "a>g1@n", down["id"], held="node-down of g1 explains it")
    second = alert("link-unreachable", "b>g1@n", down["id"], held="node-down of g1 explains it")
    third = alert("burn-fast", "a>g1@n", first["id"], severity="ticket")
    other = alert("delay-step", "a>b@n", severity="ticket")
    told = [other, third, first, down, second]
    assert troubles(told) == [
        "node-down on g1: it is so; it explains 3 more: link-unreachable (2), burn-fast (1)",
        "delay-step on a>b@n: it is so",
    ]
    assert list(quiet(told)) == []


def test_many_of_one_rule_are_one_sentence_and_a_place_that_says_more_is_told() -> None:
    free = [alert("clock-unsynchronised", name, place=f"node {name}") for name in "abcde"]
    lost = alert("link-loss", "a>b@n", place="node b")
    assert troubles([*free, lost]) == [
        "clock-unsynchronised on 5: a, b, c and 2 more; of a: it is so",
        "link-loss on a>b@n: it is so; likely place: node b",
    ]


def test_what_is_held_back_on_purpose_is_no_trouble_but_told() -> None:
    work = "announced work: new optics"
    down = alert("node-down", "g1", told=False, held=work)
    told = [
        down,
        alert("link-loss", "a>g1@n", down["id"], held="node-down of g1 explains it"),
        alert("link-loss", "a>b@n", told=False, held="silence: known"),
        alert("link-loss", "b>a@n", labels={"drill": "true"}),
    ]
    nodes = [node("g1", maintenance=1, down_ratio=1.0), node("a", drill=1), node("b", down_ratio=None)]
    assert troubles(told, nodes) == []
    assert list(quiet(told, nodes)) == [
        "2 alerts are held back (announced work: new optics): node-down on g1, link-loss on a>g1@n",
        "1 alerts are held back (silence: known): link-loss on a>b@n",
        "1 alerts are held back (drill): link-loss on b>a@n",
        "1 nodes are under announced work: g1",
        "1 nodes play a fault on purpose: a",
    ]


def test_a_node_that_is_down_without_an_alert_yet_is_told() -> None:
    assert troubles([], [node("a", down_ratio=1.0), node("b")]) == ["1 nodes answer nobody: a"]


def test_alerts_that_name_each_other_are_all_told() -> None:
    one, other = alert("x", "a", "y/b/-", told=True), alert("y", "b", "x/a/-", told=True)
    assert troubles([one, other]) == ["x on a: it is so", "y on b: it is so"]
