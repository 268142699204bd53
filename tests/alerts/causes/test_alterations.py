"""Places that cut the MTU or rewrite the DSCP: one ticket for all links, or none where it cannot be told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pytest

from alerts.event import Fired
from linkgauge.clock import NS_PER_S
from tests.alerts.causes.scene import (
    LINKS,
    LOSSY,
    Scene,
    all_of,
    between,
    ids,
    into,
    out_of,
    places,
)

USUAL, CUT = 1_500, 1_400
ROUND_WINDOWS = 6
REMARKED = {"remarked_forward_ratio": 1.0}
UNFIT = {"fit": 0, "unanswered_s": np.nan, "ce_forward_ratio": np.nan}
PORT = "common-mtu/node:west-1/both"


class Sweeps:
    """What agents' rounds found of each link; each agent's round ends in another window of six."""

    def __init__(self) -> None:
        self.sizes = {link: (float(USUAL), 0, 1) for link in LINKS}
        self.narrow: dict[str, float] = {}
        self.blind: set[str] = set()
        """Links of which no round gets a clear MTU."""
        self.at = {node: turn for turn, node in enumerate(sorted({link.partition(">")[0] for link in LINKS}))}

    def __call__(self) -> Mapping[str, tuple[float, int, int]]:
        return {link: size for link, size in self.sizes.items() if link not in self.blind}

    def rounds(self, turn: int, end_ns: int) -> None:
        """The rounds of the agents whose turn it is."""
        for link, (mtu, since_ns, _) in self.sizes.items():
            if self.at[link.partition(">")[0]] == turn % ROUND_WINDOWS and link not in self.blind:
                found = self.narrow.get(link, float(USUAL))
                self.sizes[link] = (found, since_ns if found == mtu else end_ns, end_ns)

    def shrunk(self) -> dict[str, dict[str, float]]:
        return {
            link: {"mtu_shrunk_bytes": USUAL - mtu}
            for link, (mtu, *_) in self.sizes.items()
            if mtu < USUAL and link not in self.blind
        }


class Narrow(Scene):
    """A scene whose agents sweep."""

    def __init__(self, folder: Path) -> None:
        self.sweeps = Sweeps()
        super().__init__(folder, sizes=self.sweeps)
        self.told: list[str] = []
        self.turn = 0

    def go(self, windows: int, more: Mapping[str, Mapping[str, float]] | None = None) -> list[str]:
        """So many windows; ids of what was told."""
        told: list[str] = []
        for _ in range(windows):
            self.sweeps.rounds(self.turn, self.now_ns + 10 * NS_PER_S)
            self.turn += 1
            rows = {
                link: {**self.sweeps.shrunk().get(link, {}), **(more or {}).get(link, {})} for link in LINKS
            }
            outcome = self.window(rows)
            self.told_places = places(outcome)
            self.frame = outcome.frames["place"]
            told += ids(outcome.events)
            self.events = [*getattr(self, "events", []), *outcome.events]
        return told

    def cut(self, links: Iterable[str], mtu: float = CUT) -> None:
        self.sweeps.narrow |= dict.fromkeys(links, mtu)


@pytest.fixture
def narrow(tmp_path: Path) -> Narrow:
    scene = Narrow(tmp_path)
    scene.go(ROUND_WINDOWS)
    return scene


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def of_port(node: str) -> list[str]:
    """Links whose packets, or whose answers, come by the node's port."""
    return into(node) + out_of(node)


@pytest.mark.parametrize("begins", range(0, ROUND_WINDOWS, 2))
def test_a_port_with_a_small_mtu_is_one_ticket_that_names_its_node(narrow: Narrow, begins: int) -> None:
    """Whichever agent finds it first."""
    narrow.go(begins)
    narrow.cut(of_port("west-1"))
    assert narrow.go(18) == [PORT]
    assert narrow.told_places == [("node", "west-1", "both", 1.0)]
    held = [each for each in narrow.engine.active() if each["rule"] == "mtu-shrunk"]
    assert sorted(each["link"] for each in held) == sorted(of_port("west-1"))
    assert {each["cause"] for each in held} == {PORT}


def test_the_ticket_says_where_and_how_much(narrow: Narrow) -> None:
    narrow.cut(of_port("west-1"))
    narrow.go(20)
    [event] = narrow.events
    assert isinstance(event, Fired)
    assert event.labels["severity"] == "ticket"
    assert event.labels["trouble"] == "small"
    links = int(event.numbers["links_small"])
    assert links >= 4, "most agents have found it"
    assert event.summary.startswith(
        "node west-1 (direction both) lets packets of 1400 octets pass instead of 1500 and so explains "
        f"{links} links on net that were found with a smaller path MTU so far, while links beside it are as "
        "they were (sure 100 %), since "
    )
    assert event.place.startswith(
        f"node west-1 on net, because {links} of {links} links over it are in trouble"
    )
    row = {name: narrow.frame.count(name)[0] for name in ("links_bad", "links_small", "links_remarked")}
    assert row == {"links_bad": 0, "links_small": 10, "links_remarked": 0}


def test_when_it_is_mended_nobody_hears_of_the_links(narrow: Narrow) -> None:
    narrow.cut(of_port("west-1"))
    narrow.go(20)
    narrow.sweeps.narrow.clear()
    assert narrow.go(25) == [PORT]
    assert not narrow.engine.active()


def test_what_is_left_while_agents_find_the_mend_accuses_nobody(narrow: Narrow) -> None:
    """All were narrow; east-1 is the last to look whether more passes again."""
    narrow.cut(LINKS)
    narrow.go(36)
    narrow.sweeps.narrow = dict.fromkeys(out_of("east-1"), CUT)
    assert not [each for each in narrow.go(ROUND_WINDOWS + 2) if each.startswith("common-")]


def test_a_place_is_not_named_when_it_is_no_news(narrow: Narrow) -> None:
    """What explained the links is over, and old trouble of a few is left."""
    narrow.cut(LINKS)
    narrow.go(36)
    narrow.sweeps.narrow = dict.fromkeys(of_port("east-1"), CUT)
    assert not [each for each in narrow.go(ROUND_WINDOWS + 2) if each.startswith("common-")]


def test_one_link_alone_is_told_by_its_own_ticket(narrow: Narrow) -> None:
    link, back = "west-1>east-1@net", "east-1>west-1@net"
    narrow.cut([link, back])
    told = narrow.go(20)
    assert sorted(told) == [f"mtu-shrunk/{back}/-", f"mtu-shrunk/{link}/-"]
    assert narrow.told_places == []


def test_good_links_over_a_node_exonerate_it(narrow: Narrow) -> None:
    """Two links of a node that shrank for reasons of their own, while its others are measured and well."""
    links = [f"{a}>{b}@net" for a, b in (("west-1", "east-1"), ("west-1", "north-1"))]
    narrow.cut([*links, *(f"{b}>{a}@net" for a, b in (("west-1", "east-1"), ("west-1", "north-1")))])
    told = narrow.go(20)
    assert sorted({each.partition("/")[0] for each in told}) == ["mtu-shrunk"]
    assert len(told) == 4


def test_while_few_agents_have_swept_again_no_place_is_told(narrow: Narrow) -> None:
    """What was measured before exonerates nobody, and two links of five are few."""
    narrow.cut(of_port("west-1"))
    assert narrow.go(3) == []
    assert len(narrow.sweeps.shrunk()) == 3
    assert narrow.told_places == []


def test_a_fleet_that_shrank_has_no_place(narrow: Narrow) -> None:
    narrow.cut(LINKS)
    told = narrow.go(20)
    assert narrow.told_places == []
    assert sorted(told) == sorted(f"mtu-shrunk/{link}/-" for link in LINKS)


def test_agents_that_find_no_clear_mtu_neither_accuse_nor_exonerate(narrow: Narrow) -> None:
    narrow.cut(of_port("west-1"))
    narrow.sweeps.blind = set(out_of("east-1") + out_of("west-2"))
    assert narrow.go(18) == [PORT]


def test_unfit_agents_make_no_place(narrow: Narrow) -> None:
    narrow.cut(of_port("west-1"))
    narrow.go(20, all_of(LINKS, UNFIT))
    assert narrow.told_places == []


def test_agents_that_are_unfit_now_and_then_have_found_it_all_the_same(narrow: Narrow) -> None:
    narrow.cut(of_port("west-1"))
    told = [narrow.go(1, all_of(LINKS[window % 2 :: 2], UNFIT)) for window in range(16)]
    assert [each for some in told for each in some] == [PORT]


def test_links_that_never_carried_more_say_nothing(narrow: Narrow) -> None:
    """A tunnel of 1 280 octets over the port is as small as ever."""
    tunnel = "north-1>west-1@net"
    narrow.sweeps.sizes[tunnel] = (1_280.0, 0, 1)
    narrow.sweeps.narrow[tunnel] = 1_280.0
    narrow.cut(link for link in of_port("west-1") if link not in (tunnel, "west-1>north-1@net"))
    narrow.cut(["west-1>north-1@net"])
    shrunk = narrow.sweeps.shrunk
    narrow.sweeps.shrunk = lambda: {  # type: ignore[method-assign] # it never was larger
        link: row for link, row in shrunk().items() if link != tunnel
    }
    assert narrow.go(18) == [PORT]


def test_a_restart_tells_nothing_anew(narrow: Narrow, tmp_path: Path) -> None:
    narrow.cut(of_port("west-1"))
    narrow.go(20)
    kept = narrow.cause.kept()
    assert set(kept.altered) == {PORT}
    narrow.book.close()
    again = Narrow(tmp_path)
    again._window, again.turn, again.sweeps = narrow._window, narrow.turn, narrow.sweeps
    again.cause._alterations._sizes = narrow.sweeps
    assert again.go(10) == []
    assert {each["cause"] for each in again.engine.active() if not each["told"]} == {PORT}


def test_it_wakes_nobody_and_holds_back_no_page(narrow: Narrow) -> None:
    narrow.cut(of_port("west-1"))
    narrow.go(20)
    told = narrow.go(6, all_of(into("west-1")[:1], LOSSY))
    assert told == [f"link-loss/{into('west-1')[0]}/forward"]


def test_a_lossy_place_over_which_an_mtu_shrinks_explains_it(narrow: Narrow) -> None:
    narrow.cut(of_port("west-1"))
    told = narrow.go(12, all_of(into("west-1"), LOSSY))
    assert told == ["common-cause/node:west-1/in"]
    assert narrow.go(20, all_of(into("west-1"), LOSSY)) == []


def test_a_node_that_remarks_what_comes_in_is_one_ticket(scene: Scene) -> None:
    told = [scene.window(all_of(into("west-1"), REMARKED)) for _ in range(6)]
    assert [each for some in told for each in ids(some.events)] == ["common-remark/node:west-1/in"]
    assert places(told[-1]) == [("node", "west-1", "in", 1.0)]
    [event] = [each for some in told for each in some.events]
    assert isinstance(event, Fired)
    assert (
        "explains why 100 % of packets arrive with another DSCP than they were sent with on 5 of 5 links"
        in (event.summary)
    )
    assert (event.labels["severity"], event.labels["trouble"]) == ("ticket", "remarked")
    assert {each["cause"] for each in scene.engine.active() if not each["told"]} == {
        "common-remark/node:west-1/in"
    }
    over = [each for _ in range(20) for each in ids(scene.window({}).events)]
    assert over == ["common-remark/node:west-1/in"]


def test_a_hop_that_remarks_in_one_direction(scene: Scene) -> None:
    """East to west is rewritten, west to east is not: what comes back exonerates the site."""
    told = [scene.window(all_of(between("east", "west"), REMARKED)) for _ in range(4)]
    assert places(told[-1]) == [("hop", "10.1.0.2", "in", 1.0)]
    assert [each for some in told for each in ids(some.events)] == ["common-remark/hop:10.1.0.2/in"]


def test_a_link_that_is_remarked_alone_has_no_place(scene: Scene) -> None:
    link = into("west-1")[0]
    told = [scene.window(all_of([link], REMARKED)) for _ in range(6)]
    assert [each for some in told for each in ids(some.events)] == [f"dscp-remarked/{link}/forward"]
    assert places(told[-1]) == []


def test_two_remarked_links_of_a_node_whose_others_are_not_have_no_place(scene: Scene) -> None:
    told = [scene.window(all_of(into("west-1")[:2], REMARKED)) for _ in range(6)]
    assert sorted({each.partition("/")[0] for some in told for each in ids(some.events)}) == ["dscp-remarked"]


def test_a_fleet_that_is_remarked_has_no_place(scene: Scene) -> None:
    told = [scene.window(all_of(LINKS, REMARKED)) for _ in range(6)]
    assert places(told[-1]) == []
    assert {each.partition("/")[0] for some in told for each in ids(some.events)} == {"dscp-remarked"}


@pytest.mark.parametrize(
    "others",
    [{"ce_forward_ratio": np.nan}, {"fit": 0}, {"loss_forward_upper_ratio": 0.4}, {"maintenance": 1}],
    ids=["marks are not told", "unfit", "too few packets", "announced work"],
)
def test_links_of_which_nothing_is_known_exonerate_nobody(scene: Scene, others: dict[str, float]) -> None:
    rows = {**all_of(LINKS, others), **all_of(into("west-1"), REMARKED)}
    assert [places(scene.window(rows)) for _ in range(4)] == [[]] * 4


def test_what_a_drill_remarks_is_no_place(scene: Scene) -> None:
    rows = all_of(into("west-1"), {**REMARKED, "drill": 1})
    assert [places(scene.window(rows)) for _ in range(4)] == [[]] * 4


def test_a_port_that_loses_and_remarks_is_a_page_and_a_ticket(scene: Scene) -> None:
    told = [scene.window(all_of(into("west-1"), {**LOSSY, **REMARKED})) for _ in range(6)]
    assert sorted(each for some in told for each in ids(some.events)) == [
        "common-cause/node:west-1/in",
        "common-remark/node:west-1/in",
    ]
    frame = told[-1].frames["place"]
    assert frame.rows == 1
    assert (frame.count("links_bad")[0], frame.count("links_remarked")[0]) == (5, 5)
