"""All boards, in each language, and their committed JSON: `python -m dashboards.boards` rewrites it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from dashboards.evaluation import evaluation
from dashboards.link import link
from dashboards.overview import overview
from dashboards.private import private
from dashboards.system import system
from dashboards.words import LANGUAGES, Json, spoken

RENDERED = Path(__file__).parent / "rendered"
"""The committed files, a folder for each language; a test fails when they are stale."""

BOARDS: Mapping[str, Callable[[], Json]] = {
    "overview": overview,
    "link": link,
    "private": private,
    "evaluation": evaluation,
    "system": system,
}
"""What makes each board, with `Text` in it; the names are those of dashboards.links.TITLES."""


def boards(language: str = "en") -> dict[str, Json]:
    """Every board by name, as Grafana's JSON model, in a language of LANGUAGES."""
    return {name: spoken(make(), language) for name, make in BOARDS.items()}


def board_text(board: Json) -> str:
    """The JSON as it stands in a file."""
    return json.dumps(board, indent=1, ensure_ascii=False) + "\n"


def board_files(language: str = "en") -> dict[str, str]:
    """Name and text of the file of each board."""
    return {f"{name}.json": board_text(board) for name, board in boards(language).items()}


def main() -> None:
    """Rewrite the committed files."""
    for language in LANGUAGES:
        folder = RENDERED / language
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in board_files(language).items():
            (folder / name).write_text(text, encoding="utf-8")
            print(folder / name)


if __name__ == "__main__":
    main()
