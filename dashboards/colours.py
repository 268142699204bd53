"""The one palette: a colour means the same on every board, and colour-blind people tell the states apart.

Most are of Okabe and Ito's palette; the bands of a distribution are one hue from strong to pale. A test holds
them apart as people with each kind of colour blindness see them.
"""

from __future__ import annotations

MET = "#0072B2"
"""Keeps to the objective; fit; well."""
MISSED = "#D55E00"
"""Breaks the objective; unfit; ill; an alert fires."""
DOWN = "#B0307A"
"""Nothing answers."""
MAINTENANCE = "#F0E442"
"""Announced work or a drill: nobody is called."""
UNKNOWN = "#B8B8B8"
"""Measured, but nothing can be said."""
NO_DATA = "#454545"
"""Nothing was written."""
STATES = (MET, MISSED, DOWN, MAINTENANCE, UNKNOWN, NO_DATA)

FORWARD = "#56B4E9"
"""On the way out."""
BACKWARD = "#009E73"
"""On the way back."""
OBJECTIVE = "#E69F00"
"""What was asked or promised, drawn dashed."""
NEUTRAL = "#B8B0DE"
"""A figure without good or bad."""

P50, P95, P99, P999, HIGHEST = "#5B3FC4", "#7F6AD3", "#A394E0", "#C5BBED", "#E3DEF7"
"""Bands of a distribution."""
LOWEST = "#3A2A86"
LAND = "#3C4654"
"""Land on a map, behind everything."""
