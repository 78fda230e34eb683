"""`train` and `bounds` killed at random moments, and begun again by the same command until it ends: the same result."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import environment

COMMANDS = {
    "train": ("--dim", "3", "--seeds", "2", "--steps", "500", "--shots", "8"),
    "bounds": ("--model", "random", "--dim", "3", "--seeds", "2", "--tasks", "3", "--samples", "64"),
}
KILLS = 20


def started(name: str, out: Path, cache: Path) -> subprocess.Popen[bytes]:
    """The one command, in a process of its own."""
    words = [sys.executable, "-m", "icl_theory", name, *COMMANDS[name], "--out", str(out), "--resume"]
    with (cache / "said").open("ab") as said:
        return subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=said, env=environment(cache))


def result(name: str, out: Path) -> dict[str, Any]:
    """Whatever a run leaves that its settings determine."""
    weights = np.load(out / "weights.npz")
    found: dict[str, Any] = {key: weights[key].tobytes() for key in weights.files}
    if name == "train":
        return found | {"metrics": (out / "metrics.jsonl").read_bytes()}
    document = json.loads((out / "records.json").read_text())
    return found | {"sweep": document["sweep"], "table": (out / "records.csv").read_bytes()}


@pytest.mark.slow
@pytest.mark.parametrize("name", COMMANDS)
def test_killed_at_random(name: str, tmp_path: Path) -> None:
    """Twenty times, the first time within a second; a run that ends in between is compared, and another one begun."""
    cache, rng = tmp_path / "cache", np.random.default_rng(6)
    cache.mkdir()
    assert started(name, tmp_path / "whole", cache).wait() == 0
    begun = time.perf_counter()  # with what is compiled by now
    assert started(name, tmp_path / "again", cache).wait() == 0
    length, expected = time.perf_counter() - begun, result(name, tmp_path / "whole")
    assert result(name, tmp_path / "again") == expected
    kills, run, ends = 0, 0, 0
    while kills < KILLS or ends == run:
        out = tmp_path / str(run)
        process = started(name, out, cache)
        moment = rng.uniform(0.0, 1.0) if kills == 0 else rng.uniform(0.0, 0.9 * length)
        try:
            status = process.wait(moment if kills < KILLS else None)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            kills += 1
            continue
        assert status == 0, (cache / "said").read_text()[-2000:]
        assert result(name, out) == expected
        ends += 1
        run += kills < KILLS
    assert kills == KILLS
