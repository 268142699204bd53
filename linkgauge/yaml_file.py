"""YAML files into pydantic models: every fault at once, each a sentence with file and path of the key."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from linkgauge.errors import ConfigError
from linkgauge.owner import give

M = TypeVar("M", bound=BaseModel)
_DEEPEST = 64
"""Levels of mappings and lists in a file of ours, with plenty to spare."""


class HoldsSecret(ValueError):
    """Of a validator: the value is wrong and must not be shown."""


class _NoRepeat(yaml.CSafeLoader):
    """A key that stands twice in one mapping is a fault; YAML readers silently take the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[object, object]:
        written = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if len(set(written)) < len(written):
            self._refuse_repeats(node)
        return super().construct_mapping(node, deep)

    def _refuse_repeats(self, node: yaml.MappingNode) -> None:
        seen: set[object] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, str) and key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key!r} stands twice", key_node.start_mark
                )
            if isinstance(key, str):
                seen.add(key)


def read_yaml(path: Path, model: type[M]) -> M:
    """Read `path` as YAML and check it against `model`; raises ConfigError."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file; create it or name another") from None
    except PermissionError:
        raise ConfigError(f"{path}: {give(path)}") from None
    except (OSError, UnicodeDecodeError) as err:
        raise ConfigError(f"{path}: cannot be read ({err}); it must be a readable UTF-8 text file") from None
    try:
        _check_depth(path, text)
        data = yaml.load(text, Loader=_NoRepeat)
    except yaml.MarkedYAMLError as err:
        line = f"line {err.problem_mark.line + 1}: " if err.problem_mark else ""
        raise ConfigError(f"{path}: {line}not valid YAML: {err.problem}") from None
    except (yaml.YAMLError, RecursionError) as err:
        raise ConfigError(f"{path}: not valid YAML: {err}") from None
    except (ValueError, TypeError, LookupError, AttributeError) as err:
        # what PyYAML's own constructors raise at a value such as 2024-13-45 or 0x_
        raise ConfigError(f"{path}: not valid YAML: a value cannot be read ({err}); quote it") from None
    return check(data if data is not None else {}, model, str(path))


def _check_depth(path: Path, text: str) -> None:
    """The reader in C calls itself for each level and would end the process where there are very many."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _DEEPEST:
                raise ConfigError(
                    f"{path}: not valid YAML: more than {_DEEPEST} levels; correct its brackets"
                )
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def check(data: object, model: type[M], name: str) -> M:
    """Check loaded data against `model`; raises ConfigError whose sentences start with `name`."""
    try:
        return model.model_validate(data)
    except ValidationError as err:
        raise ConfigError(*(f"{name}: {_sentence(fault)}" for fault in err.errors())) from None


def _sentence(fault: object) -> str:
    assert isinstance(fault, dict)
    where = _path(fault["loc"])
    kind = fault["type"]
    if kind == "extra_forbidden":
        return f"{where}: there is no such key; remove it or correct its name"
    if kind == "missing":
        return f"{where}: this key is missing; add it"
    if kind in ("model_type", "dict_type") and not fault["loc"]:
        return "must be a mapping of keys to values at the top"
    if kind in ("too_short", "too_long"):
        side, count = ("least", "min_length") if kind == "too_short" else ("most", "max_length")
        return f"{where}: give at {side} {fault['ctx'][count]}, not {len(fault['input'])}"
    message = str(fault["ctx"]["error"] if kind == "value_error" else fault["msg"])
    sentence = f"{where}: {message[0].lower()}{message[1:]}"
    secret = kind == "value_error" and isinstance(fault["ctx"]["error"], HoldsSecret)
    return sentence if secret else f"{sentence}, got {_short(fault['input'])}"


def _path(parts: tuple[int | str, ...]) -> str:
    named = (part for part in parts if part != "[key]")
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in named)
    return text.lstrip(".") or "top"


def _short(value: object) -> str:
    """As its writer knows it; of a mapping or list, which may hold anything, not what is in it."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, date):
        return value.isoformat()
    try:
        text = repr(value)
    except ValueError:  # Python prints no whole number of more than 4 300 digits
        return "a number of too many digits"
    return text if len(text) <= 60 else text[:57] + "..."
