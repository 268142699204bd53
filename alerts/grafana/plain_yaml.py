"""YAML that people read and edit: keys in the order given, no aliases. Pure."""

from __future__ import annotations

from typing import Any

import yaml


class _Plain(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def plain_yaml(value: Any) -> str:
    """The text; a value that stands in two places is written twice."""
    return str(yaml.dump(value, Dumper=_Plain, sort_keys=False, width=110, allow_unicode=True))
