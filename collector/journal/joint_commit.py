"""Many callers, one transaction: who comes first commits what all that wait have brought.

While one transaction is being synced to disk the next callers line up; the first of them commits for the
line. So the cost of a sync is shared by as many as come at once, and a caller alone waits for nobody.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from linkgauge.errors import StoreError

Item = TypeVar("Item")
Result = TypeVar("Result")


class _Turn(Generic[Item, Result]):
    """One caller's item, and what became of it."""

    __slots__ = ("fault", "item", "result")

    def __init__(self, item: Item) -> None:
        self.item = item
        self.result: Result | None = None
        self.fault: BaseException | None = None


class JointCommit(Generic[Item, Result]):
    """commit: keeps all items or none, and gives a result (never None) for each; may raise StoreError."""

    def __init__(self, commit: Callable[[Sequence[Item]], Sequence[Result]]) -> None:
        self._commit = commit
        self._line: list[_Turn[Item, Result]] = []
        self._lining_up, self._committing = threading.Lock(), threading.Lock()

    def add(self, item: Item) -> Result:
        """Returns when a transaction with `item` is done; its failure is told to all who were in it."""
        mine: _Turn[Item, Result] = _Turn(item)
        with self._lining_up:
            self._line.append(mine)
        with self._committing:
            if mine.result is None and mine.fault is None:
                self._lead()
        if mine.fault is not None:
            # an exception of its own: raising writes into it, and others raise theirs at the same time
            raise StoreError(str(mine.fault)) from mine.fault
        assert mine.result is not None
        return mine.result

    def _lead(self) -> None:
        """Commit for all that stand in line; whoever leads is one of them."""
        with self._lining_up:
            turns, self._line = self._line, []
        try:
            results = self._commit([turn.item for turn in turns])
        except BaseException as err:
            for turn in turns:
                turn.fault = err
            if not isinstance(err, StoreError):
                raise
            return
        for turn, result in zip(turns, results, strict=True):
            turn.result = result
