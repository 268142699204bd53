"""How strong a fault may be, in its unit: what the lab injects and what a reflector plays."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Magnitude:
    """magnitude: what is used when none is given, within [least, most]; unit: "" where there is no choice."""

    magnitude: float
    unit: str
    least: float
    most: float

    def text(self, size: float) -> str:
        """A magnitude as people read it."""
        return f"a ratio of {size:g}" if self.unit == "ratio" else f"{size:.10g} {self.unit}"

    @property
    def between(self) -> str:
        """What a magnitude may be, for people."""
        span = f"{self.least:.10g} to {self.most:.10g}"
        return f"a ratio of {span}" if self.unit == "ratio" else f"{span} {self.unit}"
