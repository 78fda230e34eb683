"""The Bayes prediction for a finite pool of tasks, against a slow one and against its limits."""

import math
from typing import Any

import numpy as np
import pytest
from helpers import assert_close, error_message

from icl_theory import LinearRegression, Prompt, pool_predict, ridge_predict

TASK = LinearRegression(2, noise_std=0.5)
PROMPT = TASK.sample(3, batch=6, shots=4)
POOL = np.random.default_rng(1).standard_normal((5, 2))


def test_by_hand() -> None:
    """Posterior weights one task at a time, in exact sums."""
    for b, found in enumerate(pool_predict(PROMPT, POOL, 0.5)):
        likelihoods = []
        for w in POOL:
            residuals = [float(y - w @ x) for x, y in zip(PROMPT.x[b], PROMPT.y[b], strict=True)]
            likelihoods.append(math.prod(math.exp(-(r**2) / (2 * 0.5**2)) for r in residuals))
        shares = [p / math.fsum(likelihoods) for p in likelihoods]
        mean = sum(share * w for share, w in zip(shares, POOL, strict=True))
        assert_close(np.asarray(found), np.asarray(mean @ PROMPT.x_query[b]), 1e-12)


def test_limits() -> None:
    """Little noise: the nearest task; much: the mean of the pool; a large Gaussian pool: ridge."""
    nearest = [np.argmin([((y - x @ w) ** 2).sum() for w in POOL]) for x, y in zip(PROMPT.x, PROMPT.y, strict=True)]
    assert_close(pool_predict(PROMPT, POOL, 1e-9), (POOL[nearest] * PROMPT.x_query).sum(1))
    assert_close(pool_predict(PROMPT, POOL, 1e9), PROMPT.x_query @ POOL.mean(0), 1e-9)
    many = np.random.default_rng(2).standard_normal((400_000, 2))
    short = Prompt(*(np.asarray(part)[:2] for part in (PROMPT.x, PROMPT.y, PROMPT.x_query, PROMPT.y_query)))
    # 400 000 draws, of which the posterior takes at least some hundredths: three digits.
    assert_close(pool_predict(short, many, 0.5), ridge_predict(short, 0.25 / 4), 0.02)


@pytest.mark.parametrize(
    ("pool", "sigma", "said"),
    [
        (np.ones((3, 3)), 0.5, "pool: got shape (3, 3)"),
        (np.ones((0, 2)), 0.5, "pool: got"),
        (np.full((1, 2), np.nan), 0.5, "pool: got"),
        (POOL, 0.0, "noise_std: got 0"),
    ],
)
def test_refused(pool: Any, sigma: float, said: str) -> None:
    """Pools of another dimension, empty ones, and no noise."""
    assert said in error_message(pool_predict, PROMPT, pool, sigma)


def test_vectors_refused() -> None:
    """Labels that are vectors have no single task vector."""
    vectors = Prompt(PROMPT.x, np.stack([PROMPT.y] * 2, -1), PROMPT.x_query, PROMPT.y_query)
    assert "one number as label" in error_message(pool_predict, vectors, POOL, 0.5)
