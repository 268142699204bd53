"""Which alert explains which: a place its links and nodes, a node its links, a rule one of the same. Pure.

- Trouble has grades: DARK is graver than LOSSY, LOSSY than SLOW. An alert of a link is explained by the alert
  of a place that explained trouble of the link as grave as the alert's, or graver, in the last LASTS windows
  (a link that answers nothing is none of the trouble of a slow trunk), or by that of a node which is down at
  one of its ends.
- What measures round trips or looks back (AROUND) is explained for every link over the place, whichever way,
  and for AFTER_NS more: a step of the delay is found out late.
- An alert of a node is explained by a place that is sure, other than the node, and explains that all links
  into the node are dark which were in these windows, two at least.
- A place that is the node, or that cannot be told from it, is explained by the node's alert as long as all
  that it explains are links of that node.
- Everything else is explained by what the rules name in `explained_by`, of the same thing.

Only what follows from lost, late or marked packets is explained so (OF_LINKS, OF_NODES): a certificate
expires whatever else is wrong. Alerts that nobody hears of explain nothing: the caller leaves them out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from alerts.causes.explanation import Explanation, SameThing
from alerts.causes.located import Key, Located, Recalled
from alerts.event import Fired
from alerts.rule import Rule
from linkgauge.clock import NS_PER_S
from linkgauge.model import Link

OF_LINKS = frozenset(
    {
        "link-unreachable", "link-loss", "loss-bursts", "flow-loss", "link-delay", "delay-step",
        "delay-variation", "delay-asymmetry", "congestion-marks", "path-changed", "path-flapping",
        "mtu-shrunk", "throughput-low", "burn-fast", "burn-slow",
    }
)  # fmt: skip
AROUND = OF_LINKS - {"link-unreachable", "link-loss", "loss-bursts", "flow-loss", "congestion-marks"}
SLOW, LOSSY, DARK = 1, 2, 3
GRADES = {"link-unreachable": DARK, "link-loss": LOSSY, "loss-bursts": LOSSY, "flow-loss": LOSSY}
"""Of rules; all others are of SLOW."""
LASTS = 4
"""Windows: as long as the alert of a place goes on without a finding."""
AFTER_NS = 300 * NS_PER_S
"""As long as a period of verdicts usually is."""
OF_NODES = frozenset({"node-down", "agent-silent", "agent-backlog", "plan-stale"})
NODE_DOWN, COMMON_CAUSE = "node-down", "common-cause"


class Inhibition:
    """Remembers what each place explained while its alert fires; for one thread at a time."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self._same = SameThing(rules)
        self._found: dict[Key, Located] = {}
        self._lately: deque[Sequence[Located]] = deque(maxlen=LASTS)
        self._dark: deque[frozenset[str]] = deque(maxlen=LASTS)
        self._ids: dict[Key, str] = {}
        self._past: dict[str, tuple[int, Located]] = {}
        self._earlier: dict[Key, Located] = {}
        """Of an earlier life, and not found in this one yet."""
        self._now_ns = 0

    @property
    def known(self) -> frozenset[Key]:
        """Places that fire, also those of an earlier life."""
        return frozenset(self._found)

    def kept(self) -> Recalled:
        """What has to be known again after a restart."""
        found = {by: replace(self._found[key], links=self.links(key)) for key, by in self._ids.items()}
        return Recalled(found, self._past)

    def resume(self, recalled: Recalled) -> None:
        """Go on from what was kept: until a place that fires is found again it explains what it did."""
        self._ids = {each.key: by for by, each in recalled.found.items()}
        self._found = {each.key: each for each in recalled.found.values()}
        self._earlier, self._past = dict(self._found), dict(recalled.past)

    def take(
        self,
        found: Sequence[Located],
        dark: frozenset[str],
        now_ns: int,
        unseen: Callable[[Collection[str]], bool] = lambda links: False,
    ) -> None:
        """The places of the window that ends now, and all links that are dark in it. unseen: whether nothing
        is known of most of these links; a place goes on to explain them as long."""
        self._now_ns = now_ns
        again = [self._earlier.pop(each.key) for each in found if each.key in self._earlier]
        for key in self.known - {each.key for each in found}:
            if unseen(links := self.links(key)):
                again.append(replace(self._found[key], links=links))
        self._lately.append([*found, *again])
        self._dark.append(dark | _dark(again))
        self._found.update({each.key: each for each in found})

    def links(self, key: Key) -> dict[str, int]:
        """Links whose trouble the place explained lately, and the gravest sort of it."""
        grades = dict(self._earlier[key].links) if key in self._earlier else {}
        for found in self._lately:
            for each in found:
                if each.key == key:
                    grades |= {link: max(grade, grades.get(link, 0)) for link, grade in each.links.items()}
        return grades

    def explained(self, firing: Sequence[Fired]) -> dict[str, Explanation]:
        """By id of an alert that fires: what explains it."""
        places = {_key(each): each for each in firing if each.labels["rule"] == COMMON_CAUSE}
        self._forget(places)
        down = {each.about: each for each in firing if each.labels["rule"] == NODE_DOWN}
        told = dict(self._same.explained(firing))
        links = {key: self.links(key) for key in reversed(self._found)}
        told |= {each.id: one for each in places.values() if (one := self._of_place(each, down, links))}
        over = {grade: dict(_of_grade(links, grade)) for grade in (SLOW, LOSSY, DARK)}
        around = {link: key for key, one in reversed(self._found.items()) for link in one.around}
        nodes = self._nodes(links)
        for each in firing:
            rule, same = each.labels["rule"], told[each.id].by if each.id in told else ""
            of = nodes if rule in OF_NODES else over[GRADES.get(rule, SLOW)] if rule in OF_LINKS else {}
            if key := of.get(each.about) or (around.get(each.about) if rule in AROUND else None):
                told[each.id] = replace(self._by(places[key], key, told), instead=same)
            elif rule in OF_LINKS and (node := _end_that_is(each, down)):
                words = f"node {node.about}"
                told[each.id] = Explanation(node.id, words, f"{words} is down", instead=same)
            elif rule in AROUND and each.id not in told and (late := self._late(each)):
                told[each.id] = late
        return told

    def _forget(self, places: Mapping[Key, Fired]) -> None:
        """Places whose alert does not fire; for a while it is known what they were."""
        for key, one in list(self._found.items()):
            if key not in places:
                if key in self._ids:
                    self._past[self._ids.pop(key)] = self._now_ns, one
                del self._found[key]
                self._earlier.pop(key, None)
        self._ids = {key: places[key].id for key in self._found}
        self._past = {
            by: (ended_ns, one)
            for by, (ended_ns, one) in self._past.items()
            if 0 <= self._now_ns - ended_ns <= AFTER_NS
        }

    def _late(self, fired: Fired) -> Explanation | None:
        """What is found out after the place's own alert ended."""
        for by, (_, one) in self._past.items():
            if fired.about in one.around:
                kind, place = one.key
                return Explanation(by, one.words, f"{kind} {place} explained it until just now")
        return None

    def _of_place(
        self, fired: Fired, down: Mapping[str, Fired], links: Mapping[Key, Mapping[str, int]]
    ) -> Explanation | None:
        """A place that is a node, or is not told from one that is down; else only its words."""
        key = _key(fired)
        found = self._found.get(key)
        if found is None:
            return None
        names = [f"{found.finding.kind} {found.finding.place}", *found.finding.others]
        for kind, _, name in (words.partition(" ") for words in names):
            of_node = kind in ("node", "gateway") and name in down
            if of_node and all(name in (link.src, link.dst) for link in map(Link.parse, links[key])):
                return Explanation(down[name].id, found.words, f"node {name} is down")
        return Explanation("", found.words)

    def _by(self, place: Fired, key: Key, told: Mapping[str, Explanation]) -> Explanation:
        """Explained by the alert of a place, or by what explains that."""
        by = told[place.id].by if place.id in told else ""
        words = self._found[key].words
        return Explanation(by or place.id, words, f"{key[0]} {key[1]} explains it")

    def _nodes(self, links: Mapping[Key, Mapping[str, int]]) -> dict[str, Key]:
        """Nodes whose own alerts a place explains."""
        dark: dict[str, set[str]] = {}
        for link in _dark(self._earlier.values()).union(*self._dark):
            dark.setdefault(Link.parse(link).dst, set()).add(link)
        several = {node: into for node, into in dark.items() if len(into) > 1}
        nodes: dict[str, Key] = {}
        for key, of_place in links.items():
            if not self._found[key].finding.sure:
                continue
            explains = {link for link, grade in of_place.items() if grade == DARK}
            for node, into in several.items():
                is_it = key[0] in ("node", "gateway") and key[1] == node
                if not is_it and into <= explains:
                    nodes[node] = key
        return nodes


def _dark(places: Iterable[Located]) -> frozenset[str]:
    """Links that these explain to be dark."""
    return frozenset(link for each in places for link, grade in each.links.items() if grade == DARK)


def _of_grade(links: Mapping[Key, Mapping[str, int]], least: int) -> Iterator[tuple[str, Key]]:
    """Links with trouble so grave or graver, and the place of each; the last one counts."""
    for key, of_place in links.items():
        yield from ((link, key) for link, grade in of_place.items() if grade >= least)


def _key(fired: Fired) -> Key:
    return fired.labels.get("kind", ""), fired.labels.get("place", "")


def _end_that_is(fired: Fired, down: Mapping[str, Fired]) -> Fired | None:
    """The node at an end of the link that is down."""
    return down.get(fired.labels["dst"]) or down.get(fired.labels["src"])
