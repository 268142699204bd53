"""What goes on to the other collector, and what its answers mean for the sink."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from urllib3.exceptions import HTTPError, ProtocolError

from collector.journal.batch_log import PEER, again_for
from collector.peer.peer_client import PeerClient
from collector.settings import Peer
from collector.sinks.relay import FAILED_ALONE, LATER_S, Relay
from collector.sinks.sink import BatchesRejected, Delivery
from linkgauge.errors import ConfigError, SinkBusy, SinkHeld
from linkgauge.packing import pack

Said = tuple[int, Mapping[str, str], bytes]
TAKES: Said = (200, {}, b'{"duplicate": false}')


def ours(status: int, reason: str, **headers: str) -> Said:
    return status, headers, json.dumps({"reason": reason, "error": "its words"}).encode()


class Answering(PeerClient):
    """A client whose peer answers as `answer` says for a body."""

    def __init__(self, peer: Peer, answer: Callable[[bytes], Said | Exception]) -> None:
        super().__init__(peer)
        self._answer, self._noting = answer, threading.Lock()
        self.bodies: list[bytes] = []

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 10,
    ) -> Said:
        assert (method, path) == ("POST", "/v1/batches")
        assert headers is not None
        assert headers["Content-Encoding"] == "zstd"
        with self._noting:
            self.bodies.append(body or b"")
        said = self._answer(body or b"")
        if isinstance(said, Exception):
            raise said
        return said


@pytest.fixture
def peer(tmp_path: Path) -> Peer:
    token = tmp_path / "token"
    token.write_text("hidden")
    token.chmod(0o600)
    return Peer(url="http://127.0.0.1:1", token_file=token)


def delivery(seq: int, agent: str = "j1", via: str = "") -> Delivery:
    return Delivery(seq, agent, "b", seq, {}, pack(b"batch %d" % seq), via)


def relay(
    peer: Peer, answer: Callable[[bytes], Said | Exception] = lambda _: TAKES
) -> tuple[Relay, Answering]:
    client = Answering(peer, answer)
    return Relay(client), client


def test_only_what_agents_brought_here_goes_on(peer: Peer) -> None:
    sink, client = relay(peer)
    sink.write([delivery(1), delivery(2, via=PEER), delivery(3, "@collector"), delivery(4)])
    assert sorted(client.bodies) == [pack(b"batch 1"), pack(b"batch 4")]
    sink.write([delivery(5, via=PEER)])
    assert len(client.bodies) == 2
    sink.close()


@pytest.mark.parametrize(
    ("said", "error", "wait_s"),
    [
        (ProtocolError("refused"), SinkBusy, None),
        ((200, {}, b"ok"), SinkBusy, None),
        (ours(503, "busy", **{"Retry-After": "7"}), SinkBusy, 7.0),
        (ours(507, "store"), SinkBusy, None),
        (ours(409, "future"), SinkBusy, LATER_S),
        (ours(409, "inventory"), SinkBusy, LATER_S),
        (ours(409, "version"), SinkHeld, None),
        (ours(401, "token"), SinkHeld, None),
        (ours(403, "scope"), SinkHeld, None),
        (ConfigError("no token"), SinkHeld, None),
    ],
)
def test_what_stops_the_sink(
    peer: Peer, said: Said | Exception, error: type[Exception], wait_s: float | None
) -> None:
    sink, client = relay(peer, lambda _: said)
    with pytest.raises(error) as caught:
        sink.write([delivery(seq) for seq in range(1, 20)])
    assert len(client.bodies) == 1  # nobody is there: the others are not tried
    assert str(caught.value).startswith("http://127.0.0.1:1: ")
    if isinstance(caught.value, SinkBusy):
        assert caught.value.retry_after_s == wait_s


def test_what_the_peer_never_takes_becomes_a_dead_letter_and_the_rest_goes_on(peer: Peer) -> None:
    refused = {pack(b"batch 1"): ours(403, "unknown_agent"), pack(b"batch 3"): ours(413, "too_large")}
    sink, client = relay(peer, lambda body: refused.get(body, TAKES))
    with pytest.raises(BatchesRejected) as caught:
        sink.write([delivery(seq) for seq in range(1, 5)])
    assert [(each.seq, words.split(": ")[1]) for each, words in caught.value.refused] == [
        (1, "its words"),
        (3, "its words"),
    ]
    assert len(client.bodies) == 4


def test_after_a_fault_in_the_middle_only_the_rest_goes_again(peer: Peer) -> None:
    faults: list[HTTPError] = [ProtocolError("cut")]

    def answer(body: bytes) -> Said | Exception:
        return faults.pop() if faults and body == pack(b"batch 5") else TAKES

    sink, client = relay(peer, answer)
    entries = [delivery(seq) for seq in range(1, 10)]
    with pytest.raises(SinkBusy):
        sink.write(entries)
    sink.write(entries)
    assert sorted(client.bodies) == sorted([*(each.body for each in entries), pack(b"batch 5")])


def test_batches_of_one_agent_go_one_after_the_other(peer: Peer) -> None:
    """The correction of a window is in the next batch: it must not be there before the window."""
    both, arrived = threading.Barrier(2), list[bytes]()

    def answer(body: bytes) -> Said:
        if body == pack(b"batch 1"):  # of the other agent
            both.wait(60)
        if body == pack(b"batch 2"):
            both.wait(60)  # both agents' batches are on the way at once
            time.sleep(0.05)  # time enough for one that would not wait
        arrived.append(body)
        return TAKES

    sink, _ = relay(peer, answer)
    sink.write([delivery(0), delivery(1, "j2"), *(delivery(seq) for seq in range(2, 6))])
    assert [each for each in arrived if each != pack(b"batch 1")] == [
        pack(b"batch %d" % seq) for seq in (0, 2, 3, 4, 5)
    ]


def test_what_must_wait_holds_back_what_follows_of_that_agent_alone(peer: Peer) -> None:
    later = {pack(b"batch 2")}
    sink, client = relay(peer, lambda body: ours(503, "busy") if body in later else TAKES)
    entries = [delivery(seq, "j1" if seq % 2 == 0 else "j2") for seq in range(8)]
    with pytest.raises(SinkBusy):
        sink.write(entries)
    assert sorted(client.bodies) == [pack(b"batch %d" % seq) for seq in (0, 1, 2, 3, 5, 7)]
    later.clear()
    sink.write(entries)
    assert client.bodies[6:] == [pack(b"batch %d" % seq) for seq in (2, 4, 6)]


def test_a_dead_letter_of_another_sink_does_not_go_on(peer: Peer) -> None:
    sink, client = relay(peer)
    sink.write([delivery(1, via=again_for("influxdb")), delivery(2, via=again_for("peer"))])
    assert client.bodies == [pack(b"batch 2")]


def test_a_peer_without_a_token_is_said_at_the_start() -> None:
    with pytest.raises(ConfigError, match="linkgauge token --peer"):
        PeerClient(Peer(url="http://127.0.0.1:1"))


FAILS: Said = (500, {}, b'{"reason": "fault", "error": "the collector failed"}')


def test_a_batch_at_which_the_peer_fails_stops_no_other(peer: Peer) -> None:
    sink, _ = relay(peer, lambda body: FAILS if body in (pack(b"batch 2"), pack(b"batch 9")) else TAKES)
    entries = [delivery(seq) for seq in (1, 2, 3)]
    for _ in range(FAILED_ALONE):
        with pytest.raises(SinkBusy):
            sink.write(entries)
    with pytest.raises(BatchesRejected) as caught:
        sink.write(entries)
    assert [each.seq for each, _ in caught.value.refused] == [2]
    for _ in range(FAILED_ALONE - 1):  # one that is alone in its delivery
        with pytest.raises(SinkBusy):
            sink.write([delivery(9)])
    with pytest.raises(BatchesRejected):
        sink.write([delivery(9)])
    sink.write([delivery(10)])


@pytest.mark.parametrize("said", [FAILS, ours(503, "busy"), ProtocolError("refused")])
def test_a_peer_that_takes_nothing_makes_no_dead_letter(peer: Peer, said: Said | Exception) -> None:
    fails = False
    sink, _ = relay(peer, lambda _: said if fails else TAKES)
    sink.write([delivery(1)])
    fails = True
    for _ in range(3 * FAILED_ALONE):
        with pytest.raises(SinkBusy):
            sink.write([delivery(2), delivery(3)])
    fails = False
    sink.write([delivery(2), delivery(3)])
