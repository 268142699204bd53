"""Rules: a bound on one column of one table that the collector writes in every window. Pure but for reading.

Written once in YAML, evaluated in process (alerts.evaluation.evaluate) and rendered for Grafana; both read
the same column, so both mean the same. With `directions` the field has `{direction}` in its name, and each
direction is an alert of its own; without, an alert's direction is NO_DIRECTION, save of a place, whose row
names it.
"""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from alerts.quantity import quantity
from linkgauge.clock import NS_PER_S
from linkgauge.errors import ConfigError
from linkgauge.probing import Model
from linkgauge.schema import COLLECTOR, NODE, PLACE, SINK, STATE
from linkgauge.table import Kind, Table
from linkgauge.yaml_file import read_yaml

RULES = Path(__file__).parent / "rules"
"""The rules that come with the program."""

FORWARD, BACKWARD, NO_DIRECTION = "forward", "backward", "-"
LONGEST_HISTORY = 64
"""Windows that an evaluation remembers."""
LONGEST_AFTERMATH_S = 7 * 86_400

TABLES: Mapping[str, Table] = {table.name: table for table in (STATE, NODE, SINK, COLLECTOR, PLACE)}
"""The tables that a rule may look at, by name."""
_OF_ALL = ("about", "direction", "bound", "since", "until")
_OF_LINK = (
    "origin", "target", "link", "src", "dst", "src_site", "dst_site", "network", "tier", "basis",
)  # fmt: skip
WORDS: Mapping[str, tuple[str, ...]] = {
    "state": (*_OF_ALL, *_OF_LINK),
    "node": (*_OF_ALL, "node", "site", "region", "operator"),
    "sink": (*_OF_ALL, "collector", "sink"),
    "collector": (*_OF_ALL, "collector"),
    "place": (*_OF_ALL, "place", "kind", "network", "site", "others"),
}
"""What a template of a rule of that table may use beside the rule's own numbers."""

RuleName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,22}[a-z0-9]$")]


class Rule(Model):
    """One rule file. `{name}` in a template is one of the rule's numbers or one of WORDS of its table."""

    name: RuleName
    title: str = Field(min_length=1, max_length=120)
    severity: Literal["page", "ticket"]
    table: Literal["state", "node", "sink", "collector", "place"]
    field: str
    directions: tuple[Literal["forward", "backward"], ...] = ()
    above: float | None = Field(None, allow_inf_nan=False)
    """A window breaches when the field is above this."""
    below: float | None = Field(None, allow_inf_nan=False)
    """Or: when it is below this."""
    hold_windows: int = Field(3, ge=1, le=LONGEST_HISTORY)
    clear_windows: int = Field(6, ge=1, le=LONGEST_HISTORY)
    """Fires while at least hold_windows of the last hold_windows + clear_windows - 1 windows breach: of a
    clean past after so many breached ones, and is over after so many clear ones."""
    unknown: Literal["holds", "clears"] = "holds"
    """What a window with an unknown field is: none at all, or a clear one."""
    unknown_windows: int = Field(60, ge=2, le=10_000)
    """Where unknown holds: windows in a row after which an alert ends, as nobody judges it any more."""
    explained_by: tuple[RuleName, ...] = ()
    """Rules whose alert of the same thing explains one of this rule, which is then held back."""
    aftermath_s: Annotated[float, Field(ge=0, le=LONGEST_AFTERMATH_S)] | Literal["events"] = 0.0
    """How long after its explanation ended an alert is still held back: as long as the field looks back.
    events: as long as an event is told of, which is a period, or a quarter of an hour when that is longer."""
    numbers: dict[str, str]
    """Name in templates and messages: field of the table."""
    summary: str
    resolved: str
    first_steps: tuple[str, ...] = Field(min_length=1)
    runbook: str = Field(min_length=1)

    @property
    def windows(self) -> int:
        """How many windows are looked at."""
        return self.hold_windows + self.clear_windows - 1

    def aftermath_ns(self, events_ns: int) -> int:
        """aftermath_s in ns; events_ns: how long an event is told of."""
        return events_ns if self.aftermath_s == "events" else round(self.aftermath_s * NS_PER_S)

    @property
    def bound(self) -> float:
        """What the field is held against."""
        return self.above if self.above is not None else self.below or 0.0

    def breached(self, values: NDArray[Any]) -> NDArray[np.bool_]:
        """Which values are beyond the bound; unknown ones (NaN) are not."""
        beyond: NDArray[np.bool_] = values > self.above if self.above is not None else values < self.bound
        return beyond

    @model_validator(mode="after")
    def _check(self) -> Rule:
        if (self.above is None) == (self.below is None):
            raise ValueError("a rule has either above or below; name one of them")
        if self.windows > LONGEST_HISTORY:
            raise ValueError(f"hold_windows and clear_windows together may be {LONGEST_HISTORY + 1} at most")
        if ("{direction}" in self.field) != bool(self.directions):
            raise ValueError("directions must be named exactly when field has {direction} in it")
        if self.directions and self.table != "state":
            raise ValueError("directions are of links: only rules of the table state have them")
        table = TABLES[self.table]
        known = {field.name for field in table.fields if field.kind in (Kind.COUNT, Kind.REAL)}
        for pattern in (self.field, *self.numbers.values()):
            for direction in self.directions or ("",):
                if column(pattern, direction) not in known:
                    raise ValueError(
                        f"there is no number {column(pattern, direction)} in the table {table.name}"
                    )
        if taken := sorted(set(WORDS[self.table]) & set(self.numbers)):
            raise ValueError(f"numbers: {taken[0]} is a word of every template; name the number otherwise")
        for template in (self.summary, self.resolved):
            self._check_template(template)
        return self

    def _check_template(self, template: str) -> None:
        allowed = {*WORDS[self.table], *self.numbers}
        try:
            parts = list(string.Formatter().parse(template))
        except ValueError as err:
            raise ValueError(f"a template cannot be filled in ({err}); names alone stand in braces") from None
        for _, name, how, conversion in parts:
            if name is not None and name not in allowed:
                raise ValueError(f"a template has {{{name}}}, it may use {', '.join(sorted(allowed))}")
            if how or conversion:
                raise ValueError(f"a template has more than {name} in its braces; names alone stand there")


@dataclass(frozen=True, slots=True)
class Watch:
    """One rule in one direction; direction is empty where the rule has none."""

    rule: Rule
    direction: str

    @property
    def table(self) -> str:
        """Name of the table that is watched."""
        return self.rule.table

    @property
    def field(self) -> str:
        """The column that is watched."""
        return column(self.rule.field, self.direction)

    @property
    def measurement(self) -> str:
        """Where that column lands in InfluxDB."""
        return TABLES[self.table].field(self.field).measurement or ""

    @property
    def numbers(self) -> dict[str, str]:
        """Names of the rule's numbers and their columns."""
        return {name: column(pattern, self.direction) for name, pattern in self.rule.numbers.items()}

    @property
    def bound(self) -> str:
        """The bound as a person reads it."""
        return quantity(self.field, self.rule.bound)


def watches(rules: tuple[Rule, ...]) -> tuple[Watch, ...]:
    """Every rule in each of its directions, in order."""
    return tuple(Watch(rule, direction) for rule in rules for direction in rule.directions or ("",))


def column(pattern: str, direction: str) -> str:
    """The field that a pattern names in a direction."""
    return pattern.replace("{direction}", direction)


def load_rules(folder: Path = RULES) -> tuple[Rule, ...]:
    """Every *.yaml of the folder, by name; raises ConfigError with every fault found."""
    rules: list[Rule] = []
    faults: list[str] = []
    paths = sorted(folder.glob("*.yaml"))
    if not paths:
        raise ConfigError(f"{folder}: has no rule files; put *.yaml files there or name another folder")
    for path in paths:
        try:
            rule = read_yaml(path, Rule)
        except ConfigError as err:
            faults.extend(err.faults)
            continue
        if rule.name != path.stem:
            faults.append(f"{path}: name: is {rule.name}, but must be that of the file, {path.stem}")
        rules.append(rule)
    faults += _strangers(folder, rules) if not faults else []
    if faults:
        raise ConfigError(*faults)
    return tuple(rules)


def _strangers(folder: Path, rules: list[Rule]) -> list[str]:
    """A fault for each rule that is explained by itself, or by one that is not there."""
    names = {rule.name for rule in rules}
    return [
        f"{folder / rule.name}.yaml: explained_by: {other} is "
        + ("the rule itself" if other == rule.name else "no rule of this folder")
        + "; name others, or leave it out"
        for rule in rules
        for other in rule.explained_by
        if other not in names - {rule.name}
    ]
