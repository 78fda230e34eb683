"""The bound on a single run: its densities written out, the constant by enumeration, and how often it is wrong."""

import itertools
import math
from typing import Any

import numpy as np
import pytest
from scipy.stats import binom, multivariate_normal

from icl_theory import (
    LinearRegression,
    ReLUTeacher,
    bound_ladder,
    gradient_descent_weights,
    high_probability_bound,
    random_weights,
    truncate_weights,
)
from icl_theory.core.binary_kl import binary_kl
from icl_theory.information.ladder.high_probability import log_mean_exponential
from icl_theory.information.ladder.noisy_trajectory import Batches, simulate
from icl_theory.information.ladder.rungs import reference_of
from icl_theory.information.ladder.setting import fixed_task

TASK, W = LinearRegression(2, noise_std=0.5), np.array([0.7, -1.1])
OPTIONS: dict[str, Any] = {"demonstrations": 24, "shots": 6, "samples": 64, "key": 5, "task_vector": W}


def kl(q: float, mu: float) -> float:
    return sum(a * math.log(a / b) for a, b in ((q, mu), (1 - q, 1 - mu)) if a > 0)


@pytest.mark.parametrize("count", [1, 2, 5, 12])
def test_constant(count: int) -> None:
    """The largest E exp(N kl(L̂ ‖ μ)) is that of fair or unfair bits: all 2^N outcomes, at several μ."""
    for mu in (0.1, 0.5, 0.8):
        total = 0.0
        for bits in itertools.product((0, 1), repeat=count):
            mean = sum(bits) / count
            total += math.prod(mu if bit else 1 - mu for bit in bits) * math.exp(count * kl(mean, mu))
        assert math.exp(log_mean_exponential(count)) == pytest.approx(total, rel=1e-12)
    assert log_mean_exponential(count) <= math.log(max(2 * math.sqrt(count), count + 1))


def test_constant_of_many() -> None:
    """Maurer's 2 √N from N = 8 on, and no overflow."""
    for count in (8, 80, 10_000, 10**6):
        assert math.log(count) / 2 < log_mean_exponential(count) <= math.log(2 * math.sqrt(count))


def test_less_than_bits() -> None:
    """A loss between 0 and 1 has a smaller exponential moment than bits of the same mean: uniform, N = 3, by a grid."""
    grid = (np.arange(60) + 0.5) / 60
    means = np.array([sum(losses) / 3 for losses in itertools.product(grid, repeat=3)])
    assert np.mean([math.exp(3 * kl(m, 0.5)) for m in means]) < math.exp(log_mean_exponential(3))


def prepared(model: Any, floor: float = 0.0) -> tuple[Any, Any]:
    options = {name: value for name, value in OPTIONS.items() if name != "samples"}
    setting, seed = fixed_task(model, TASK, samples=64, floor=floor, **options)
    return setting, simulate(setting, next(iter(Batches(setting, seed, 64))))


@pytest.mark.parametrize("floor", [0.0, 0.03])
def test_readout_density(floor: float) -> None:
    """log N(p; E p, Cov p) - log N(p; prior) of two numbers, every run by scipy, at one layer."""
    model = random_weights(3, layers=1, token_dim=3)
    setting, runs = prepared(model, floor)
    found = high_probability_bound(model, TASK, clip=4.0, floor=floor, **OPTIONS)
    value, product = model.value[0], model.key[0].T @ model.query[0]
    share = (24 - 6) / (6 * 23)
    tokens, a, b = runs.draws.tokens, value[-1], product[:, :2]
    sigma = setting.covariance
    mean = a @ sigma @ b
    spread = (np.outer(mean, mean) + (a @ sigma @ a) * b.T @ sigma @ b) / 6
    noise = np.zeros((2, 2))
    if floor:  # of the support's projection, in W[y, x]; it is the same in every run
        units = runs.layers[0].support.embed(np.eye(6))[:, -1, :2]
        noise = floor * units.T @ units
    for run in range(64):
        reads = (tokens[run] @ a)[:, None] * (tokens[run] @ b)
        centred = reads - reads.mean(axis=0)
        own = multivariate_normal(reads.mean(axis=0), share * centred.T @ centred / 24 + noise)  # pyright: ignore
        prior = multivariate_normal(mean, spread + noise)  # pyright: ignore[reportArgumentType]
        p = runs.accumulated[run, -1, :2]
        assert found.densities[run] == pytest.approx(own.logpdf(p) - prior.logpdf(p), abs=1e-8)


@pytest.mark.parametrize("name", ["invertible", "truncated", "floor"])
def test_path_density(name: str) -> None:
    """Two layers: normal densities of each layer's coordinates, the prior's from the joint covariance of both."""
    floor = 0.03 if name == "floor" else 0.0
    model = random_weights(4, layers=2, token_dim=3, scale=0.6)
    if name != "invertible":
        model = truncate_weights(model, layer=0, module="value", rank=2)
    setting, runs = prepared(model, floor)
    found = high_probability_bound(model, TASK, clip=4.0, floor=floor, **OPTIONS)
    mean, root = reference_of(setting)
    gamma = 6 * root @ root.T
    width = len(mean)
    joint = np.kron(np.ones((2, 2)), gamma / 24) + np.kron(np.eye(2), (1 / 6 - 1 / 24) * gamma)
    for run in range(8):
        maps = [layer.maps[run if len(layer.maps) > 1 else 0] for layer in runs.layers]
        sizes = [len(p) for p in maps]
        whole = np.zeros((sum(sizes), 2 * width))
        whole[: sizes[0], :width], whole[sizes[0] :, width:] = maps
        z = np.concatenate([layer.outputs[run] for layer in runs.layers])
        noise = runs.draws.noise_root[run]
        own = [p @ noise @ noise.T @ p.T + floor * np.eye(len(p)) for p in maps]
        centre = np.concatenate([p @ runs.draws.moments[run] for p in maps])
        block = np.zeros((len(z), len(z)))
        block[: sizes[0], : sizes[0]], block[sizes[0] :, sizes[0] :] = own
        prior = whole @ joint @ whole.T + floor * np.eye(len(z))
        expected = multivariate_normal(centre, block).logpdf(z)  # pyright: ignore[reportArgumentType]
        expected -= multivariate_normal(whole @ np.tile(mean, 2), prior).logpdf(z)  # pyright: ignore[reportArgumentType]
        assert found.densities[run] == pytest.approx(expected, abs=1e-7)


def test_bounds_of_every_run() -> None:
    """c (μ* - q) with kl(q ‖ μ*) = (ι + log(ξ/δ)) / N, and the runs and losses of the ladder under the same key."""
    model = random_weights(3, layers=2, token_dim=3, scale=0.6)
    found = high_probability_bound(model, TASK, clip=4.0, confidence=0.9, **OPTIONS)
    assert found.constant == pytest.approx(log_mean_exponential(24) + math.log(10))
    ladder = bound_ladder(model, TASK, clip=4.0, **OPTIONS)
    np.testing.assert_allclose(found.gaps, ladder.terms["gap"], rtol=1e-12)
    seen = ladder.terms["population"] - ladder.terms["gap"]
    for q, bound, nats in zip(seen / 4, found.bounds / 4, found.densities, strict=True):
        if q + bound < 1 - 1e-9:
            assert binary_kl(q, bound) == pytest.approx((nats + found.constant) / 24, rel=1e-9)
    assert found.bound.value == pytest.approx(found.bounds.mean())
    assert found.trivial == 4.0


@pytest.mark.parametrize("layers", [1, 3])
def test_mean_density(layers: int) -> None:
    """E ι is the information of the rung with the same prior, at one layer that of the readout."""
    model = random_weights(7, layers=layers, token_dim=3, scale=0.6)
    options: dict[str, Any] = {**OPTIONS, "samples": 2000, "clip": 4.0}
    density = high_probability_bound(model, TASK, **options).densities
    ladder = bound_ladder(model, TASK, **options, pairs=64).information
    if layers > 1:
        rung = ladder["path_gaussian"]
        error = math.hypot(density.std() / math.sqrt(2000), rung.stderr)
        assert abs(density.mean() - rung.value) < 6 * error < 0.2 * rung.value
    else:
        assert 0 < density.mean() < ladder["gaussian"].value


@pytest.mark.parametrize("layers", [1, 2])
def test_change_of_measure(layers: int) -> None:
    """E e^{-ι} = 1, since ι is the log ratio of two densities on the same space; of no other power of it.

    The constant is what the prior's exponential moment is at most: it is enumerated above, since the mean of
    exp(N kl) over runs rests on outcomes too rare to be drawn. A floor keeps the ratio's tails light.
    """
    task, model = LinearRegression(1, noise_std=1.0), gradient_descent_weights(1, layers=layers, step_size=0.5)
    options: dict[str, Any] = {"demonstrations": 12, "shots": 3, "samples": 20_000, "key": 1, "task_vector": [0.6]}
    density = high_probability_bound(model, task, clip=1.0, floor=0.1, **options).densities
    for power, equal in ((1.0, True), (0.5, False)):
        values = np.exp(-power * density)
        error = values.std(ddof=1) / math.sqrt(len(values))
        assert (abs(values.mean() - 1) < 6 * error) == equal
        assert not equal or error < 0.02


def test_share_of_wrong_runs() -> None:
    """At most δ of the runs are wrong, while half of them are with nothing on the right side."""
    for model in (random_weights(3, layers=1, token_dim=3), random_weights(3, layers=2, token_dim=3, scale=0.6)):
        many: dict[str, Any] = {**OPTIONS, "samples": 1000}
        found = high_probability_bound(model, TASK, clip=4.0, confidence=0.5, **many)
        assert found.violated is not None
        count = round(1000 * found.violated.value)
        assert count == (found.gaps > found.bounds).sum()
        assert binom.sf(count - 1, 1000, 0.5) > 1e-6
        assert (found.gaps > 0).mean() > 0.3


def test_infinite() -> None:
    """Too few demonstrations, with the reason; a floor removes it; a readout of few dimensions needs fewer."""
    few: dict[str, Any] = {**OPTIONS, "demonstrations": 5, "shots": 2, "clip": 4.0}
    deep = random_weights(3, layers=2, token_dim=3, scale=0.6)
    found = high_probability_bound(deep, TASK, **few)
    assert found.bound.value == math.inf
    assert "below d_S = 6" in found.bound.note
    assert math.isfinite(high_probability_bound(deep, TASK, **few, floor=0.01).bound.value)
    assert math.isfinite(high_probability_bound(random_weights(3, layers=1, token_dim=3), TASK, **few).bound.value)
    fewest: dict[str, Any] = {**few, "demonstrations": 2, "shots": 1}
    two = high_probability_bound(random_weights(3, layers=1, token_dim=3), TASK, **fewest)
    assert "2 dimensions of the readout" in two.bound.note


def test_refusals() -> None:
    """Confidence is a probability; a sampled population loss counts no wrong runs."""
    model = random_weights(3, layers=1, token_dim=3)
    for confidence in (0.0, 1.0, 1.5, -0.1):
        with pytest.raises(ValueError, match="confidence"):
            high_probability_bound(model, TASK, clip=4.0, confidence=confidence, **OPTIONS)
    teacher = ReLUTeacher(2, hidden=2, noise_std=0.3)
    options: dict[str, Any] = {**OPTIONS, "task_vector": None, "clip": 4.0}
    assert high_probability_bound(model, teacher, **options).violated is None
