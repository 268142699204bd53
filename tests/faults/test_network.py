"""The network between agents and collector is cut, both ways and one way, in a namespace of our own."""

from __future__ import annotations

import os
import subprocess
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

from console.demo.kept import Kept
from lab.namespace import inside, path, remove, run
from tests.faults.scene import Scene, all_kept

CUT_S = 5.0
DROPS = {
    "both ways": ["tcp dport {port} drop", "tcp sport {port} drop"],
    "towards the collector": ["tcp dport {port} drop"],
    "from the collector": ["tcp sport {port} drop"],
}
"""What nftables drops at the collector's port."""


@pytest.fixture
def namespace() -> Iterator[str]:
    name = f"lgfaults{os.getpid()}"
    run(["ip", "netns", "add", name])
    run(["nsenter", f"--net={path(name)}", "ip", "link", "set", "lo", "up"])
    try:
        yield name
    finally:
        remove([name])


def _nft(text: str) -> None:
    """In the namespace of the calling thread."""
    subprocess.run(["nft", "-f", "-"], input=text, text=True, check=True, capture_output=True)


def _cut_and_mended(folder: Path) -> list[Kept]:
    with Scene(folder) as scene:
        scene.start_all()
        port = scene.addresses["c1"].rpartition(":")[2]
        for rules in DROPS.values():
            before = scene.accepted("c1")
            scene.wait(lambda before=before: scene.accepted("c1") > before + 20, "batches to flow")  # type: ignore[misc]  # mypy does not see the default
            _nft("table inet cut {\nchain out { type filter hook output priority 0;\n" + _lines(rules, port))
            time.sleep(CUT_S)
            _nft("delete table inet cut")
        before = scene.accepted("c1")
        scene.wait(lambda: scene.accepted("c1") > before + 20, "batches to flow")
        return scene.finish()


def _lines(rules: list[str], port: str) -> str:
    return "\n".join(rule.format(port=port) for rule in rules) + "\n}\n}\n"


@pytest.mark.root
@pytest.mark.influx
def test_a_cut_network_loses_and_doubles_nothing(tmp_path: Path, namespace: str) -> None:
    def work() -> list[Kept] | str:
        try:
            return _cut_and_mended(tmp_path)
        except (Exception, pytest.fail.Exception):  # noqa: BLE001 - told outside: a thread's end tells nothing
            return traceback.format_exc()

    kept = inside(namespace, work)
    assert not isinstance(kept, str), kept
    print(kept)
    all_kept(kept)
