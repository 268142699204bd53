"""The page of each rule: it is there, is linked, has its sections, and what it names exists."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from alerts.grafana.rules import COLLECTOR_SILENT
from alerts.rule import Rule, load_rules, watches
from console.main import COMMANDS
from lab.faults.fault import KINDS

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = ROOT / "docs" / "runbooks"
SECTIONS = ["What it says", "First", "Tell whom", "When it is over", "Try it"]
RULES = {rule.name: rule for rule in load_rules()}
EVERY_PAGE = pytest.mark.parametrize("name", [*RULES, COLLECTOR_SILENT])
BOARDS = ROOT / "dashboards" / "rendered" / "en"
COMMAND = re.compile(r"linkgauge ([a-z]+(?:-[a-z]+)*)(?: ([a-z]+))?(?: ([a-z]+(?:-[a-z]+)*))?")


def page(name: str) -> str:
    return (PAGES / f"{name}.md").read_text(encoding="utf-8")


def facts(rule: Rule) -> str:
    """The line of the table at the top of a rule's page."""
    watch = next(each for each in watches((rule,)))
    bound = f"{'above' if rule.above is not None else 'below'} {watch.bound}"
    unknown = f"does not count; {rule.unknown_windows} in a row end it"
    unknown = "is a clear one" if rule.unknown == "clears" else unknown
    return (
        f"| {rule.severity} | `{watch.measurement}.{rule.field}` {bound} | "
        f"{rule.hold_windows} of the last {rule.windows} windows | "
        f"{unknown} | {', '.join(rule.explained_by) or '-'} |"
    )


@EVERY_PAGE
def test_a_page_is_there_and_has_its_sections(name: str) -> None:
    text = page(name)
    assert text.startswith(f"# {name}: ")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == SECTIONS
    assert all(len(part.split()) > 3 for part in re.split(r"^## .*$", text, flags=re.MULTILINE)[1:])
    assert re.search(r"^1\. .*^3\. ", text, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.name)
def test_a_rule_names_its_page_and_the_page_says_what_the_rule_is(rule: Rule) -> None:
    assert rule.runbook == f"docs/runbooks/{rule.name}.md"
    assert facts(rule) in page(rule.name)


def test_the_index_links_every_page_and_no_other_is_there() -> None:
    index = page("README")
    linked = re.findall(r"\]\(([a-z-]+)\.md\)", index)
    assert sorted(linked) == sorted([*RULES, COLLECTOR_SILENT])
    assert {path.stem for path in PAGES.glob("*.md")} == {*linked, "README"}
    for rule in RULES.values():
        assert f"| [{rule.name}]({rule.name}.md) | {rule.severity} |" in index


def _titles(panels: list[dict[str, Any]]) -> set[str]:
    inner = (_titles(panel.get("panels", [])) for panel in panels)
    return {panel.get("title", "") for panel in panels}.union(*inner)


def test_panels_and_boards_that_are_named_are_there() -> None:
    boards = [json.loads(path.read_text(encoding="utf-8")) for path in BOARDS.glob("*.json")]
    panels = set[str]().union(*(_titles(board["panels"]) for board in boards))
    texts = [page(name) for name in (*RULES, COLLECTOR_SILENT)]
    texts += [step for rule in RULES.values() for step in rule.first_steps]
    named = 0
    for text in texts:
        flat = " ".join(text.split())
        for several in re.findall(r'[Pp]anels? ((?:"[^"]+"(?:, | and )?)+)', flat):
            titles = set(re.findall(r'"([^"]+)"', several))
            assert titles <= panels
            named += len(titles)
        for board in re.findall(r"[Bb]oard ([A-Z][a-z]+(?: [a-z]+)?), panel", flat):
            assert board in {each["title"] for each in boards}
    assert named > 20


@EVERY_PAGE
def test_commands_and_faults_that_are_named_exist(name: str) -> None:
    for command, action, fault in COMMAND.findall(page(name)):
        assert command in COMMANDS
        if command == "drill" and action in ("run", "live"):
            assert fault in KINDS
