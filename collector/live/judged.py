"""What a judged window comes to: frames by table, to which each stage of the telling may add."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from linkgauge.frame import Frame

Judged = Mapping[str, Frame]
"""Frames of one window by the name of their table: "state" first, then "node", "sink", "collector", and what
observers found: "place", "alert". Only "state" when a window is judged again."""
Stage = Callable[[Judged], Judged | None]
"""Is given what is there so far; what it returns is there for the stages behind it."""
