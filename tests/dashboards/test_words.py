"""Both languages of every board: no text is missing or left in the other language, nothing else differs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from dashboards.boards import BOARDS, boards
from dashboards.words import LANGUAGES, Text, same, spoken

CHINESE = re.compile(r"[一-鿿]")
SYMBOLS = re.compile(r"[^A-Za-z]*|p[\d.]+|(≤ )?[\d.]+ ms|DSCP|CE|MTU|English|ID|((stamp|icmp|tcp) ?)+")
"""What is written alike in both languages."""


def _texts(value: Any, path: str) -> Iterator[tuple[str, Text]]:
    if isinstance(value, Text):
        yield path, value
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from _texts(part, f"{path}.{key}")
    elif isinstance(value, list | tuple):
        for at, part in enumerate(value):
            yield from _texts(part, f"{path}[{at}]")


TEXTS = [
    (path, text) for name, make in BOARDS.items() for path, text in _texts(make(), name)
    if not path.endswith((".url", ".uid"))
]  # fmt: skip


@pytest.mark.parametrize("name", BOARDS)
def test_every_text_is_there_in_both_languages(name: str) -> None:
    for path, text in (found for found in TEXTS if found[0].startswith(name)):
        if path.endswith("].label") and text == same(""):
            continue  # of a variable that is not shown
        assert text.en.strip(), path
        assert text.zh.strip(), path
        assert not CHINESE.search(text.en) or text.en == "中文", path
        assert CHINESE.search(text.zh) or SYMBOLS.fullmatch(text.zh), f"{path}: {text.zh!r} is not Chinese"


@pytest.mark.parametrize("name", BOARDS)
def test_what_people_read_is_a_text(name: str) -> None:
    def plain(value: Any, path: str = "") -> Iterator[str]:
        if isinstance(value, dict):
            for key, part in value.items():
                if key in ("title", "description", "label", "displayName", "noValue", "text") and isinstance(
                    part, str
                ):
                    yield f"{path}.{key}: {part}"
                yield from plain(part, f"{path}.{key}")
        elif isinstance(value, list | tuple):
            for at, part in enumerate(value):
                yield from plain(part, f"{path}[{at}]")

    allowed = re.compile(r"\.current\.text: |\.text: [^A-Za-z]*$")
    assert [found for found in plain(BOARDS[name]()) if not allowed.search(found)] == []


@pytest.mark.parametrize("name", BOARDS)
def test_only_words_differ_between_languages(name: str) -> None:
    en, zh = (boards(language)[name] for language in LANGUAGES)
    queries = [
        [target["query"] for panel in board["panels"] for target in panel.get("targets", ())]
        for board in (en, zh)
    ]
    assert queries[0] == queries[1]
    assert [panel["gridPos"] for panel in en["panels"]] == [panel["gridPos"] for panel in zh["panels"]]


def test_spoken_reaches_every_depth() -> None:
    value = {"a": [Text("one", "一"), {"b": (Text("two", "二"), 3)}], "c": "kept"}
    assert spoken(value, "zh") == {"a": ["一", {"b": ["二", 3]}], "c": "kept"}
    assert Text("a", "甲") + same("1") == Text("a1", "甲1")
    with pytest.raises(TypeError):
        Text("only one")  # type: ignore[call-arg]  # a missing language must not pass
