"""Which of two collectors judges for everybody: the standby does while its peer does not answer.

Both take batches all the time and keep live state. A collector without `standby` is always on duty. A
standby asks its peer a few times in a window; after SILENT_WINDOWS without an answer from a healthy peer it
is on duty, and off again once it has answered for as many windows without a gap: a peer that answers now and
then makes no duty that comes and goes. Two standbys are both on duty, and say so: alerts told twice are
better than alerts that nobody tells. Off duty, verdicts and nodes are neither journalled nor told. Those
that the peer did not tell for sure are kept, because it was perhaps gone already or its judge stood still,
and journalled when duty begins: the stores hold one verdict of a link and window, the one written last.
"""

from __future__ import annotations

import json
import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from urllib3.exceptions import HTTPError

from collector.event_line import event_line
from collector.http.access import Access
from collector.live.judged import Judged
from collector.live.judging import LEAST_SILENT_S
from collector.peer.peer_client import PeerClient
from collector.settings import Settings
from linkgauge.answer import words
from linkgauge.clock import NS_PER_S, Clock, seconds
from linkgauge.errors import ConfigError
from linkgauge.schema import MEMBER, NODE, STATE

log = logging.getLogger(__name__)
PATH = "/v1/duty"
SILENT_WINDOWS = 3
ASKED_IN_A_WINDOW = 4
_LONGEST_ASKING_S = 2.0
_JUDGED_LATER_S = 10.0
"""How long after its end a window is judged, at most."""
MOST_KEPT = 64
"""Windows that are kept in case that duty begins."""
_HANDED_OVER = (STATE.name, NODE.name, MEMBER.name)


@dataclass(frozen=True, slots=True)
class PeerAnswer:
    """What the peer said: standby: so is it. fault: why it does not count as there, None when it does."""

    standby: bool = False
    fault: str | None = None


class Asker(Protocol):
    """Asks the peer."""

    def ask(self) -> PeerAnswer: ...


class Duty:
    """Whether this collector's verdicts count. `start` and `stop` once each; without a standby nothing runs.

    asker: None for a collector that is no standby.
    """

    def __init__(self, clock: Clock, window_ns: int, asker: Asker | None = None) -> None:
        self._clock, self._window_ns, self._asker = clock, window_ns, asker
        self._there_ns = clock.now().mono_ns  # a standby that starts gives its peer the time to answer
        self._told_ns = 0
        self._answer, self._well_ns = PeerAnswer(), self._there_ns  # since when each answer was a good one
        self._was_on = asker is None
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="duty", daemon=True)

    def on(self) -> bool:
        """Whether verdicts are journalled and told now."""
        if self._asker is None or self._answer.standby:
            return True
        now_ns, patience_ns = self._clock.now().mono_ns, SILENT_WINDOWS * self._window_ns
        if now_ns - self._there_ns > patience_ns:
            return True
        return self._was_on and (self._answer.fault is not None or now_ns - self._well_ns < patience_ns)

    def peer_told_ns(self) -> int:
        """Windows that ended before this time, Unix ns, were told by the peer for sure: a judge that stands
        still is a fault only after a while, up to which its collector answers well. 0: it is not known, as
        it never answered, or the clock was set back since."""
        return self._told_ns if self._told_ns <= self._clock.now().wall_ns else 0

    def start(self) -> None:
        if self._asker is not None:
            log.info(event_line("standby", on_duty=self.on()))
            self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(2 * _LONGEST_ASKING_S)

    def step(self) -> None:
        """Ask once, and say what has changed."""
        if self._asker is None:
            return
        answer = self._asker.ask()
        if answer.fault is None:
            now = self._clock.now()
            self._there_ns = now.mono_ns
            patience_ns = max(SILENT_WINDOWS * self._window_ns, seconds(LEAST_SILENT_S))
            self._told_ns = now.wall_ns - patience_ns - 2 * self._window_ns - seconds(_JUDGED_LATER_S)
            if self._answer.fault is not None:
                self._well_ns = self._there_ns
            self._answer = answer
        elif answer.fault != self._answer.fault:
            log.warning(event_line("peer_away", why=answer.fault))
            self._answer = PeerAnswer(self._answer.standby, answer.fault)
        if (on := self.on()) != self._was_on:
            self._was_on = on
            log.warning(event_line("on_duty" if on else "off_duty", why=self._why(on)))

    def _why(self, on: bool) -> str:
        if not on:
            return f"the peer has answered for {SILENT_WINDOWS} windows"
        if self._answer.standby:
            return "the peer is a standby too; take `standby` from the settings of one of the two"
        return f"no answer of a healthy peer for {SILENT_WINDOWS} windows: {self._answer.fault}"

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.step()
            self._stopping.wait(self._window_ns / ASKED_IN_A_WINDOW / NS_PER_S)


class HttpAsker:
    """Asks by the peer's interface."""

    def __init__(self, client: PeerClient) -> None:
        self._client = client

    def ask(self) -> PeerAnswer:
        try:
            status, _, body = self._client.request("GET", PATH, timeout_s=_LONGEST_ASKING_S)
        except (HTTPError, ConfigError) as err:
            return PeerAnswer(fault=f"{self._client.url}: {err}"[:300])
        try:
            said = json.loads(body) if status == 200 else None
        except ValueError:
            said = None
        if isinstance(said, dict) and isinstance(said.get("standby"), bool):
            return PeerAnswer(said["standby"])
        return PeerAnswer(fault=f"{self._client.url}: status {status}: {words(status, body)}"[:300])


class Handover:
    """Keeps verdicts and nodes of the windows that nobody told, until duty begins. Called with each window's
    frames. peer_told_ns: see Duty."""

    def __init__(
        self,
        on_duty: Callable[[], bool],
        publish: Callable[[Judged], None],
        peer_told_ns: Callable[[], int] = lambda: 0,
    ) -> None:
        self._on_duty, self._publish, self._peer_told_ns = on_duty, publish, peer_told_ns
        self._kept: deque[Judged] = deque(maxlen=MOST_KEPT)

    def __call__(self, judged: Judged) -> None:
        if not self._on_duty():
            self._kept.append({name: judged[name] for name in _HANDED_OVER if name in judged})
            told_ns = self._peer_told_ns()
            while self._kept and _end_ns(self._kept[0]) < told_ns:
                self._kept.popleft()
            return
        while self._kept:
            self._publish(self._kept.popleft())


def _end_ns(judged: Judged) -> int:
    """End of the window, Unix ns; 0 of frames without rows."""
    for frame in judged.values():
        if frame.rows:
            return int(frame.count("start_ns")[0]) + int(frame.count("length_ns")[0])
    return 0


def duty_of(settings: Settings, clock: Clock, window_ns: int) -> Duty:
    """The duty of a collector with these settings. Raises ConfigError: a standby of nobody."""
    if not settings.standby:
        return Duty(clock, window_ns)
    if settings.peer is None:
        raise ConfigError(
            f"{settings.file}: a standby needs to know its peer; add `peer` or take `standby` out"
        )
    return Duty(clock, window_ns, HttpAsker(PeerClient(settings.peer)))


def add_duty_route(
    app: FastAPI, access: Access, standby: bool, duty: Duty, fault: Callable[[], str | None]
) -> None:
    """What a standby asks: 200 while this collector works, 503 with the reason while it does not."""

    @app.get(PATH, summary="Whether this collector works and judges, for its standby")
    def get_duty(request: Request) -> JSONResponse:
        access.bringer(request.headers.get("Authorization", ""))
        told: dict[str, Any] = {"standby": standby, "on": duty.on()}
        if (why := fault()) is not None:
            return JSONResponse({"reason": "fault", "error": why}, 503)
        return JSONResponse(told)
