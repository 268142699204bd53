"""The schedule: jobs by name, replaced, cancelled, and an end that waits for what runs."""

from __future__ import annotations

import threading
import time

from linkgauge.clock import NS_PER_S
from probes.schedule import Schedule


def test_a_job_comes_again_until_it_is_cancelled() -> None:
    schedule, twice, ran = Schedule(["icmp"]), threading.Event(), list[float]()

    def job() -> None:
        ran.append(time.monotonic())
        if len(ran) == 2:
            twice.set()

    schedule.start()
    schedule.every("icmp", job, 0.05, "icmp")
    assert twice.wait(60)
    schedule.cancel("icmp")
    schedule.cancel("icmp")  # a second time is no fault
    schedule.stop()
    assert not schedule.running


def test_a_job_of_the_same_name_takes_the_place() -> None:
    schedule, done = Schedule([]), threading.Event()
    schedule.start()
    schedule.every("refresh", lambda: None, 1000)
    schedule.every("refresh", done.set, 0.05)
    assert done.wait(60)
    schedule.stop()


def test_a_job_that_is_due_while_it_runs_is_missed_and_told() -> None:
    missed: list[str] = []
    told, end = threading.Event(), threading.Event()

    def note(name: str) -> None:
        missed.append(name)
        told.set()

    schedule = Schedule(["icmp"], note)
    schedule.start()
    schedule.every("icmp", lambda: end.wait(60), 0.05, "icmp")
    assert told.wait(60)
    end.set()
    schedule.stop()
    assert set(missed) == {"icmp"}


def test_stop_waits_for_a_job_that_books_its_next() -> None:
    schedule, began, ended = Schedule(["throughput"]), threading.Event(), list[str]()

    def job() -> None:
        began.set()
        time.sleep(0.2)
        schedule.once("turn", lambda: None, time.time_ns() + 100 * NS_PER_S, "throughput")
        ended.append("booked")

    schedule.start()
    schedule.once("turn", job, time.time_ns(), "throughput")
    assert began.wait(60)
    schedule.stop()
    assert ended == ["booked"]
