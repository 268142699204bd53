"""YAML files: whatever is in one, the answer is a model or one ConfigError that names the file."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field

from linkgauge.errors import ConfigError
from linkgauge.yaml_file import read_yaml


class Example(BaseModel):
    model_config = ConfigDict(extra="forbid")

    key: int = Field(le=10)


ODD_VALUES = [
    "2024-13-45", "0x_", "1" * 5000, "0x" + "f" * 5000, "!!int x", "!!float x", "!!timestamp x", "!!bool x",
    "!!python/object:os.system {}", "*nobody", "&a [*a]", "{[1]: 2}", "{{a: 1}: 2}", "[" * 3000,
    "[" * 300_000, "\n" + "- " * 300_000, '"\\ud800"', "\0", ".inf", "{a: 1, a: 1}",
]  # fmt: skip


class Written(BaseModel):
    limit: int = 0
    names: tuple[str, ...] = Field(("a",), min_length=1)


@pytest.mark.parametrize("value", ODD_VALUES, ids=range(len(ODD_VALUES)))
def test_odd_values_are_told(tmp_path: Path, value: str) -> None:
    path = tmp_path / "f.yaml"
    path.write_text(f"key: {value}\n")
    with pytest.raises(ConfigError) as caught:
        read_yaml(path, Example)
    assert all(fault.startswith(f"{path}: ") and len(fault) < 500 for fault in caught.value.faults)


@given(octets=st.binary(max_size=60) | st.text(":{}[]&*!-? \n'\"abc01", max_size=30).map(str.encode))
def test_any_octets_are_a_model_or_a_config_error(
    tmp_path_factory: pytest.TempPathFactory, octets: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(octets)
    try:
        read = read_yaml(path, Example)
    except ConfigError as err:
        faults = err.faults
    else:
        faults = (f"{path}: read as {read.key}",)
    assert faults
    assert all(fault.startswith(f"{path}: ") for fault in faults)


def test_good_file(tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    path.write_text("# comment\nkey: 3\n")
    assert read_yaml(path, Example) == Example(key=3)


def test_not_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    path.write_bytes(b"key: \xff\n")
    with pytest.raises(ConfigError, match=r"f\.yaml: cannot be read .*it must be a readable UTF-8 text file"):
        read_yaml(path, Example)


def test_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    path.write_text("")
    with pytest.raises(ConfigError) as caught:
        read_yaml(path, Example)
    assert caught.value.faults == (f"{path}: key: this key is missing; add it",)


def test_list_at_the_top(tmp_path: Path) -> None:
    path = tmp_path / "f.yaml"
    path.write_text("- key\n")
    with pytest.raises(ConfigError) as caught:
        read_yaml(path, Example)
    assert caught.value.faults == (f"{path}: must be a mapping of keys to values at the top",)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read_yaml(tmp_path / "f.yaml", Example)
    assert caught.value.faults == (f"{tmp_path}/f.yaml: there is no such file; create it or name another",)


def test_folder_instead_of_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read_yaml(tmp_path, Example)
    assert str(caught.value).startswith(f"{tmp_path}: cannot be read (")
    assert str(caught.value).endswith("it must be a readable UTF-8 text file")


def test_a_folder_on_the_way_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_yaml(tmp_path / "f" / "g.yaml", Example)


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("{limit: {password: sesame}}", "got a mapping"),
        ("{limit: [1, 2]}", "got a list"),
        ("{limit: 2026-11-21T22:00:00}", "got 2026-11-21T22:00:00"),
        ("{names: []}", "names: give at least 1, not 0"),
    ],
)
def test_a_wrong_value_is_told_as_it_was_written(tmp_path: Path, written: str, words: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(written)
    with pytest.raises(ConfigError) as caught:
        read_yaml(path, Written)
    assert str(caught.value).endswith(words)
    assert "sesame" not in str(caught.value)


class Item(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = Field(pattern="^[a-z0-9-]+$")
    size: int = Field(gt=0)


class Several(BaseModel):
    items: list[Item]
    wanted: str
    until: datetime | None = None


def missing(several: Several) -> list[str]:
    names = [item.name for item in several.items]
    twice = [f"items[{at}].name: {name} stands twice" for at, name in enumerate(names) if name in names[:at]]
    return twice + ([] if several.wanted in names else [f"wanted: there is no {several.wanted}; correct it"])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "items: [{name: a, size: 0}]\nwanted: b\n",
            ["line 1: items[0].size", "line 2: wanted: there is no b"],
        ),
        (
            "items: [{name: A, size: 1}]\nwanted: 3\n",
            ["line 1: items[0].name", "line 2: wanted: input should"],
        ),
        (
            "items:\n  - a\n  - {name: b}\nwanted: b\n",
            ["line 2: items[0]: input", "line 3: items[1].size: this"],
        ),
        ("items: [{name: a, size: 1}]\n", ["wanted: this key is missing"]),
        (
            "items: [{name: a, size: x, size: y}, {name: a, size: 1}]\nwanted: a\nuntil: soon\n",
            [
                "line 1: key 'size' stands twice",
                "line 1: items[0].size",
                "line 3: until",
                "line 1: items[1].name: a ",
            ],
        ),
        ("items: no list\nwanted: b\n", ["line 1: items: input should be a valid list"]),
    ],
)
def test_what_parts_say_across_each_other_is_told_beside_the_faults_of_each(
    tmp_path: Path, text: str, told: list[str]
) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_yaml(path, Several, missing)
    assert len(caught.value.faults) == len(told), caught.value.faults
    for fault, beginning in zip(caught.value.faults, told, strict=True):
        assert fault.startswith(f"{path}: {beginning}")
