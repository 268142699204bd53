"""In which line of a YAML file a key stands, by its path as sentences have it: ``nodes[3].site``."""

from __future__ import annotations

import re
from functools import cached_property

import yaml

_ITEM = re.compile(r"\[(\d+)\]")


class Lines:
    """Of one file's text, which was read before; it is taken apart only once something is asked."""

    def __init__(self, text: str) -> None:
        self._text = text

    def before(self, sentence: str) -> str:
        """``line 7: `` for what begins with the path of a key; empty where no part of the path stands there.

        Of a key that is missing it is the line of what it is missing in.
        """
        node, rest, line = self._top, sentence.partition(": ")[0], 0
        while rest and node is not None:
            if isinstance(node, yaml.MappingNode):
                keys = [(key, value) for key, value in node.value if _begins(rest, key.value)]
                if not keys:
                    break
                key, node = max(keys, key=lambda pair: len(pair[0].value))
                line, rest = key.start_mark.line + 1, rest[len(key.value) :].lstrip(".")
            elif isinstance(node, yaml.SequenceNode) and (item := _ITEM.match(rest)):
                if int(item[1]) >= len(node.value):
                    break
                node = node.value[int(item[1])]
                line, rest = node.start_mark.line + 1, rest[item.end() :].lstrip(".")
            else:
                break
        return f"line {line}: " if line else ""

    @cached_property
    def _top(self) -> yaml.Node | None:
        try:
            return yaml.compose(self._text, Loader=yaml.CSafeLoader)
        except yaml.YAMLError:
            return None


def _begins(path: str, key: object) -> bool:
    if not isinstance(key, str) or not key or not path.startswith(key):
        return False
    return len(path) == len(key) or path[len(key)] in ".["
