"""Intake: from octets to the journal, and nothing worse than a refusal for anything sent."""

from __future__ import annotations

import gzip
import zlib

import msgspec
import pytest

from collector.admission import Refusal
from collector.health.metrics import REASONS, Metrics
from collector.intake import PATIENCE_NS, Intake
from collector.journal.batch_log import PEER
from collector.possible_links import PossibleLinks
from linkgauge.errors import StoreError
from linkgauge.model import Node
from linkgauge.packing import unpack
from linkgauge.wire import MAX_ROWS, VERSION, Batch, decode
from tests.collector.world import NOW_NS, StillClock, batch, body, health, windows

LINKS = frozenset({"j1>j2@backbone"})
MOST = 1_000_000


class Shelf:
    """A journal in memory, which can be full."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str, int], bytes] = {}
        self.ways: list[str] = []
        self.full = False

    def append(
        self,
        agent: str,
        boot: str,
        number: int,
        created_ns: int,
        received_ns: int,
        body: bytes,
        via: str = "",
    ) -> bool:
        if self.full:
            raise StoreError("shelf: is full; make room")
        new = (agent, boot, number) not in self.kept
        self.kept.setdefault((agent, boot, number), body)
        self.ways.append(via)
        return new


class World:
    def __init__(self) -> None:
        self.shelf, self.metrics = Shelf(), Metrics()
        self.seen: list[tuple[Batch, int]] = []
        self.intake = Intake(
            self.shelf,
            lambda: LINKS,
            StillClock(),
            self.metrics,
            [lambda batch, at: self.seen.append((batch, at))],
            MOST,
            lambda: {"j1"},
        )

    def refusal(self, data: bytes, encoding: str = "", via: str = "") -> Refusal:
        with pytest.raises(Refusal) as caught:
            self.intake.accept("j1", encoding, data, via)
        assert caught.value.reason in REASONS
        assert self.shelf.kept == {}
        assert self.seen == []
        return caught.value


GOOD = body("j1", 1, windows(["j1>j2@backbone"]), health("j1"))


def test_a_batch_is_kept_shown_and_counted_once() -> None:
    world = World()
    assert not world.intake.accept("j1", "gzip", gzip.compress(GOOD))
    assert world.intake.accept("j1", "", GOOD)
    assert {key: unpack(kept, MOST) for key, kept in world.shelf.kept.items()} == {("j1", "boot1", 1): GOOD}
    assert [(seen.number, at) for seen, at in world.seen] == [(1, NOW_NS)]
    counts = [
        world.metrics.total(name) for name in ("batches_accepted", "batches_duplicate", "rows_accepted")
    ]
    assert counts == [1, 1, 2]


OLD_NS = NOW_NS - PATIENCE_NS


def test_what_is_kept_lacks_the_rows_left_out() -> None:
    world = World()
    world.intake.accept("j1", "", body("j1", 1, windows(["j1>j2@backbone", "j1>x@backbone"])))
    kept = decode(unpack(world.shelf.kept["j1", "boot1", 1], MOST))
    assert kept.frames["window"].rows == 1
    assert world.metrics.total("rows_left_out") == 1


def test_links_of_an_inventory_that_only_the_peer_has_are_kept() -> None:
    world = World()
    rows = windows(["j1>j2@backbone", "j1>x@backbone"])
    assert not world.intake.accept("other-collector", "", body("j1", 1, rows), PEER)
    assert decode(unpack(world.shelf.kept["j1", "boot1", 1], MOST)).frames["window"].rows == 2
    for links, reason in (["j1>x"], "bad_value"), (["j1>j2@backbone", "x>j1@backbone"], "wrong_agent"):
        assert World().refusal(body("j1", 1, windows(links)), via=PEER).reason == reason


def test_a_link_that_only_a_newer_inventory_has_is_kept() -> None:
    """The agent has its plan from another collector and changed over to this one."""
    world = World()
    nodes = {name: Node(name, "s", {"backbone": "10.0.0.1"}) for name in ("j1", "j2", "g1")}
    links = PossibleLinks(LINKS, nodes)
    intake = Intake(world.shelf, lambda: links, StillClock(), world.metrics)
    intake.accept("j1", "", body("j1", 1, windows(["j1>j2@backbone", "j1>g1@backbone", "j1>x@backbone"])))
    kept = decode(unpack(world.shelf.kept["j1", "boot1", 1], MOST)).frames["window"]
    assert kept.text("link").tolist() == ["j1>j2@backbone", "j1>g1@backbone"]


def test_every_truncation_is_refused() -> None:
    world = World()
    small = body("j1", 1, health("j1"))
    for length in range(len(small)):
        assert world.refusal(small[:length]).status == 400
    packed = gzip.compress(small)
    for length in range(len(packed)):
        assert world.refusal(packed[:length], "gzip").reason in ("truncated", "malformed")


def test_another_version_is_refused() -> None:
    loose = msgspec.msgpack.decode(GOOD)
    refusal = World().refusal(msgspec.msgpack.encode({**loose, "version": VERSION + 1}))
    assert (refusal.reason, refusal.status) == ("version", 409)
    assert "upgrade the older side" in str(refusal)


def test_a_million_links_are_too_large() -> None:
    loose = msgspec.msgpack.decode(GOOD)
    loose["tables"]["window"]["rows"] = 1_000_000
    refusal = World().refusal(msgspec.msgpack.encode(loose))
    assert (refusal.reason, refusal.status) == ("too_large", 413)
    assert str(MAX_ROWS) in str(refusal)


def test_a_gzip_bomb_is_stopped_at_the_bound() -> None:
    bomb = gzip.compress(bytes(200 * MOST), 9)
    assert len(bomb) < MOST
    assert World().refusal(bomb, "gzip").status == 413


def test_odd_encodings_are_refused() -> None:
    assert World().refusal(GOOD, "br").status == 415
    assert World().refusal(zlib.compress(GOOD), "gzip").reason == "malformed"


def test_a_full_journal_is_told_once_and_its_end_too(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    world = World()
    world.shelf.full = True
    for _ in range(3):
        refusal = world.refusal(GOOD)
        assert (refusal.reason, refusal.status) == ("store", 507)
    assert world.intake.fault == "shelf: is full; make room"
    world.shelf.full = False
    assert not world.intake.accept("j1", "", GOOD)
    assert world.intake.fault is None
    messages = [record.getMessage().split()[0] for record in caplog.records]
    assert messages == ["journal_failed", "journal_works_again"]


def test_a_broken_observer_does_not_make_the_agent_repeat() -> None:
    world = World()

    def broken(_batch: Batch, _at: int) -> None:
        raise RuntimeError("observer")

    intake = Intake(world.shelf, lambda: LINKS, StillClock(), world.metrics, [broken], MOST)
    assert not intake.accept("j1", "", GOOD)
    assert world.metrics.total("faults") == 1


def test_the_collectors_own_batches_are_kept() -> None:
    world = World()
    world.intake.keep_own(batch("@collector", 1, windows(["j1>j2@backbone"])))
    assert list(world.shelf.kept) == [("@collector", "boot1", 1)]


def test_a_peer_brings_batches_of_any_node_of_the_inventory_and_of_no_other() -> None:
    world = World()
    assert not world.intake.accept("other-collector", "", GOOD, PEER)
    assert world.intake.accept("j1", "", GOOD)
    assert world.shelf.ways == [PEER, ""]
    for agent in ("g1", "@collector"):
        refusal = World().refusal(body(agent, 1, health(agent), created_ns=OLD_NS), via=PEER)
        assert (refusal.reason, refusal.status) == ("unknown_agent", 403)
    refusal = World().refusal(body("g1", 1, health("g1")), via=PEER)
    assert (refusal.reason, refusal.status) == ("inventory", 409)  # the peer brings it again
    assert World().refusal(body("j1", 1, health("g1")), via=PEER).reason == "wrong_agent"
