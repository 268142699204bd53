"""kill -9 of producers, collector and InfluxDB at random instants: nothing is lost, nothing is doubled.

ROUNDS=1000 (make soak) for a long run; SEED for another one. The seed is told when it fails.
"""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import pytest

from tests.faults.scene import NODES, Scene, all_kept

ROUNDS = int(os.environ.get("ROUNDS", "50"))
SEED = int(os.environ.get("SEED", "20260101"))


TWO_ROUNDS = max(8, ROUNDS // 5)


@pytest.mark.influx
def test_two_collectors_of_which_one_dies_again_and_again(tmp_path: Path) -> None:
    """Each has its own archive, both write to one InfluxDB: all three hold everything, once."""
    chance = random.Random(SEED + 1)
    with Scene(tmp_path, collectors=2) as scene:
        scene.start_all()
        for round_ in range(TWO_ROUNDS):
            time.sleep(chance.uniform(0.5, 2))
            victim = chance.choice(["c1", "c1", "c2", "n1"])
            scene.kill(victim)
            time.sleep(chance.uniform(0, 2))
            scene.start(victim)
            print(f"seed {SEED} round {round_}: killed {victim}")
        kept = scene.finish()
        told = [scene.log(name).count("Traceback") for name in (*NODES, "c1", "c2")]
    print(kept)
    all_kept(kept)
    assert told == [0] * len(told)


@pytest.mark.influx
def test_killed_at_random_instants(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    with Scene(tmp_path) as scene:
        scene.start_all()
        for round_ in range(ROUNDS):
            time.sleep(chance.uniform(0.1, 1.2))
            victim = chance.choice([*NODES, "c1", "c1", "influxd"])
            scene.kill(victim)
            time.sleep(chance.uniform(0, 0.3))
            scene.start(victim)
            print(f"seed {SEED} round {round_}: killed {victim}")
        kept = scene.finish()
    print(kept)
    all_kept(kept)
