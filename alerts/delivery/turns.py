"""Whose turn it is: which of the notices that wait go as the next message. Pure.

Pages first, and in order within an alert. What failed lets the others go first, as the receiver may stumble
over it. When many messages failed one after the other the receiver was away: that is not held against what
was tried meanwhile, or the oldest pages would be told last when it is back. Once only, for many that a
receiver stumbles over look alike.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from alerts.delivery.portion import Portion
from alerts.delivery.rows import Notice
from alerts.receivers.receiver import Policy
from alerts.receivers.told import Told

AWAY_AFTER = 5
"""A receiver that took none of more messages than these, one after the other, was away."""
Wanted = tuple[Notice, Told]


class Turns:
    """Not thread safe. most: notices that are looked at together."""

    def __init__(self, policy: Policy, most: int) -> None:
        self._policy, self._most = policy, most
        self._portion = Portion(most)
        self._tries: dict[int, int] = {}
        self._failed, self._failures = set[int](), 0  # since something was taken
        self._forgiven: set[int] = set()
        self.changed = False
        """What was chosen as the first is not any more."""

    @property
    def put_off(self) -> bool:
        """Whether something waits that has failed."""
        return bool(self._tries)

    def keep(self, waiting: Sequence[Wanted]) -> None:
        """These wait; others were dropped."""
        if self._tries or self._forgiven:
            there = {notice.seq for notice, _ in waiting}
            self._tries = {seq: tries for seq, tries in self._tries.items() if seq in there}
            self._forgiven &= there

    def first(self, waiting: Sequence[Wanted]) -> Sequence[Wanted]:
        """What goes next: very many would have to be looked through for each message."""
        self.changed = False
        if len(waiting) <= self._most or (self._policy.gathers and self._portion.size > 1):
            return waiting
        return self._ordered(waiting)[: self._most]

    def next(self, waiting: Sequence[Wanted], last: bool) -> Sequence[Wanted]:
        """What goes as the next message. last: only one more may go for now."""
        if (self._policy.gathers or last) and self._portion.size > 1:
            return self._ordered(waiting)[: self._portion.size]
        heads: dict[str, Wanted] = {}
        for each in waiting:
            heads.setdefault(each[0].alert, each)
        return [min(heads.values(), key=self._urgency)]

    def failed(self, chosen: Sequence[Wanted], stumbled: bool) -> None:
        """These were not taken. stumbled: by a bug, not because the receiver could not just now."""
        seqs = [notice.seq for notice, _ in chosen]
        for seq in seqs:
            self._tries[seq] = self._tries.get(seq, 0) + 1
        self._failed.update(seqs)
        self._failures += 1
        if stumbled:
            self._portion.refused(len(chosen))

    def refused(self, chosen: Sequence[Wanted]) -> None:
        """These will never be taken, together."""
        self._portion.refused(len(chosen))

    def done(self, chosen: Sequence[Wanted], taken: bool) -> None:
        """These wait no more. taken: else given up."""
        if self._failures > AWAY_AFTER:
            for seq in self._failed - self._forgiven:
                self._tries.pop(seq, None)
            self._forgiven |= self._failed
            self.changed = True
        self._failed, self._failures = set(), 0
        for notice, _ in chosen:
            self._tries.pop(notice.seq, None)
        if taken:
            self._portion.taken(len(chosen))

    def _ordered(self, waiting: Sequence[Wanted]) -> list[Wanted]:
        """What is urgent first, but each alert's in order."""
        heads: dict[str, tuple[int, bool, int]] = {}
        for each in waiting:
            heads.setdefault(each[0].alert, self._urgency(each))
        return sorted(waiting, key=lambda each: (heads[each[0].alert], each[0].seq))

    def _urgency(self, each: Wanted) -> tuple[int, bool, int]:
        notice, told = each
        return self._tries.get(notice.seq, 0), told.severity != "page", notice.seq


def without(waiting: Sequence[Wanted], seqs: Collection[int]) -> list[Wanted]:
    """Those that still wait when these are done."""
    return [each for each in waiting if each[0].seq not in seqs]
