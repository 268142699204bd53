"""The engine's memory as octets: there and back, of the former version, and damaged."""

from __future__ import annotations

import msgspec
import pytest

from alerts.causes.located import Located, Recalled
from alerts.evaluation.evaluate import Evaluator
from alerts.event import Fired
from alerts.roll.kept import Kept, read, written
from alerts.roll.roll import Alert
from linkgauge.packing import pack
from quality.places.finding import Finding
from tests.alerts.world import FIRST_NS, WINDOW_NS, lossy, rule, series, state

LINK = "jinan-1>guiyang-1@backbone"
FIRED = Fired("link-loss/x/forward", FIRST_NS, FIRST_NS, {}, {"rule": "link-loss"}, "", "", (), "")


def test_there_and_back() -> None:
    evaluator = Evaluator([rule("link-loss")])
    for frame in series([0.13] * 4):
        evaluator.step({"state": frame})
    finding = Finding("b", "node", "net", "in", "b", frozenset({LINK}), 2, 3, False, ("site b",))
    place = Located(finding, {LINK: 2}, frozenset({LINK, "a>c@net"}), 4, 0.5)
    places = Recalled({"common-cause/node:b/in": place}, {"common-cause/node:c/in": (FIRST_NS, place)})
    alerts = [Alert("link-loss", "forward", LINK, FIRED, held="why")]
    kept = Kept(evaluator.snapshot(), alerts, ours=["x"], places=places)
    assert read(written(kept)) == kept


def test_alerts_of_the_former_version_go_on_and_end() -> None:
    entry = {"rule": "link-loss", "direction": "forward", "link": LINK, "breached": 3, "clear": 0}
    entry |= {"since_ns": FIRST_NS, "seen_ns": FIRST_NS, "unknown": 0}
    entries = [{**entry, "fired": FIRED}, {**entry, "link": "a>b@net", "fired": None}]
    former = {"version": 1, "last_ns": FIRST_NS, "length_ns": WINDOW_NS, "entries": entries}
    kept = read(msgspec.msgpack.encode(former))
    (alert,) = kept.alerts
    assert (alert.key, alert.told, alert.fired.about) == (("link-loss", "forward", LINK), True, LINK)
    assert kept.ours == [FIRED.id], "nobody hears of them anew when duty begins"
    evaluator = Evaluator([rule("link-loss")])
    evaluator.restore(kept.memory)
    kinds = [
        [each.kind for each in evaluator.step({"state": state([lossy(-0.001)], at)})] for at in range(3, 10)
    ]
    assert kinds == [[]] * 5 + [["over"], []]


@pytest.mark.parametrize(
    "damage",
    [b"", b"\x00", b"\x80", b"\x28\xb5\x2f\xfd", pack(b"\x81\xa7version\x09"), pack(b"\x81\xa7version\x02")],
)
def test_what_is_no_memory_is_refused(damage: bytes) -> None:
    with pytest.raises(ValueError, match="memory of alerts"):
        read(damage)
