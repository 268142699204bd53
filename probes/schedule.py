"""When the agent does what is not packet by packet: jobs by name, each kind on a thread of its own.

A job that takes longer than its interval is not started twice; one that starts much too late is left out.
Both are told to `missed`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

from apscheduler.events import EVENT_JOB_MAX_INSTANCES, EVENT_JOB_MISSED
from apscheduler.executors.pool import BasePoolExecutor
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger

from linkgauge.clock import NS_PER_S

_LATE_S = 5


class _Executor(BasePoolExecutor):  # type: ignore[misc]  # the library has no types
    """Runs the scheduler's jobs in a pool that we keep, to wait for it ourselves."""

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        super().__init__(pool)


class Schedule:
    """A scheduler with one thread for each name in `threads`, and one called "default".

    missed: gets the name of a job each time that it was due and not started.
    """

    def __init__(self, threads: Iterable[str], missed: Callable[[str], None] = lambda name: None) -> None:
        self._pools = {name: ThreadPoolExecutor(1) for name in ("default", *threads)}
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            executors={name: _Executor(pool) for name, pool in self._pools.items()},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": _LATE_S},
        )
        self._scheduler.add_listener(
            lambda event: missed(event.job_id), EVENT_JOB_MAX_INSTANCES | EVENT_JOB_MISSED
        )

    @property
    def running(self) -> bool:
        """Between `start` and `stop`."""
        return bool(self._scheduler.running)

    def start(self) -> None:
        self._scheduler.start()

    def stop(self) -> None:
        """Wait for the jobs that run; start no other."""
        # the scheduler would wait for its jobs with a lock held that a job needs to book the next turn, and a
        # turn that falls due meanwhile would be looked for in vain: so it pauses, the jobs end, then it does
        self._scheduler.pause()
        for pool in self._pools.values():
            pool.shutdown(wait=True)
        self._scheduler.shutdown(wait=False)

    def every(
        self,
        name: str,
        job: Callable[[], object],
        interval_s: float,
        thread: str = "default",
        jitter_s: float | None = None,
    ) -> None:
        """Do `job` again and again, first after an interval; replaces the job of that name."""
        trigger = IntervalTrigger(seconds=interval_s, jitter=jitter_s, timezone=UTC)
        self._scheduler.add_job(job, trigger, id=name, executor=thread, replace_existing=True)

    def once(self, name: str, job: Callable[[], object], wall_ns: int, thread: str) -> None:
        """Do `job` at a time, Unix ns, however late; replaces the job of that name that has not begun."""
        self._scheduler.add_job(
            job,
            DateTrigger(datetime.fromtimestamp(wall_ns / NS_PER_S, UTC)),
            id=name,
            executor=thread,
            replace_existing=True,
            misfire_grace_time=None,
            max_instances=2,  # the next may fall due while the one before still runs
        )

    def cancel(self, name: str) -> None:
        """Do not start the job of that name any more; nothing happens when there is none."""
        with contextlib.suppress(JobLookupError):
            self._scheduler.remove_job(name)
