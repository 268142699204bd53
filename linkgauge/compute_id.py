"""The compute identifier of a node: who owns it, for what, where, of which type, to which specification.

Text form: ``owner:industry:location:type:specification``, each part of lower-case letters, digits, ``-``,
``.`` and ``_``; the type is one of general, intelligent, super. Example:
``shandong-telecom:government:370100:intelligent:8xh800-2tb``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields

from linkgauge.errors import ConfigError

TYPES = ("general", "intelligent", "super")
_PART = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


@dataclass(frozen=True, slots=True)
class ComputeId:
    """A parsed compute identifier; `str()` prints the text form, which parses back to an equal value.

    Raises ConfigError naming the part that is wrong.
    """

    owner: str
    """Who runs the centre."""
    industry: str
    """For which trade it is built, e.g. government, manufacturing."""
    location: str
    """Where: an administrative division code such as 370100, or a name."""
    type: str
    """general, intelligent or super."""
    specification: str
    """What it has, e.g. 8xh800-2tb."""

    def __post_init__(self) -> None:
        for field in fields(self):
            part = getattr(self, field.name)
            if not _PART.fullmatch(part):
                raise ConfigError(
                    f"compute identifier: {field.name} is {part!r}, but may only have 1 to 63 lower-case "
                    "letters, digits, '-', '.' and '_', starting with a letter or digit"
                )
        if self.type not in TYPES:
            raise ConfigError(
                f"compute identifier: type is {self.type!r}, but must be one of {', '.join(TYPES)}"
            )

    @classmethod
    def parse(cls, text: str) -> ComputeId:
        """Read the text form; raises ConfigError."""
        parts = text.split(":")
        if len(parts) != len(fields(cls)):
            raise ConfigError(
                f"compute identifier {text!r} has {len(parts)} parts, but needs five: "
                "owner:industry:location:type:specification"
            )
        return cls(*parts)

    def __str__(self) -> str:
        return ":".join((self.owner, self.industry, self.location, self.type, self.specification))
