"""Saying a standing trouble once, and once that it is over: a log that repeats itself is not read."""

from __future__ import annotations

import logging


class Notice:
    """One thing that can be in trouble. Each different trouble is said once until it is over."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._said: str | None = None

    def trouble(self, kind: str, sentence: str) -> None:
        """Say `sentence` unless trouble of this kind was the last said."""
        if kind != self._said:
            self._logger.warning("%s", sentence)
            self._said = kind

    def over(self, sentence: str) -> None:
        """Say that it is over, if there was trouble."""
        if self._said is not None:
            self._logger.info("%s", sentence)
            self._said = None
