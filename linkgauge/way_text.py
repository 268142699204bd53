"""How the text of a way reads: addresses of the hops, in order, with a blank between (the table PATH)."""

from __future__ import annotations

SILENT = "*"
"""Stands for a hop that did not answer."""
CUT = " ..."
"""Ends a text that was cut at a hop."""
