"""How long a collector could have heard of what it has not heard of yet: since it began, and since new plans
took over. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

PATIENCE_S = 60.0
"""What was never heard of is missed after this time."""


@dataclass(frozen=True, slots=True)
class Beginning:
    """up_s: since the collector began. takes_over_in_s: until the plans of a changed inventory take over,
    below 0 when they have. Infinite, or minus infinite, where there is nothing to tell.
    """

    up_s: float = math.inf
    takes_over_in_s: float = -math.inf

    @classmethod
    def of(cls, status: Mapping[str, Any]) -> Self:
        """Of the JSON of /v1/status; that of an older collector does not tell."""
        up_s, in_s = status.get("up_s"), status.get("inventory", {}).get("takes_over_in_s")
        return cls(math.inf if up_s is None else up_s, -math.inf if in_s is None else in_s)

    @property
    def just_begun(self) -> bool:
        return self.up_s <= PATIENCE_S

    @property
    def early(self) -> bool:
        """What was never heard of need not have been yet."""
        return self.just_begun or -self.takes_over_in_s <= PATIENCE_S

    def unheard(self) -> str:
        """In words, what is known of an agent of which nothing is: nobody looks behind a start."""
        if math.isinf(self.up_s):
            return "has never reported"
        return f"has not reported since the collector began {_length(self.up_s)} ago"

    def why(self) -> str:
        """In words, why it is early."""
        if self.just_begun:
            return f"the collector began {_length(self.up_s)} ago"
        if self.takes_over_in_s > 0:
            return f"new plans take over in {_length(self.takes_over_in_s)}"
        return f"new plans took over {_length(-self.takes_over_in_s)} ago"


def _length(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 3600 else f"{seconds / 3600:.1f} h"
