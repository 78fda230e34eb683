"""The ladder averaged over tasks: means and spreads of ladders of single tasks, common draws for different models."""

import math
from typing import Any

import numpy as np
import pytest
from helpers import error_message

from icl_theory import LinearRegression, average_ladder, bound_ladder, random_weights, truncate_weights

TASK = LinearRegression(2, noise_std=0.5)
OPTIONS: dict[str, Any] = {"demonstrations": 24, "shots": 6, "clip": 4.0, "samples": 32, "key": 3, "tasks": 5}


def test_means_and_spreads() -> None:
    """Every number from the single ladders, each of which is `bound_ladder` of its task vector."""
    model = random_weights(2, layers=1, token_dim=3)
    found = average_ladder(model, TASK, **OPTIONS)
    assert len(found.ladders) == len(found.task_vectors) == len(np.unique(found.task_vectors[:, 0])) == 5
    rng = np.random.default_rng(3)
    vectors, seeds = TASK.sample_tasks(rng, 5), rng.integers(2**31, size=5)
    np.testing.assert_array_equal(found.task_vectors, vectors)
    plain = {name: value for name, value in OPTIONS.items() if name not in ("key", "tasks")}
    ladders = [
        bound_ladder(model, TASK, **plain, key=int(s), task_vector=w) for s, w in zip(seeds, vectors, strict=True)
    ]
    gaps = [ladder.gap.value for ladder in ladders]
    assert (found.gap.value, found.gap.stderr) == pytest.approx((np.mean(gaps), np.std(gaps, ddof=1) / math.sqrt(5)))
    assert found.spread["gap"] == pytest.approx(np.std(gaps, ddof=1))
    for name in ("readout", "gaussian"):
        for kind in ("rungs", "kl_rungs"):
            values = [getattr(ladder, kind)[name].value for ladder in ladders]
            mean = getattr(found, kind)[name]
            assert (mean.value, mean.samples, mean.direction) == pytest.approx((np.mean(values), 5, "upper"))
        values = [ladder.rungs[name].value for ladder in ladders]
        assert found.spread[name] == pytest.approx(np.std(values, ddof=1))
        assert found.tightness[name] == pytest.approx(np.mean(values) / np.mean(gaps) if np.mean(gaps) > 0 else np.inf)
    losses = [ladder.population_loss.value for ladder in ladders]
    assert found.population_loss.value == pytest.approx(np.mean(losses))


def test_common_draws() -> None:
    """Two models meet the same tasks and demonstrations: what only depends on these is equal."""
    model = random_weights(2, layers=1, token_dim=3)
    first, second = (average_ladder(m, TASK, **OPTIONS) for m in (model, random_weights(9, layers=1, token_dim=3)))
    np.testing.assert_array_equal(first.task_vectors, second.task_vectors)
    assert first.rungs["gaussian"].value == pytest.approx(second.rungs["gaussian"].value, rel=1e-9)
    cut = average_ladder(truncate_weights(model, layer=0, module="key", rank=1), TASK, **OPTIONS)
    assert cut.rungs["readout"].value < first.rungs["readout"].value


def test_infinite_rungs() -> None:
    """A rung that is infinite for every task stays so, with the reason, and has no spread."""
    options: dict[str, Any] = OPTIONS | {"demonstrations": 5, "shots": 2}
    few = average_ladder(random_weights(2, layers=1, token_dim=3), TASK, **options)
    assert few.rungs["gaussian"].value == few.spread["gaussian"] == few.tightness["gaussian"] == math.inf
    assert "d_S = 6" in few.rungs["gaussian"].note
    assert math.isfinite(few.spread["readout"])


def test_average_errors() -> None:
    """One task has no spread."""
    model = random_weights(2, layers=1, token_dim=3)
    assert "tasks" in error_message(average_ladder, model, TASK, **OPTIONS | {"tasks": 1})
    assert "samples" in error_message(average_ladder, model, TASK, **OPTIONS | {"samples": 3})
