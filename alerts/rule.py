"""Rules: what of a link's state is an alert, written once in YAML, evaluated here and rendered for Grafana.

A rule looks at one field of `link_state`; with `directions` the field has `{direction}` in its name and each
direction is an alert of its own. Without, `delay_basis` tells the direction: forward when delay is judged one
way, else "round trip".
"""

from __future__ import annotations

import math
import string
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from linkgauge.errors import ConfigError
from linkgauge.model import DelayBasis
from linkgauge.probing import Model
from linkgauge.schema import STATE
from linkgauge.table import Kind
from linkgauge.yaml_file import read_yaml

RULES = Path(__file__).parent / "rules"
"""The rules that come with the program."""

FORWARD, BACKWARD, ROUND_TRIP = "forward", "backward", "round trip"
BASIS_DIRECTION: Mapping[int, str] = {
    DelayBasis.ONE_WAY: FORWARD,
    DelayBasis.HALF_ROUND_TRIP: ROUND_TRIP,
}
WORDS = ("origin", "target", "link", "src", "dst", "network", "tier", "direction", "basis", "since", "until")
"""What a template may use beside the rule's own numbers."""

RuleName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,22}[a-z0-9]$")]


class Rule(Model):
    """One rule file. `{name}` in a template is one of the rule's numbers or one of WORDS."""

    name: RuleName
    title: str = Field(min_length=1, max_length=120)
    severity: Literal["page", "ticket"]
    field: str
    directions: tuple[Literal["forward", "backward"], ...] = ()
    above: float = Field(0, ge=0, allow_inf_nan=False)
    """A window breaches when the field is above this."""
    hold_windows: int = Field(2, ge=1, le=100)
    """Breached windows in a row after which the alert fires."""
    clear_windows: int = Field(2, ge=1, le=100)
    """Clear windows without a breach between them after which it is over."""
    unknown_windows: int = Field(60, ge=2, le=10_000)
    """Windows in a row with an unknown field after which it ends, as nobody judges it any more."""
    numbers: dict[str, str]
    """Name in templates and messages: field of `link_state`."""
    summary: str
    resolved: str
    first_steps: tuple[str, ...] = Field(min_length=1)
    runbook: str = Field(min_length=1)

    @model_validator(mode="after")
    def _check(self) -> Rule:
        if ("{direction}" in self.field) != bool(self.directions):
            raise ValueError("directions must be named exactly when field has {direction} in it")
        known = {field.name for field in STATE.fields if field.kind is not Kind.HISTOGRAM}
        for pattern in (self.field, *self.numbers.values()):
            for direction in self.directions or ("",):
                if column(pattern, direction) not in known:
                    raise ValueError(f"there is no field {column(pattern, direction)} in link_state")
        for template in (self.summary, self.resolved):
            self._check_template(template)
        return self

    def _check_template(self, template: str) -> None:
        allowed = {*WORDS, *self.numbers}
        for _, name, *_ in string.Formatter().parse(template):
            if name is not None and name not in allowed:
                raise ValueError(f"a template has {{{name}}}, it may use {', '.join(sorted(allowed))}")


@dataclass(frozen=True, slots=True)
class Watch:
    """One rule in one direction; direction is empty where delay_basis tells it."""

    rule: Rule
    direction: str

    @property
    def field(self) -> str:
        """The column of STATE that is watched."""
        return column(self.rule.field, self.direction)

    @property
    def numbers(self) -> dict[str, str]:
        """Names of the rule's numbers and their columns of STATE."""
        return {name: column(pattern, self.direction) for name, pattern in self.rule.numbers.items()}

    def direction_of(self, basis: int) -> str:
        """The direction that an alert of this watch names, given the link's delay basis."""
        return self.direction or BASIS_DIRECTION.get(basis, ROUND_TRIP)


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
    if faults:
        raise ConfigError(*faults)
    return tuple(rules)


def told(template: str, numbers: Mapping[str, float], words: Mapping[str, str]) -> str:
    """A template with its numbers as a person reads them: ratios in percent, us in us or ms."""
    return template.format(**{name: quantity(name, value) for name, value in numbers.items()}, **words)


def quantity(name: str, value: float) -> str:
    """A number as text, by the unit at the end of its name; "an unknown share" or "unknown" when NaN."""
    if math.isnan(value):
        return "an unknown share" if name.endswith("_ratio") else "unknown"
    if name.endswith("_ratio"):
        return f"{value * 100:.3g} %"
    if name.endswith("_us"):
        return f"{value:.3g} us" if value < 1_000 else f"{value / 1_000:.3g} ms"
    return f"{value:g}"
