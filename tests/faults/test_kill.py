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
    all_kept(kept)
    print(kept)
