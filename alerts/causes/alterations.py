"""Places that alter the packets of several links: they cut the path MTU, or rewrite the DSCP.

One misconfigured port would make a ticket for each of its links; here it makes one, of a rule of its own,
which wakes nobody. The evidence is of the same kind as for dead, lossy and slow places (alerts.causes.small,
alerts.causes.remarked), and so is the search (quality.places.finding), but more is asked of a place, for
there is time: a link that does not cross it must be well on the same network, so what befalls the whole
fleet has no place. Of a smaller MTU, which agents find at different times, most pairs of nodes over the place
must have been measured since then, and a place is named only while it is news: later, when the mend is found
at different times as well, what is left of the trouble would accuse places that are not to blame; so it would
when more links were just found to be mended. What is no longer found goes on to explain for a few windows.

Throughput is no such sort: a link is tested about once an hour, so most of the links over a place are tested
long before or after the trouble, a low test may be a neighbour's transfer, and which of both ends, or which
way, was busy is not measured. It cannot be told who is well at the same time, so nobody would be exonerated.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from alerts.causes.altered_places import AlteredPlaces, Sort
from alerts.causes.explanation import Explanation
from alerts.causes.located import Altered, Key, Located
from alerts.causes.remarked import remarked
from alerts.causes.small import Sizes, Small, small
from alerts.causes.trouble import REMARKED, SMALL
from alerts.evaluation.evaluate import Suspects, Window
from alerts.event import Fired
from alerts.rule import BACKWARD, FORWARD, NO_DIRECTION
from linkgauge.frame import Frame
from quality.places.crossings import KINDS, NETWORK, Crossings
from quality.places.finding import Finding, crossed, locate
from quality.places.sights import BAD, WELL, Evidence

Counts = NDArray[np.int64]
Reals = NDArray[np.float64]
Rows = NDArray[np.intp]
Mask = NDArray[np.bool_]
Unseen = Callable[[Collection[str]], bool]
"""Whether nothing is known of most of these links."""

OF_MTU, OF_DSCP = Sort(SMALL, "mtu-shrunk", "common-mtu"), Sort(REMARKED, "dscp-remarked", "common-remark")
SPELL_ROUNDS = 2
"""Rounds of sweeps within which every agent has found that an MTU is smaller."""
NEWS_WINDOWS = 2
"""And then so many windows in which a place may still be named: it has to be found in two."""
LEAST_KNOWN = 0.75
"""Share of the pairs of nodes over a place, as far as their MTU was ever found, that must be known since."""


class Alterations:
    """Remembers the places that fire; for one thread at a time. sizes: see alerts.causes.small. round_ns: how
    often agents sweep."""

    def __init__(self, sizes: Sizes, round_ns: Callable[[], int]) -> None:
        self._sizes, self._round_ns = sizes, round_ns
        self._mtu, self._dscp = AlteredPlaces(OF_MTU), AlteredPlaces(OF_DSCP)
        self._both = (self._mtu, self._dscp)

    @property
    def fire(self) -> bool:
        """Whether some place fires."""
        return any(each.firing for each in self._both)

    def find(
        self, state: Frame, suspects: Sequence[Suspects], rows: Mapping[str, int], crossings: Crossings,
        window: Window, graver: Sequence[Located],
    ) -> dict[str, list[Altered]]:  # fmt: skip
        """The places of a window of STATE, by word of their sort. graver: dead, lossy and
        slow places of this window: an MTU that shrank over one of them, as on a detour, is explained."""
        mtu, forward, backward = (
            _breaches(suspects, rows, state.rows, rule, way)
            for rule, way in ((OF_MTU.of_link, ""), (OF_DSCP.of_link, FORWARD), (OF_DSCP.of_link, BACKWARD))
        )
        found: dict[str, list[Altered]] = {}
        if mtu.any():
            ours = {link for key in self._mtu.firing for link, _ in self._mtu.explains(key)}
            theirs = {link for each in graver for link in each.around} - ours
            mtu[[rows[link] for link in theirs if link in rows]] = 0
            found[SMALL] = self._small(state, mtu, crossings, window)
        if forward.any() or backward.any():
            found[REMARKED] = self._remarked(state, (forward, backward), crossings)
        return found

    def take(self, found: Mapping[str, Sequence[Altered]], unseen: Unseen) -> None:
        """The places of the window that ends now; none: nothing was looked for."""
        for each in self._both:
            each.take(found.get(each.sort.word, ()), unseen)

    def explained(self, firing: Sequence[Fired], told: dict[str, Explanation]) -> None:
        """Enter into `told` what explains alerts, by their id."""
        for each in self._both:
            each.explained(firing, told)

    def troubles(self, key: Key) -> dict[str, str]:
        """Links whose trouble the place explains now, and the sort of it."""
        return {link: each.sort.word for each in self._both for link, _ in each.explains(key)}

    def kept(self) -> dict[str, Altered]:
        """What has to be known again after a restart."""
        return {by: one for each in self._both for by, one in each.kept().items()}

    def resume(self, kept: Mapping[str, Altered]) -> None:
        """Go on from what was kept."""
        for each in self._both:
            each.resume(kept)

    def _small(self, state: Frame, breaches: Counts, crossings: Crossings, window: Window) -> list[Altered]:
        spell_ns = SPELL_ROUNDS * self._round_ns()
        news_ns = spell_ns + NEWS_WINDOWS * window.length_ns
        of = small(state, breaches, self._sizes, crossings.reverse, spell_ns, news_ns, window.end_ns)
        if of is None:
            return []
        return [
            Altered(located, explains, _sizes_of(rows, of.mtu_bytes, of.usual_bytes))
            for located, explains, rows in _located(crossings, of.evidence, self._mtu, of)
        ]

    def _remarked(self, state: Frame, breaches: Sequence[Counts], crossings: Crossings) -> list[Altered]:
        evidence = remarked(state, breaches)
        if evidence is None:
            return []
        ratios = [state.real(f"remarked_{way}_ratio") for way in (FORWARD, BACKWARD)]
        return [
            Altered(located, explains, _share_of(explains, rows, crossings, ratios))
            for located, explains, rows in _located(crossings, evidence, self._dscp)
        ]


def _breaches(
    suspects: Sequence[Suspects], rows: Mapping[str, int], links: int, rule: str, way: str
) -> Counts:
    """In how many of the last windows each link (links,) broke the rule's bound that way."""
    count = np.zeros(links, np.int64)
    for each in suspects:
        if (each.watch.rule.name, each.watch.direction) == (rule, way):
            at = np.array([rows.get(name, -1) for name in each.things.tolist()], np.intp)
            count[at[at >= 0]] = each.breached[at >= 0]
    return count


def _located(
    crossings: Crossings,
    evidence: Evidence,
    lately: AlteredPlaces,
    of: Small | None = None,
) -> Iterator[tuple[Located, frozenset[tuple[str, str]], Rows]]:
    """Each place, the alerts of links that it explains, and the rows of these links. of: where links are
    measured one after the other."""
    bad = (evidence.forward == BAD) | (evidence.backward == BAD) | (evidence.either == BAD)
    well = (evidence.forward == WELL) | (evidence.either == WELL)
    row_of = {name: row for row, name in enumerate(crossings.links.name.tolist())}
    for finding in locate(crossings, evidence, lately.held):
        over = crossed(crossings, finding)
        there, back = over[crossings.forward], over[crossings.backward]
        here = _of_network(crossings, finding)
        beside = int(np.count_nonzero(here & well & ~there & ~back))
        rows = np.array(sorted(row_of[link] for link in finding.explains), np.intp)
        sound = beside > 0 and (of is None or _is_told(crossings, here & (there | back), rows, of))
        if finding.kind == KINDS[NETWORK] or not (sound or (finding.kind, finding.place) in lately.firing):
            continue
        share = len(rows) / max(int(np.count_nonzero(bad & here)), 1)
        links = crossings.links.name[rows].tolist()
        located = Located(finding, dict.fromkeys(links, 0), frozenset(), beside, min(1.0, share))
        yield located, _alerts(links, rows, evidence, there, back), rows


def _of_network(crossings: Crossings, finding: Finding) -> Mask:
    """Links of the networks on which the place is in trouble."""
    everywhere = np.ones(len(crossings.links.name), np.bool_)
    return crossings.links.network == finding.network if finding.network else everywhere


def _is_told(crossings: Crossings, over: Mask, rows: Rows, of: Small) -> bool:
    """Whether the trouble of these rows is news, and enough pairs of nodes over a place were measured since:
    what one end tells of there and back is of both."""
    pair = crossings.pair[crossings.forward]
    ever, since = (np.unique(pair[over & each]) for each in (of.measured, of.since))
    news = of.fresh[rows].any() and len(rows) > of.mending
    return bool(news) and len(since) >= LEAST_KNOWN * len(ever)


def _alerts(
    links: Sequence[str], rows: Rows, evidence: Evidence, there: Mask, back: Mask
) -> frozenset[tuple[str, str]]:
    found = []
    for way, told, over in (
        (NO_DIRECTION, evidence.either, there | back),
        (FORWARD, evidence.forward, there),
        (BACKWARD, evidence.backward, back),
    ):
        mine = (told[rows] == BAD) & over[rows]
        found += [(link, way) for link, is_it in zip(links, mine.tolist(), strict=True) if is_it]
    return frozenset(found)


def _sizes_of(rows: Rows, mtu: Reals, usual: Reals) -> dict[str, float]:
    known = rows[np.isfinite(mtu[rows])]
    made = {"links_small": float(len(rows))}
    if len(known):
        made |= {"mtu_bytes": float(np.median(mtu[known])), "mtu_usual_bytes": float(np.median(usual[known]))}
    return made


def _share_of(
    explains: frozenset[tuple[str, str]],
    rows: Rows,
    crossings: Crossings,
    ratios: Sequence[Reals],
) -> dict[str, float]:
    names = crossings.links.name[rows].tolist()
    shares = [
        ratio[row]
        for way, ratio in zip((FORWARD, BACKWARD), ratios, strict=True)
        for link, row in zip(names, rows.tolist(), strict=True)
        if (link, way) in explains
    ]
    return {"links_remarked": float(len(rows)), "remarked_ratio": float(np.median(shares or [np.nan]))}
