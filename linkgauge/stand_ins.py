"""A faulty file read as far as it goes, so that one look tells every fault in it. Pure.

Where a value is missing or wrong, one that fits stands in for it; then what the parts say across each other
can be checked as well. A sentence in which such a value is named speaks of nothing that stands in the file.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

M = TypeVar("M", bound=BaseModel)
Spot = tuple[int | str, ...]
"""The way from the top of the file to a value: keys and numbers of items."""

_MOST_ROUNDS = 32
_EARLY = "0001-01-01T00:00:00+00:00"
_DEFAULT = object()
"""Take the key out, so that its default counts."""
_EXPECTED = re.compile(r"'(?P<word>[^']*)'|(?P<number>\d+)")


@dataclass(frozen=True, slots=True)
class Fault:
    """What the model says of one spot. said: as pydantic tells it."""

    spot: Spot
    said: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Reading(Generic[M]):
    """model: what could be read, None where nothing fits. names: of the values that stand in."""

    model: M | None
    faults: tuple[Fault, ...] = ()
    names: frozenset[str] = frozenset()

    def of_the_file(self, sentences: Iterable[str]) -> Iterator[str]:
        """Those in which no value is named that only stands in, and not about what has a fault in itself:
        what is said of a mapping may be so because one of its keys is wrong."""
        faulty = {path_of(fault.spot[:end]) for fault in self.faults for end in range(1, len(fault.spot))}
        for each in sentences:
            if each.partition(": ")[0] not in faulty and not any(name in each for name in self.names):
                yield each


def reading(data: object, model: type[M]) -> Reading[M]:
    """Every fault that `model` finds in what was loaded of a file; `data` stays as it is."""
    found: list[Fault] = []
    mended, places = data, _StandIns()
    for _ in range(_MOST_ROUNDS):
        try:
            made = model.model_validate(mended)
        except ValidationError as err:
            faults = [Fault(spot_of(each, mended), dict(each)) for each in err.errors()]
        else:
            return Reading(made, tuple(found), frozenset(places.names))
        known = [fault.spot for fault in found]
        found += [fault for fault in faults if not any(_touch(fault.spot, spot) for spot in known)]
        mended = copy.deepcopy(data) if mended is data else mended
        fitted = [places.mend(mended, fault) for fault in faults]
        if not all(fitted):
            break
    return Reading(None, tuple(found), frozenset(places.names))


def spot_of(said: Any, data: object) -> Spot:
    """Where it is in the file: pydantic also names the form of several that it took."""
    spot: list[int | str] = []
    for at, part in enumerate(said["loc"]):
        last = said["type"] == "missing" and at == len(said["loc"]) - 1
        try:
            data = data[part]  # type: ignore[index]
        except (LookupError, TypeError):
            if not last:
                continue
        spot.append(part)
    return tuple(spot)


def path_of(spot: Spot) -> str:
    """``nodes[3].site``, as sentences have it; "top" of the whole."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in spot)
    return text.lstrip(".") or "top"


def _touch(one: Spot, other: Spot) -> bool:
    shorter = min(len(one), len(other))
    return one[:shorter] == other[:shorter]


class _StandIns:
    """names: of what stood in so far. A spot has one value after the other until the model takes it."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self._tried: dict[Spot, tuple[int, int]] = {}

    def mend(self, data: Any, fault: Fault) -> bool:
        """Put the next value there; False when there is none left, or no place for it."""
        if not fault.spot:
            return False
        *way, key = fault.spot
        for part in way:
            data = data[part]
        if fault.said["type"] == "extra_forbidden":
            del data[key]
            return True
        if (fits := _told(fault.said, data.get(key) if isinstance(data, dict) else data[key])) is not None:
            data[key] = fits
            return True
        return self._try(data, key, fault)

    def _try(self, data: Any, key: int | str, fault: Fault) -> bool:
        number, at = self._tried.get(fault.spot, (len(self._tried), 0))
        choices = self._choices(number)
        if at < len(choices) and choices[at] is _DEFAULT and not (isinstance(data, dict) and key in data):
            at += 1
        self._tried[fault.spot] = (number, at + 1)
        if at >= len(choices):
            return False
        if choices[at] is _DEFAULT:
            del data[key]
        else:
            data[key] = choices[at]
        return True

    def _choices(self, number: int) -> Sequence[object]:
        name, address = f"unread-{number}-name", f"fd00:dead:{number % 65536:x}::1"
        self.names |= {name, address, _EARLY[:10]}
        return name, f"{name}>{name}-far@{name}", address, f"http://{name}", _EARLY, _DEFAULT, 1, {}


def _told(said: dict[str, Any], value: object) -> object:
    """A value that the fault itself names: one of several words, or `instead` of a form among several."""
    context = said.get("ctx") or {}
    if said["type"] == "literal_error" and (match := _EXPECTED.search(context["expected"])):
        return match["word"] if match["number"] is None else int(match["number"])
    if "instead" in context:
        return {**(value if isinstance(value, dict) else {}), context["key"]: context["instead"]}
    return None
