"""The likely place of the trouble of several links, window by window, and which alerts it explains.

Each sort of trouble (alerts.causes.trouble) is looked at by itself, the gravest first: dark, then lossy, then
slow. What an earlier place explains is no evidence for a later one, so a full trunk is not found a second
time by the delay of what comes back over it. A place that was found stays while it explains as much as any
other, also over a restart or an absence. Nothing is looked for while no link is in trouble. Places that alter
packets, of which tickets are made, are beside these (alerts.causes.alterations).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import msgspec
import numpy as np
from numpy.typing import NDArray

from alerts.causes import inhibition
from alerts.causes.alterations import Alterations
from alerts.causes.explanation import Explanation, Suspecting
from alerts.causes.flow_trouble import LossesOf, WaysOf
from alerts.causes.ground import Ground, Sweeps
from alerts.causes.inhibition import Inhibition
from alerts.causes.located import Altered, Key, Located, Recalled
from alerts.causes.place_rows import place_rows
from alerts.causes.small import Sizes
from alerts.causes.trouble import DARK, LOSSY, SLOW, Troubles
from alerts.causes.unseen import known_links, unknown
from alerts.evaluation.evaluate import Window
from alerts.event import Fired
from alerts.rule import Rule
from linkgauge.clock import seconds
from linkgauge.frame import Frame, concat
from linkgauge.inventory import Inventory
from linkgauge.schema import PLACE
from quality.places.cover import LEAST_PAIRS
from quality.places.crossings import KINDS, NETWORK, Crossings
from quality.places.finding import Finding, crossed, locate
from quality.places.sights import BAD, UNKNOWN, WELL, Evidence

Mask = NDArray[np.bool_]
_GRADES = {DARK: inhibition.DARK, LOSSY: inhibition.LOSSY, SLOW: inhibition.SLOW}


class PlaceCause:
    """An alerts.explanation.Cause; for one thread at a time.

    inventory: the one in force when called. sweeps: the ways of all links. flow_losses, ways: what flows of
    links lost since a time, and the hops of each flow of a link. sizes: the MTUs of all links.
    """

    def __init__(
        self,
        rules: Sequence[Rule],
        inventory: Callable[[], Inventory],
        sweeps: Sweeps = dict,
        flow_losses: LossesOf = lambda since_ns: {},
        ways: WaysOf = lambda link: {},
        sizes: Sizes = dict,
    ) -> None:
        self._ground, self._troubles = Ground(inventory, sweeps), Troubles(flow_losses, ways)
        self._inhibition = Inhibition(rules)
        self._alterations = Alterations(sizes, lambda: _round_ns(inventory()))
        self._held: frozenset[Key] = frozenset()

    def places(self, judged: Mapping[str, Frame], memory: Suspecting, window: Window) -> Frame:
        """PLACE rows of this window."""
        state = judged.get("state")
        if state is None or not state.rows:
            return concat(PLACE, [])
        self._troubles.note(state)
        suspects = memory.suspects("state")
        trouble = any(each.now.any() or each.firing.any() for each in suspects)
        self._ground.prepare(state.text("link"), window.end_ns, trouble)
        crossings = self._ground.crossings()
        found: list[Located] = []
        altered: dict[str, list[Altered]] = {}
        dark: frozenset[str] = frozenset()
        if trouble and crossings is not None:
            evidence = self._troubles.evidence(state, suspects, self._ground.rows(), crossings)
            found = _located(crossings, evidence, self._held | self._inhibition.known)
            dark = frozenset(crossings.links.name[evidence[DARK].either == BAD].tolist())
            rows = self._ground.rows()
            altered = self._alterations.find(state, suspects, rows, crossings, window, found)
        self._held = frozenset((each.finding.kind, each.finding.place) for each in found)
        known = known_links(state) if self._inhibition.known or self._alterations.fire else {}
        self._inhibition.take(found, dark, window.end_ns, lambda links: unknown(links, known))
        self._alterations.take(altered, lambda links: unknown(links, known))
        return place_rows(found, [each for some in altered.values() for each in some], window)

    def kept(self) -> Recalled:
        """See alerts.explanation."""
        return msgspec.structs.replace(self._inhibition.kept(), altered=self._alterations.kept())

    def resume(self, recalled: Recalled) -> None:
        """See alerts.explanation."""
        self._inhibition.resume(recalled)
        self._alterations.resume(recalled.altered)

    def explained(self, firing: Sequence[Fired]) -> Mapping[str, Explanation]:
        """See alerts.causes.inhibition and alerts.causes.altered_places."""
        told = dict(self._inhibition.explained(firing))
        self._alterations.explained(firing, told)
        return told

    def troubles(self, about: str) -> Mapping[str, str]:
        """See alerts.explanation."""
        kind, _, place = about.partition(":")
        words = {grade: sort for sort, grade in _GRADES.items()}
        grave = {link: words[grade] for link, grade in self._inhibition.links((kind, place)).items()}
        return {**self._alterations.troubles((kind, place)), **grave}


def _located(crossings: Crossings, evidence: Mapping[str, Evidence], held: frozenset[Key]) -> list[Located]:
    """The places of all sorts of trouble, each kind and place once."""
    found: list[Located] = []
    for sort in (DARK, LOSSY, SLOW):
        rest = evidence[sort]
        for at, each in enumerate(found):
            rest, links = _without(crossings, rest, each.finding)
            found[at] = replace(each, links={**dict.fromkeys(links, _GRADES[sort]), **each.links})
        for finding in locate(crossings, rest, held):
            if (finding.kind, finding.place) not in held and not _begins(crossings, rest, finding):
                continue
            around = _around(crossings, finding)
            mine = dict.fromkeys(finding.explains, _GRADES[sort])
            one = Located(finding, mine, around, _beside(crossings, rest, finding), 0.0)
            same = [at for at, known in enumerate(found) if known.key == one.key]
            for at in same:
                found[at] = replace(found[at], links={**one.links, **found[at].links})
            if not same:
                found.append(one)
    return _shared(crossings, evidence, found)


def _begins(crossings: Crossings, evidence: Evidence, finding: Finding) -> bool:
    """Whether links between two pairs of nodes are in trouble in this very window: what is left over of a
    fault that is over opens no place."""
    if evidence.now is None:
        return True
    mine = np.isin(crossings.links.name, list(finding.explains)) & evidence.now
    return len(np.unique(crossings.pair[crossings.forward[mine]])) >= LEAST_PAIRS


def _without(crossings: Crossings, evidence: Evidence, finding: Finding) -> tuple[Evidence, frozenset[str]]:
    """The evidence without the trouble of ways over a place that is found, and the links that have it."""
    over = crossed(crossings, finding)
    out, back = over[crossings.forward], over[crossings.backward]
    forward, backward = (
        np.where((told == BAD) & on, UNKNOWN, told).astype(np.int8)
        for told, on in ((evidence.forward, out), (evidence.backward, back))
    )
    either = np.where((evidence.either == BAD) & (out | back), UNKNOWN, evidence.either).astype(np.int8)
    gone = (forward != evidence.forward) | (backward != evidence.backward) | (either != evidence.either)
    flows = [each for each in evidence.flows if not (each.bad and out[each.link])]
    gone[[each.link for each in evidence.flows if each.bad and out[each.link]]] = True
    links = frozenset(crossings.links.name[gone].tolist())
    return replace(evidence, forward=forward, backward=backward, either=either, flows=flows), links


def _around(crossings: Crossings, finding: Finding) -> frozenset[str]:
    """Links that cross a place there or back; none of a network, which all of its links do."""
    if finding.kind == KINDS[NETWORK]:
        return frozenset()
    over = crossed(crossings, finding)
    return frozenset(crossings.links.name[over[crossings.forward] | over[crossings.backward]].tolist())


def _beside(crossings: Crossings, evidence: Evidence, finding: Finding) -> int:
    """How many links of the place's network are well and do not cross it."""
    over = crossed(crossings, finding)
    well = ((evidence.forward == WELL) | (evidence.either == WELL)) & ~over[crossings.forward]
    if finding.network:
        well &= crossings.links.network == finding.network
    return int(np.count_nonzero(well))


def _shared(crossings: Crossings, evidence: Mapping[str, Evidence], found: list[Located]) -> list[Located]:
    """With the share that each explains of the links in trouble on its network."""
    trouble = np.zeros(len(crossings.links.name), np.bool_)
    for each in evidence.values():
        trouble |= (each.forward == BAD) | (each.backward == BAD) | (each.either == BAD)
        trouble[[flow.link for flow in each.flows if flow.bad]] = True
    told = []
    for one in found:
        network = one.finding.network
        mine = trouble & (crossings.links.network == network) if network else trouble
        told.append(replace(one, share=min(1.0, len(one.links) / max(int(np.count_nonzero(mine)), 1))))
    return told


def _round_ns(inventory: Inventory) -> int:
    """How often agents sweep; 0: they do not."""
    path = inventory.probing.path
    return seconds(path.interval_s) if path is not None else 0
