"""Makes the roll-ups of slots that are over: reads the archive, merges, journals the rows, forgets the note.

A slot is made when it is over, late rows have had their time, and the archive has every batch that touched
it. Killed between journalling and forgetting, it is made again, with the same rows; of two copies of a row
the later counts. The newest slots come first, so that boards fill from now backwards; every fourth is the
oldest, so that none waits for ever. A slot that cannot be read is left for a while, and others go on; so is
what would be made of fewer windows than before, because a file cannot be read: what stands, stays. While
agents catch up after an outage their batches go before: slots are made, but few.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import UTC, datetime
from typing import Protocol

from collector.admission import Refusal
from collector.event_line import event_line
from collector.health.metrics import Metrics
from collector.rollup.merge import roll_up
from collector.rollup.node_score import NodeScores
from collector.rollup.notes import Due, Grace, Notes
from collector.rollup.score import Specs, scores
from collector.rollup.slot import HOUR_NS, Slot, agent_of
from collector.rollup.source import Tally
from linkgauge.clock import NS_PER_S, Clock
from linkgauge.errors import StoreError
from linkgauge.frame import Frame, concat

log = logging.getLogger(__name__)
POLL_S = 5.0
GIVE_WAY_S = 15.0
"""Between two slots while batches go before; a slot is due every few minutes."""
LOOK_S = 5
ASIDE_S = 600
"""How long a slot whose rows cannot be read is left."""
BEHIND_NS = 3600 * NS_PER_S
_OLDEST_EVERY = 4


class Source(Protocol):
    """Rows of the archive; raises StoreError."""

    def pieces(self, slot: Slot, agents: Collection[str]) -> Iterator[Iterator[Frame]]: ...

    def shrunk(self, slot: Slot, made: Frame) -> frozenset[str]: ...

    def tallies(self, slot: Slot, agents: Collection[str]) -> Iterator[Sequence[Tally]]: ...

    def close(self) -> None: ...


class Maker:
    """See above. `start` and `stop` once; `step` may be called without the thread.

    put: journals rows, or raises Refusal. passed: the last batch that the archive has. give_way: whether
    batches go before just now. specs: of a link by its text, for its score.
    """

    def __init__(
        self,
        notes: Notes,
        source: Source,
        put: Callable[[Frame], None],
        passed: Callable[[], int],
        grace: Grace,
        clock: Clock,
        metrics: Metrics,
        give_way: Callable[[], bool] = lambda: False,
        specs: Specs = lambda _: None,
    ) -> None:
        self._give_way, self._specs = give_way, specs
        self._notes, self._source, self._put, self._passed = notes, source, put, passed
        self._grace, self._clock, self._metrics = grace, clock, metrics
        self._aside: dict[Slot, int] = {}
        self._made = 0
        self._behind, self._damaged, self._look_ns = False, 0, 0
        self.due = Due()
        """What is over and not made, as of LOOK_S ago at most."""
        self.trouble: str | None = None
        """Why nothing, or not everything, can be made just now."""
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rollups", daemon=True)

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    @property
    def made(self) -> int:
        """Slots made since the start."""
        return self._made

    def start(self) -> None:
        self._thread.start()

    def stop(self, wait_s: float = 10) -> None:
        """End after the piece at hand; what was not journalled whole is made in the next life."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(wait_s)
        if not self._thread.is_alive():
            self._source.close()

    def step(self) -> bool:
        """Make one slot; False when there is none, or when to wait before the next."""
        try:
            return self._step()
        except Refusal as err:  # the journal takes nothing, whichever slot it is
            self._aside.clear()
            self._say(err)
        except StoreError as err:
            self._say(err)
        except Exception as err:
            self._metrics.fault("rollup")
            log.exception(event_line("rollup_failed"))
            self.trouble = f"unexpected: {err!r}"
        return False

    def rest_s(self, made: bool) -> float:
        """How long to wait after a step that made a slot, or did not; 0 = go on at once."""
        if not made:
            return POLL_S
        return GIVE_WAY_S if self._give_way() else 0.0

    def _step(self) -> bool:
        now = self._clock.now()
        self._aside = {slot: until for slot, until in self._aside.items() if until > now.mono_ns}
        newest = (self._made + 1) % _OLDEST_EVERY != 0
        found = self._notes.ready(now.wall_ns, self._passed(), self._grace, newest, self._aside)
        if found is None or now.mono_ns >= self._look_ns:
            self._look(now.wall_ns)
            self._look_ns = now.mono_ns + LOOK_S * NS_PER_S
        if found is None:
            if not self._aside:
                self._well()
            return False
        slot, agents = found
        self._aside[slot] = now.mono_ns + ASIDE_S * NS_PER_S
        held = self._make(slot, agents)
        if held is None:
            return True
        self._notes.forget(slot, {agent: seq for agent, seq in agents.items() if agent not in held})
        if held:
            raise _shrunk(slot, held)
        self._made += 1
        del self._aside[slot]
        return True

    def _make(self, slot: Slot, agents: Collection[str]) -> set[str] | None:
        """Journal the slot's rows of these agents; None when told to stop before the end.

        Returns agents of which better rows stand than can be made now.
        """
        held: set[str] = set()
        for pieces in self._source.pieces(slot, agents):
            parts = []
            for piece in pieces:
                if self._stopping.is_set():
                    return None
                parts.append(roll_up(piece, slot.table, slot.length_ns))
            made = roll_up(concat(slot.table, parts), slot.table, slot.length_ns)
            if worse := self._source.shrunk(slot, made):
                held |= worse
                made = made.take(made.words("link").mask(lambda link: agent_of(link) not in worse))
            if made.rows:
                self._put(made)
        return held if slot.length_ns != HOUR_NS or self._score(slot, agents) else None

    def _score(self, slot: Slot, agents: Collection[str]) -> bool:
        """Journal the scores of an hour and their sums; False when told to stop before the end."""
        sums = NodeScores(slot, self._specs)
        for tallies in self._source.tallies(slot, agents):
            if self._stopping.is_set():
                return False
            self._put(scores(slot, tallies, self._specs))
            sums.add(tallies)
        self._put(sums.frame())
        return True

    def _look(self, now_ns: int) -> None:
        """Learn what is due; say once when it is much, and once when it no longer is."""
        self.due = due = self._notes.due(now_ns, self._grace)
        if self._notes.damaged > self._damaged:
            self._damaged = self._notes.damaged
            mend = "linkgauge rollup rebuild --from <last good time>"
            log.error(event_line("rollup_notes_lost", effect="slots noted in it are not made", mend=mend))
        behind = due.since_ns is not None and now_ns - due.since_ns > BEHIND_NS
        if behind and not self._behind:
            waits_s = (now_ns - (due.since_ns or now_ns)) / NS_PER_S
            log.warning(event_line("rollups_behind", slots=due.slots, oldest_waits_s=waits_s))
        elif self._behind and not behind:
            log.info(event_line("rollups_caught_up"))
        self._behind = behind

    def _say(self, err: Exception) -> None:
        """Once for each new trouble, not at every attempt."""
        if self.trouble is None:
            log.warning(event_line("rollups_held", error=err, kept="noted, and made later"))
        self.trouble = str(err)

    def _well(self) -> None:
        if self.trouble is not None:
            log.info(event_line("rollups_made_again"))
        self.trouble = None

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._stopping.wait(self.rest_s(self.step()))


def _shrunk(slot: Slot, agents: Collection[str]) -> StoreError:
    some, at = ", ".join(sorted(agents)[:5]), datetime.fromtimestamp(slot.start_ns // NS_PER_S, UTC)
    return StoreError(
        f"{slot.table.name} of {at:%Y-%m-%d %H:%M} UTC: files of the archive that cannot be read (see"
        f" archive_file_unreadable in the log) leave fewer windows of {some} than what stands was made of;"
        " put those files back from a copy, or remove them for good"
    )
