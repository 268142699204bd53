"""An alert explains others only to those who hear of it."""

from __future__ import annotations

from itertools import pairwise

import pytest
from msgspec.structs import replace

from alerts.causes.explanation import Explanation
from alerts.causes.inhibition import Inhibition
from alerts.event import Fired
from alerts.roll.audience import heard, teams, unreached
from alerts.rule import load_rules
from tests.alerts.roll.test_roll import fired


def explained(*chain: Fired) -> dict[str, Explanation]:
    """Each by the next."""
    pairs = pairwise(chain)
    return {one.id: Explanation(by.id, "somewhere", "it explains it") for one, by in pairs}


LOSS = fired("link-loss")
PLACE = {"kind": "trunk", "place": "a<>b"}


@pytest.mark.parametrize(
    ("one", "by", "holds"),
    [
        (LOSS, fired("link-unreachable"), True),
        (LOSS, fired("link-delay", severity="ticket"), False),
        (fired("link-loss", severity="ticket"), fired("link-unreachable"), True),
        (LOSS, fired("node-down", "b", drill="true"), False),
        (fired("link-loss", drill="true"), fired("node-down", "b", drill="true"), True),
        (fired("link-loss", drill="true"), fired("node-down", "b"), True),
        (LOSS, fired("common-cause", "trunk:a<>b", **PLACE), True),
        (LOSS, fired("common-cause", "trunk:a<>b", **PLACE, team="s"), False),
        (LOSS, fired("common-cause", "trunk:a<>b", **PLACE, team="s", teams="s,t"), True),
        (LOSS, fired("node-down", "b", team="s"), False),
        (LOSS, fired("node-down", "b", team="s", teams="s,t"), True),
        (LOSS, replace(fired("node-down", "b", team="s"), teams_later=("r", "t")), True),
        (fired("common-cause", "node:b", teams="t,u"), fired("node-down", "b"), False),
    ],
)
def test_who_hears_of_one_hears_of_the_other(one: Fired, by: Fired, holds: bool) -> None:
    told = heard(explained(one, by), [one, by])
    assert told[one.id].by == (by.id if holds else "")
    assert told[one.id].place == "somewhere"


NODE, SITE = (
    fired("node-down", "b", team="s"),
    fired("common-cause", "site:b", kind="site", place="b", team="r"),
)


@pytest.mark.parametrize(
    ("one", "chain", "missing"),
    [
        (LOSS, [NODE], {NODE.id: ["t"]}),
        (LOSS, [NODE, SITE], {SITE.id: ["s", "t"]}),
        (LOSS, [replace(NODE, teams_later=("t",))], {}),
        (replace(LOSS, id="told"), [NODE], {}),
        (fired("link-delay", severity="ticket"), [NODE], {}),
        (fired("link-loss", drill="true"), [NODE], {}),
        (LOSS, [fired("node-down", "b", team="s", drill="true")], {}),
        (LOSS, [fired("link-delay", team="s", severity="ticket")], {}),
    ],
)
def test_teams_that_have_yet_to_hear_of_what_explains_their_alerts(
    one: Fired, chain: list[Fired], missing: dict[str, list[str]]
) -> None:
    every = [one, *chain]
    waiting = [each.id for each in every if each.id != "told"]
    assert unreached(explained(*every), every, waiting) == missing


def test_of_what_nobody_wants_to_hear_of_nobody_is_told_either() -> None:
    assert unreached(explained(LOSS, NODE), [LOSS], [LOSS.id]) == {}


def test_what_explains_in_the_end_counts() -> None:
    one, between, root = fired("burn-fast"), fired("link-loss"), fired("link-delay", severity="ticket")
    told = heard(explained(one, between, root), [one, between, root])
    assert [told[each.id].by for each in (one, between)] == [between.id, ""]


def test_what_ended_may_still_explain() -> None:
    one, gone = fired("delay-step"), fired("common-cause", "trunk:a<>b", **PLACE)
    assert heard(explained(one, gone), [one])[one.id].by == gone.id


def test_of_alerts_that_explain_one_another_one_is_told() -> None:
    one, other, third = fired("link-loss"), fired("node-down", "b"), fired("burn-fast")
    told = heard({**explained(one, other, one), **explained(third, one)}, [one, other, third])
    assert [each.by for each in told.values()].count("") == 1


def test_who_does_not_hear_of_the_place_hears_of_the_link_once() -> None:
    place, same = fired("common-cause", "trunk:a<>b", **PLACE, team="s"), fired("link-unreachable")
    both = {
        same.id: Explanation(place.id, "trunk a<>b", "it explains it"),
        LOSS.id: Explanation(place.id, "trunk a<>b", "it explains it", instead=same.id),
    }
    told = heard(both, [LOSS, same, place])
    assert (told[same.id].by, told[LOSS.id].by) == ("", same.id)


def test_the_drill_of_a_node_holds_back_no_real_alert_and_what_the_same_link_explains_stays_so() -> None:
    drill = fired("node-down", "c", drill="true")
    loss, bursts = (fired(rule, src="c", dst="b") for rule in ("link-loss", "loss-bursts"))
    told = heard(Inhibition(load_rules()).explained([drill, loss, bursts]), [drill, loss, bursts])
    assert (told[loss.id].by, told[bursts.id].by) == ("", loss.id)


def test_a_place_is_told_without_an_explanation() -> None:
    only = {LOSS.id: Explanation("", "trunk a<>b")}
    assert heard(only, [LOSS]) == only


def test_teams() -> None:
    assert teams({"team": "a"}) == {"a"}
    assert teams({"team": "a", "teams": "a,b"}) == {"a", "b"}


def test_no_rule_is_explained_by_a_milder_one() -> None:
    severity = {rule.name: rule.severity for rule in load_rules()}
    milder = [
        (rule.name, by)
        for rule in load_rules()
        for by in rule.explained_by
        if rule.severity == "page" and severity[by] != "page"
    ]
    assert milder == []
