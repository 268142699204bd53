"""A TEXT column as its distinct words and, for each row, which of them: what the wire carries. Pure.

Most texts of a batch are few and long, so what is to be checked, tagged or stored is asked once for each
word instead of once for each row.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Words:
    """codes (rows,) uint32, each an index into `words`; every word is there once and used by some row."""

    codes: NDArray[np.uint32]
    words: tuple[str, ...]

    @classmethod
    def of(cls, texts: NDArray[np.object_]) -> Words:
        """From one text a row; words in the order in which they first come."""
        rows = texts.tolist()
        index = {word: at for at, word in enumerate(dict.fromkeys(rows))}
        codes = np.fromiter((index[word] for word in rows), np.uint32, len(rows))
        return cls(_frozen(codes), tuple(index))

    @classmethod
    def checked(cls, codes: NDArray[np.uint32], words: Sequence[str]) -> Words:
        """From codes and words of which some may be unused or there twice; IndexError: a code beyond them."""
        if len(codes) and int(codes.max()) >= len(words):
            raise IndexError(f"code {int(codes.max())} is beyond {len(words)} words")
        used = np.zeros(len(words), np.bool_)
        used[codes] = True
        if used.all() and len(set(words)) == len(words):
            return cls(_frozen(codes), tuple(words))
        return cls.of(_texts(codes, words))

    def __len__(self) -> int:
        return len(self.codes)

    def texts(self) -> NDArray[np.object_]:
        """One text a row, read-only."""
        return _frozen_objects(_texts(self.codes, self.words))

    def take(self, rows: NDArray[np.intp]) -> Words:
        """The column of the rows named, in that order."""
        return Words.checked(self.codes[rows], self.words)

    def mask(self, wanted: Callable[[str], bool]) -> NDArray[np.bool_]:
        """(rows,) bool: whether the row's word is wanted; asked once for each word."""
        each = np.fromiter((wanted(word) for word in self.words), np.bool_, len(self.words))
        return each[self.codes]


def join(parts: Sequence[Words]) -> Words:
    """All rows of all parts, in order."""
    if all(part.words == parts[0].words for part in parts):
        return Words(_frozen(np.concatenate([part.codes for part in parts])), parts[0].words)
    index: dict[str, int] = {}
    codes = []
    for part in parts:
        place = [index.setdefault(word, len(index)) for word in part.words]
        codes.append(np.array(place, np.uint32)[part.codes])
    return Words(_frozen(np.concatenate(codes)), tuple(index))


def _texts(codes: NDArray[np.uint32], words: Sequence[str]) -> NDArray[np.object_]:
    return np.fromiter(words, np.object_, len(words))[codes]


def _frozen(codes: NDArray[np.uint32]) -> NDArray[np.uint32]:
    codes.setflags(write=False)
    return codes


def _frozen_objects(texts: NDArray[np.object_]) -> NDArray[np.object_]:
    texts.setflags(write=False)
    return texts
