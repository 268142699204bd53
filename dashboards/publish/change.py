"""A difference between what stands in a Grafana and what is wanted, and how to tell it. Pure but for `do`."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import yaml

MOST_LINES = 40
REDACTED = "[REDACTED]"
"""What Grafana shows in place of a secret."""


@dataclass(frozen=True, slots=True)
class Change:
    """sign: "+" add, "~" change, "-" remove. lines: what differs, for a person. do: carries it out."""

    sign: str
    what: str
    do: Callable[[], object] = field(repr=False)
    lines: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "\n".join([f"{self.sign} {self.what}", *(f"    {line}" for line in self.lines)])


def covers(there: Any, wanted: Any) -> bool:
    """Whether `there` says all that `wanted` does; what Grafana adds, and hidden secrets, do not count."""
    if there == REDACTED:
        return True
    if isinstance(wanted, dict) and isinstance(there, dict):
        return all(covers(there.get(key, _empty(value)), value) for key, value in wanted.items())
    if isinstance(wanted, list) and isinstance(there, list):
        return len(there) == len(wanted) and all(map(covers, there, wanted))
    return bool(there == wanted)


def differences(there: Any, wanted: Any) -> tuple[str, ...]:
    """Lines that leave and lines that come, as YAML; only of what is wanted."""
    before, after = (_text(value) for value in (_common(there, wanted), wanted))
    told = [
        line
        for line in difflib.unified_diff(before, after, n=0, lineterm="")
        if not line.startswith(("---", "+++", "@@"))
    ]
    more = len(told) - MOST_LINES
    return (*told[:MOST_LINES], f"... and {more} lines more") if more > 0 else tuple(told)


def _common(there: Any, wanted: Any) -> Any:
    """`there` with the keys that `wanted` has."""
    if isinstance(wanted, dict) and isinstance(there, dict):
        return {
            key: value if there[key] == REDACTED else _common(there[key], value)
            for key, value in wanted.items()
            if key in there
        }
    if isinstance(wanted, list) and isinstance(there, list):
        paired = [_common(*pair) for pair in zip(there, wanted, strict=False)]
        return [*paired, *there[len(wanted) :]]
    return there


def _empty(value: Any) -> Any:
    """Grafana leaves out what is empty."""
    return type(value)() if value in ({}, [], "", 0, False) else None


class _Plain(yaml.SafeDumper):
    """What stands in two places is written twice."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(value: Any) -> list[str]:
    return str(yaml.dump(value, Dumper=_Plain, sort_keys=True, width=110, allow_unicode=True)).splitlines()
