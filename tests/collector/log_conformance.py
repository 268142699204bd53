"""What every log of batches must do: the suite to subclass with an `opened` fixture.

`opened` opens the log; called again it gives the log as another process would find it.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector.journal.batch_log import PEER, BatchLog, again_for
from tests.collector.memory_log import MemoryLog

Opened = Callable[[], BatchLog]
BEGIN_NS = 1_800_000_000 * 10**9


def add(log: BatchLog, number: int, body: bytes = b"body", boot: str = "boot", agent: str = "j1") -> bool:
    return log.append(agent, boot, number, number, BEGIN_NS + number, body)


def numbers(log: BatchLog, after: int = 0) -> list[int]:
    return [entry.number for entry in log.read(after, 1000, 10**9)]


def seqs(log: BatchLog) -> list[int]:
    return [entry.seq for entry in log.read(0, 1000, 10**9)]


class LogConformance:
    def test_what_was_brought_comes_back_as_it_was(self, opened: Opened) -> None:
        log = opened()
        assert log.append("j1", "b1", 7, 11, BEGIN_NS, b"\x00octets\xff", PEER)
        assert log.append("@collector", "b2", 1, 12, BEGIN_NS + 1, b"")
        first, second = log.read(0, 10, 1000)
        assert (first.agent, first.boot, first.number, first.created_ns) == ("j1", "b1", 7, 11)
        assert (first.received_ns, first.body, first.via) == (BEGIN_NS, b"\x00octets\xff", PEER)
        assert (second.agent, second.via, second.body) == ("@collector", "", b"")
        assert second.seq > first.seq > 0

    def test_a_second_copy_is_known_whoever_brings_it(self, opened: Opened) -> None:
        log = opened()
        assert add(log, 1)
        assert not add(log, 1)
        assert not log.append("j1", "boot", 1, 0, BEGIN_NS, b"other", PEER)
        assert add(log, 1, boot="boot2")
        assert add(log, 1, agent="j2")
        log = opened()
        assert not add(log, 1)
        assert [entry.body for entry in log.read(0, 9, 99)] == [b"body"] * 3

    def test_it_has_one_identity(self, opened: Opened) -> None:
        identity = opened().identity
        assert identity
        assert set(identity) <= set("0123456789abcdef")
        assert opened().identity == identity

    def test_reading_is_in_order_and_bounded(self, opened: Opened) -> None:
        log = opened()
        for number in range(1, 6):
            add(log, number, b"x" * 100)
        given_seqs = seqs(log)
        assert given_seqs == sorted(set(given_seqs))
        assert [entry.number for entry in log.read(0, 2, 10**6)] == [1, 2]
        assert [entry.number for entry in log.read(given_seqs[1], 9, 250)] == [3, 4]
        assert [entry.number for entry in log.read(0, 9, 1)] == [1]
        assert log.read(given_seqs[-1], 9, 99) == []
        assert log.read(given_seqs[-1] + 5, 9, 99) == []

    def test_a_cursor_never_goes_back_and_stays(self, opened: Opened) -> None:
        log = opened()
        log.register(["archive"])
        add(log, 1)
        add(log, 2)
        first, last = seqs(log)
        log.advance("archive", last)
        log.advance("archive", first)
        log = opened()
        log.register(["archive", "influxdb"])
        assert [log.cursor(name) for name in ("archive", "influxdb", "none")] == [last, 0, 0]

    def test_bodies_go_when_every_sink_has_them_and_keys_stay(self, opened: Opened) -> None:
        log = opened()
        log.register(["archive", "influxdb"])
        for number in (1, 2, 3):
            add(log, number)
        one, _, three = seqs(log)
        log.advance("archive", three)
        log.advance("influxdb", one)
        log.trim()
        assert numbers(log) == [2, 3]
        assert log.backlog("influxdb") == (2, BEGIN_NS + 2)
        assert log.backlog("archive") == (0, None)
        assert not add(log, 1)
        log.advance("influxdb", three)
        log.trim()
        assert numbers(log) == []
        log = opened()
        log.register(["archive", "influxdb"])
        assert not add(log, 3)
        assert add(log, 4)
        assert seqs(log)[0] > three  # a seq is never given twice, also when nothing is left

    def test_a_sink_that_is_new_begins_with_the_oldest_body(self, opened: Opened) -> None:
        log = opened()
        log.register(["archive"])
        for number in (1, 2, 3):
            add(log, number)
        log.advance("archive", seqs(log)[1])
        log.trim()
        log.register(["archive", "influxdb"])
        assert log.backlog("influxdb") == (1, BEGIN_NS + 3)
        assert numbers(log, log.cursor("influxdb")) == [3]

    def test_a_sink_that_is_no_more_holds_nothing_back(self, opened: Opened) -> None:
        log = opened()
        log.register(["archive", "former"])
        add(log, 1)
        log.advance("archive", seqs(log)[0])
        log.trim()
        assert numbers(log) == [1]
        log = opened()
        log.register(["archive"])
        log.trim()
        assert numbers(log) == []
        log.register(["archive", "former"])
        assert log.cursor("former") == 0

    def test_a_dead_letter_comes_again_under_a_new_seq(self, opened: Opened) -> None:
        log = opened()
        log.register(["archive"])
        add(log, 1)
        add(log, 2)
        log.advance("archive", seqs(log)[1])
        log.requeue("j1", "boot", 1, b"again", "archive")
        (entry,) = log.read(log.cursor("archive"), 9, 99)
        assert (entry.agent, entry.boot, entry.number, entry.body, entry.via) == (
            "j1",
            "boot",
            1,
            b"again",
            again_for("archive"),
        )
        log.requeue("j9", "boot", 4, b"never seen", "archive")
        assert not add(log, 4, agent="j9")
        assert log.backlog("archive")[0] == 2

    def test_many_callers_at_once_each_get_their_answer(self, opened: Opened) -> None:
        log = opened()
        with ThreadPoolExecutor(16) as pool:
            added = list(pool.map(lambda at: add(log, at // 2 + 1), range(200)))
        assert sum(added) == 100
        assert [added[at] + added[at + 1] for at in range(0, 200, 2)] == [1] * 100
        assert sorted(numbers(log)) == list(range(1, 101))
        assert len(set(seqs(log))) == 100

    def test_keys_come_in_any_order(self, opened: Opened) -> None:
        log = opened()
        seen: set[tuple[str, int]] = set()

        @settings(suppress_health_check=list(HealthCheck), max_examples=20, deadline=None, derandomize=True)
        @given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 12)), max_size=30))
        def check(keys: list[tuple[str, int]]) -> None:
            for boot, number in keys:
                assert add(log, number, boot=boot) is ((boot, number) not in seen)
                seen.add((boot, number))

        check()
        assert sorted((entry.boot, entry.number) for entry in log.read(0, 1000, 10**9)) == sorted(seen)

    def test_any_order_of_calls_equals_a_list(self, opened: Opened) -> None:
        """Against the log in memory, which is short enough to be seen to be right."""
        sinks = ["archive", "influxdb"]
        log, boot = opened(), 0

        @settings(suppress_health_check=list(HealthCheck), max_examples=25, deadline=None, derandomize=True)
        @given(st.lists(st.tuples(st.sampled_from(STEPS), st.integers(1, 9)), max_size=25))
        def check(steps: list[tuple[str, int]]) -> None:
            nonlocal log, boot
            boot += 1
            log.register([])
            log.register(sinks)
            before = max([0, *seqs(log)])
            for sink in sinks:
                log.advance(sink, before)
            log.trim()
            model = MemoryLog()
            model.register(sinks)
            for step, at in steps:
                if step == "reopen":
                    log = opened()
                    log.register(sinks)
                else:
                    _both(log, model, step, at, f"b{boot}")
                assert _bodies(log, log.cursor("archive")) == _bodies(model, model.cursor("archive"))
                for sink in sinks:
                    assert log.backlog(sink)[0] == model.backlog(sink)[0]

        check()


STEPS = ("append", "append", "append", "requeue", "archive", "influxdb", "trim", "reopen")


def _both(log: BatchLog, model: BatchLog, step: str, at: int, boot: str) -> None:
    """Do the same to both; a sink takes `at` batches."""
    if step == "append":
        assert add(log, at, boot=boot) is add(model, at, boot=boot)
    for each in (log, model):
        if step == "requeue":
            each.requeue("j1", boot, at, b"again", "archive")
        elif step == "trim":
            each.trim()
        elif step != "append" and (entries := each.read(each.cursor(step), at, 10**9)):
            each.advance(step, entries[-1].seq)


def _bodies(log: BatchLog, after: int) -> list[tuple[int, bytes]]:
    return [(entry.number, entry.body) for entry in log.read(after, 1000, 10**9)]
