"""Words: the same texts by fewer strings, whatever is taken, joined or given badly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkgauge.frame import Frame, concat
from linkgauge.schema import HEALTH
from linkgauge.wire import Batch, decode, encode
from linkgauge.words import Words, join

TEXTS = st.lists(st.sampled_from(["a", "b", "", "long" * 9]), max_size=9)


def _words(texts: list[str]) -> Words:
    return Words.of(np.array(texts, np.object_))


def _sound(words: Words) -> bool:
    used = set(words.codes.tolist()) == set(range(len(words.words)))
    return used and len(set(words.words)) == len(words.words) and not words.codes.flags.writeable


@given(TEXTS)
def test_texts_come_back(texts: list[str]) -> None:
    made = _words(texts)
    assert made.texts().tolist() == texts
    assert made.texts().dtype == np.object_
    assert not made.texts().flags.writeable
    assert _sound(made)


@given(TEXTS, st.data())
def test_take_keeps_only_the_words_used(texts: list[str], data: st.DataObject) -> None:
    rows = data.draw(st.lists(st.integers(0, max(0, len(texts) - 1)), max_size=5 if texts else 0))
    taken = _words(texts).take(np.array(rows, np.intp))
    assert taken.texts().tolist() == [texts[row] for row in rows]
    assert _sound(taken)


@given(st.lists(TEXTS, min_size=1, max_size=4))
def test_join_keeps_order(parts: list[list[str]]) -> None:
    joined = join([_words(part) for part in parts])
    assert joined.texts().tolist() == [text for part in parts for text in part]
    assert _sound(joined)


def test_words_there_twice_or_not_used_are_mended_and_codes_beyond_them_refused() -> None:
    made = Words.checked(np.array([2, 0, 1, 2], np.uint32), ["x", "y", "x", "unused"])
    assert (made.texts().tolist(), made.words) == (["x", "x", "y", "x"], ("x", "y"))
    with pytest.raises(IndexError, match="code 4 is beyond 4 words"):
        Words.checked(np.array([4], np.uint32), ["x", "y", "x", "unused"])
    assert len(Words.checked(np.empty(0, np.uint32), [])) == 0


def test_a_mask_asks_once_for_each_word() -> None:
    asked: list[str] = []

    def wanted(word: str) -> bool:
        asked.append(word)
        return word == "b"

    assert _words(["a", "b", "a", "b", "b"]).mask(wanted).tolist() == [False, True, False, True, True]
    assert asked == ["a", "b"]


def test_a_frame_from_the_wire_has_words_and_arrays_alike() -> None:
    starts = {"start_ns": [1, 2, 3], "length_ns": [1, 1, 1]}
    frame = Frame.of(HEALTH, {"agent": ["a", "b", "a"], **starts})
    got = decode(encode(Batch("a", "boot", 1, 1, {"health": frame}))).frames["health"]
    assert got.words("agent").words == ("a", "b")
    assert got.text("agent").tolist() == got.columns["agent"].tolist() == ["a", "b", "a"]  # type: ignore[union-attr]  # no histogram
    assert got.text("agent") is got.text("agent")
    assert concat(HEALTH, [got, frame]).text("agent").tolist() == ["a", "b", "a"] * 2
    assert got.take(np.array([1])).words("agent").words == ("b",)
