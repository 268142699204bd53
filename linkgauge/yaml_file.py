"""YAML files into pydantic models: every fault at once, each a sentence with file, line and key."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Generic, TypeVar

import yaml
from pydantic import BaseModel

from linkgauge.errors import ConfigError
from linkgauge.owner import give
from linkgauge.stand_ins import Fault, Reading, path_of, reading
from linkgauge.yaml_lines import Lines

M = TypeVar("M", bound=BaseModel)
_DEEPEST = 64
"""Levels of mappings and lists in a file of ours, with plenty to spare."""


class HoldsSecret(ValueError):
    """Of a validator: the value is wrong and must not be shown."""


class _NoRepeat(yaml.CSafeLoader):
    """A key that stands twice in one mapping is a fault; YAML readers silently take the last.

    repeats: a sentence for each, with its line.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.repeats: list[str] = []

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[object, object]:
        written = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if len(set(written)) < len(written):
            self._tell_repeats(node)
        return super().construct_mapping(node, deep)

    def _tell_repeats(self, node: yaml.MappingNode) -> None:
        seen: set[object] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, str) and key in seen:
                line = key_node.start_mark.line + 1
                self.repeats.append(f"line {line}: key {key!r} stands twice; remove one")
            if isinstance(key, str):
                seen.add(key)


@dataclass(frozen=True, slots=True)
class Partly(Generic[M]):
    """A file as far as it can be read. model: None where nothing fits; faults: a sentence for each."""

    model: M | None
    faults: tuple[str, ...]
    reading: Reading[M]

    def whole(self) -> M:
        """The model; raises ConfigError with every fault."""
        if self.faults or self.model is None:
            raise ConfigError(*self.faults)
        return self.model


def read_yaml(path: Path, model: type[M], across: Callable[[M], Iterable[str]] = lambda _: ()) -> M:
    """Read `path` as YAML and check it against `model`; raises ConfigError with every fault.

    across: what is wrong across its parts; each sentence begins with the path of a key.
    """
    return read_partly(path, model, across).whole()


def read_partly(path: Path, model: type[M], across: Callable[[M], Iterable[str]] = lambda _: ()) -> Partly[M]:
    """As `read_yaml`, and what could be read of a faulty file; raises ConfigError where it is no YAML."""
    text = _text(path)
    data, repeats = _loaded(path, text)
    found = reading(data if data is not None else {}, model)
    sentences = [_sentence(fault) for fault in found.faults]
    if found.model is not None:
        sentences += found.of_the_file(across(found.model))
    lines = Lines(text)
    faults = (*repeats, *(f"{lines.before(sentence)}{sentence}" for sentence in sentences))
    return Partly(found.model, tuple(f"{path}: {fault}" for fault in faults), found)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file; create it or name another") from None
    except PermissionError:
        raise ConfigError(f"{path}: {give(path)}") from None
    except (OSError, UnicodeDecodeError) as err:
        raise ConfigError(f"{path}: cannot be read ({err}); it must be a readable UTF-8 text file") from None


def _loaded(path: Path, text: str) -> tuple[object, Sequence[str]]:
    """What the file holds, and the keys that stand twice; raises ConfigError."""
    try:
        _check_depth(path, text)
        loader = _NoRepeat(text)
        return loader.get_single_data(), loader.repeats
    except yaml.MarkedYAMLError as err:
        line = f"line {err.problem_mark.line + 1}: " if err.problem_mark else ""
        raise ConfigError(f"{path}: {line}not valid YAML: {err.problem}") from None
    except (yaml.YAMLError, RecursionError) as err:
        raise ConfigError(f"{path}: not valid YAML: {err}") from None
    except (ValueError, TypeError, LookupError, AttributeError) as err:
        # what PyYAML's own constructors raise at a value such as 2024-13-45 or 0x_
        raise ConfigError(f"{path}: not valid YAML: a value cannot be read ({err}); quote it") from None


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


def _sentence(fault: Fault) -> str:
    where, said = path_of(fault.spot), fault.said
    kind = said["type"]
    if kind == "extra_forbidden":
        return f"{where}: there is no such key; remove it or correct its name"
    if kind == "missing":
        return f"{where}: this key is missing; add it"
    if kind in ("model_type", "dict_type") and not fault.spot:
        return "must be a mapping of keys to values at the top"
    if kind in ("too_short", "too_long"):
        side, count = ("least", "min_length") if kind == "too_short" else ("most", "max_length")
        return f"{where}: give at {side} {said['ctx'][count]}, not {len(said['input'])}"
    message = str(said["ctx"]["error"] if kind == "value_error" else said["msg"])
    sentence = f"{where}: {message[0].lower()}{message[1:]}"
    secret = kind == "value_error" and isinstance(said["ctx"]["error"], HoldsSecret)
    return sentence if secret else f"{sentence}, got {_short(said['input'])}"


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
