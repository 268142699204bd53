"""A slot of time for which a roll-up is made, and the note that rows of an agent touched it. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from collector.rollup.merge import LENGTHS_NS
from linkgauge.schema import WINDOW, WINDOW_1H, WINDOW_5M
from linkgauge.table import Table

SHORT_NS, HOUR_NS = LENGTHS_NS[WINDOW_5M.name], LENGTHS_NS[WINDOW_1H.name]


@dataclass(frozen=True, slots=True, order=True)
class Slot:
    """From start_ns, aligned to the Unix epoch, for length_ns: SHORT_NS or HOUR_NS."""

    start_ns: int
    length_ns: int

    @property
    def end_ns(self) -> int:
        return self.start_ns + self.length_ns

    @property
    def source(self) -> Table:
        """The table of whose rows it is made: an hour is made of its 5-minute rows."""
        return WINDOW if self.length_ns == SHORT_NS else WINDOW_5M

    @property
    def table(self) -> Table:
        """The table of the rows that are made."""
        return WINDOW_5M if self.length_ns == SHORT_NS else WINDOW_1H


@dataclass(frozen=True, slots=True)
class Touch:
    """Rows of an agent's links touched a slot; the last of them are in the journal's batch `seq`.

    seq 0: they are in the archive already.
    """

    slot: Slot
    agent: str
    seq: int


def agent_of(link: str) -> str:
    """The agent that measures a link, given as text."""
    return link.partition(">")[0]
