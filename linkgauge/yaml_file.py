"""YAML files into pydantic models: every fault at once, each a sentence with file and path of the key."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from linkgauge.errors import ConfigError

M = TypeVar("M", bound=BaseModel)


class _NoRepeat(yaml.SafeLoader):
    """A key that stands twice in one mapping is a fault; YAML readers silently take the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[object, object]:
        seen: set[object] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, str) and key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key!r} stands twice", key_node.start_mark
                )
            if isinstance(key, str):
                seen.add(key)
        return super().construct_mapping(node, deep)


def read_yaml(path: Path, model: type[M]) -> M:
    """Read `path` as YAML and check it against `model`; raises ConfigError."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file; create it or name another") from None
    except (OSError, UnicodeDecodeError) as err:
        raise ConfigError(f"{path}: cannot be read ({err}); it must be a readable UTF-8 text file") from None
    try:
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
    message = str(fault["ctx"]["error"] if kind == "value_error" else fault["msg"])
    return f"{where}: {message[0].lower()}{message[1:]}, got {_short(fault['input'])}"


def _path(parts: tuple[int | str, ...]) -> str:
    named = (part for part in parts if part != "[key]")
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in named)
    return text.lstrip(".") or "top"


def _short(value: object) -> str:
    try:
        text = repr(value)
    except ValueError:  # Python prints no whole number of more than 4 300 digits
        return "a number of too many digits"
    return text if len(text) <= 60 else text[:57] + "..."
