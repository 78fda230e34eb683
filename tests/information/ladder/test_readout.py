"""The readout rung: what it reads, its dimension, and the information by other means."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from icl_theory import LinearRegression, Model, bound_ladder, gradient_descent_weights, random_weights, truncate_weights
from icl_theory.core.estimate import Estimate
from icl_theory.information.estimators.sandwich import Sandwich
from icl_theory.information.ladder.noisy_trajectory import Runs, draw, simulate
from icl_theory.information.ladder.path_sandwich import PathSandwich, path_sandwich
from icl_theory.information.ladder.readout import readout_rung
from icl_theory.information.ladder.rungs import reference_of
from icl_theory.information.ladder.setting import Setting

TASK, W, N, SHOTS = LinearRegression(3, noise_std=0.5), np.array([1.0, -0.5, 0.3]), 30, 6
LADDER: dict[str, Any] = {"demonstrations": N, "shots": SHOTS, "clip": 4.0, "samples": 64, "key": 2, "task_vector": W}


NOT_NEEDED = PathSandwich(Sandwich.infinite("not needed"), Estimate(math.inf), np.zeros(0))


def prepared(model: Model, floor: float = 0.0, runs: int = 25) -> tuple[Setting, Runs]:
    setting = Setting(model, TASK, W, N, SHOTS, floor)
    return setting, simulate(setting, draw(setting, np.random.default_rng(1), runs))


def by_definition(setting: Setting, runs: Runs) -> float:
    """The upper end of p = W[y, x] from dense normal densities of every pair, half the mixture the Gaussian prior."""
    model, tokens, count = setting.model, runs.draws.tokens, len(runs.draws.tokens)
    value, product = model.value[0], model.key[0].T @ model.query[0]
    share = (N - SHOTS) / (SHOTS * (N - 1))
    p = runs.accumulated[:, -1, :3]
    sigma = setting.covariance

    def law(points: np.ndarray, factor: float, mean: np.ndarray | None = None) -> Any:
        reads = (points @ value[-1])[:, None] * (points @ product)[:, :3]
        centre = reads.mean(axis=0) if mean is None else mean
        spread = factor * (reads - reads.mean(axis=0)).T @ (reads - reads.mean(axis=0)) / len(points)
        return multivariate_normal(centre, spread)  # pyright: ignore[reportArgumentType]

    table = np.array([law(h, share).logpdf(p) for h in tokens]).T
    # E and Cov of the readout of one token by Gaussian moments: a = row y of W_V, B = W_KᵀW_Q[:, x].
    a, b = value[-1], product[:, :3]
    mean = a @ sigma @ b
    spread = (np.outer(b.T @ sigma @ a, a @ sigma @ b) + (a @ sigma @ a) * b.T @ sigma @ b) / SHOTS
    prior = multivariate_normal(mean, spread).logpdf(p)  # pyright: ignore[reportArgumentType]
    terms = []
    for i in range(count):
        others = np.delete(table[i], i)
        terms.append(
            table[i, i] - np.logaddexp(np.logaddexp.reduce(others) - math.log(count - 1), prior[i]) + math.log(2)
        )
    return float(np.mean(terms))


def test_against_dense_densities() -> None:
    """K = 25 pairs, the densities of p written out; the canonical coordinates drop out."""
    setting, runs = prepared(random_weights(3, layers=1, token_dim=4))
    found = readout_rung(runs, setting, reference_of(setting), None, NOT_NEEDED)
    assert found.dimension == 3
    assert found.information.value == pytest.approx(by_definition(setting, runs), rel=1e-9)
    assert found.influence.mean() == pytest.approx(found.information.value, rel=1e-12)


def test_truncation() -> None:
    """W_V at any rank leaves the rung as it is; W_K and W_Q at rank r leave r dimensions and fewer nats.

    p is an invertible image of X a, a = row y of W_V, and the law of X knows no direction: so any a ≠ 0 has the same
    information, up to the sampling of 64 pairs.
    """
    model = random_weights(3, layers=1, token_dim=4)
    whole = bound_ladder(model, TASK, **LADDER)
    for rank in (1, 2, 3):
        cut = bound_ladder(truncate_weights(model, layer=0, module="value", rank=rank), TASK, **LADDER)
        first, second = cut.information["readout"], whole.information["readout"]
        assert abs(first.value - second.value) < 6 * math.hypot(first.stderr, second.stderr)
        assert cut.information["gaussian"].value < whole.information["gaussian"].value
        for name in ("key", "query"):
            setting, runs = prepared(truncate_weights(model, layer=0, module=name, rank=rank))
            found = readout_rung(runs, setting, reference_of(setting), None, NOT_NEEDED)
            assert found.dimension == rank
    nats = [
        bound_ladder(truncate_weights(model, layer=0, module="key", rank=r), TASK, **LADDER)
        .information["readout"]
        .value
        for r in (1, 2, 3)
    ]
    assert nats[0] < nats[1] < nats[2]


def test_below_the_ladder() -> None:
    """Below the information of all of W, at a single layer; the value of the path's at several."""
    for seed in range(4):
        found = bound_ladder(random_weights(seed, layers=1, token_dim=4), TASK, **LADDER).information
        assert found["readout"].value < found["mutual_information"].value
    deep = bound_ladder(random_weights(0, layers=2, token_dim=4), TASK, **LADDER).information
    assert deep["readout"].value == deep["path_information"].value
    assert deep["readout"].note


def test_few_demonstrations() -> None:
    """Finite from N - 1 ≥ dim p on, where every rung on W is infinite; infinite below that, with the reason."""
    model = random_weights(3, layers=1, token_dim=4)
    options: dict[str, Any] = LADDER | {"demonstrations": 5, "shots": 2}
    few = bound_ladder(model, TASK, **options)
    assert few.rungs["mutual_information"].value == math.inf
    assert math.isfinite(few.rungs["readout"].value)
    options["demonstrations"] = 3
    fewer = bound_ladder(model, TASK, **options)
    assert fewer.rungs["readout"].value == math.inf
    assert "3 dimensions of the readout" in fewer.rungs["readout"].note


def test_no_dependence() -> None:
    """A value matrix whose label row is zero: the prediction is 0 whatever the demonstrations."""
    model = random_weights(3, layers=1, token_dim=4)
    value = model.value.copy()
    value[:, -1] = 0
    found = bound_ladder(model.replace(value=value), TASK, **LADDER)
    assert found.rungs["readout"].value == 0.0
    assert found.gap.value == pytest.approx(0.0, abs=6 * found.gap.stderr)


def test_floor() -> None:
    """A vanishing floor changes nothing, a large one takes nearly all; its part of p against the dense projection."""
    model = truncate_weights(random_weights(3, layers=1, token_dim=4), layer=0, module="key", rank=2)
    values = [bound_ladder(model, TASK, **LADDER, floor=f).information["readout"].value for f in (0.0, 1e-20, 1e3)]
    assert values[1] == pytest.approx(values[0], rel=1e-6)
    assert values[2] < 0.05 * values[0] + 0.01
    setting, runs = prepared(model, floor=0.3, runs=4000)
    layer = runs.layers[0]
    inside = layer.support.embed((layer.support.matrix() @ runs.draws.observations[:, 0, :, None])[..., 0])
    noise = (layer.increment - inside)[:, -1, :3]
    found = readout_rung(runs, setting, reference_of(setting), 400, NOT_NEEDED)
    assert found.dimension == 2
    assert np.linalg.matrix_rank(noise.T @ noise, rtol=1e-9) == 2


def test_heads_and_gradient_descent() -> None:
    """Two equal heads of half the size read what one does; gradient descent reads d_x numbers."""
    model = random_weights(3, layers=1, token_dim=4)
    twice = Model.create(*(np.stack([m, m], 1) for m in (0.5 * model.value, model.key, model.query)), heads=2)
    one, two = (bound_ladder(m, TASK, **LADDER).information["readout"].value for m in (model, twice))
    assert two == pytest.approx(one, rel=1e-9)
    setting, runs = prepared(gradient_descent_weights(3))
    assert readout_rung(runs, setting, reference_of(setting), None, NOT_NEEDED).dimension == 3
    scaled = prepared(replace(gradient_descent_weights(3), value=-7.0 * gradient_descent_weights(3).value))
    first, second = (readout_rung(r, s, reference_of(s), None, NOT_NEEDED) for s, r in ((setting, runs), scaled))
    assert first.information.value == pytest.approx(second.information.value, rel=1e-9)


def test_path_sandwich_untouched() -> None:
    """At L > 1 the influence comes from the path, so that paired differences stay sharp."""
    setting, runs = prepared(random_weights(1, layers=2, token_dim=4))
    path = path_sandwich(runs, setting, reference_of(setting), None, "")
    found = readout_rung(runs, setting, reference_of(setting), None, path)
    assert found.influence is path.sandwich.influence["upper"]
    assert (found.individual, found.individual_influence) == (path.individual, path.influence)
    assert found.dimension is None


@pytest.mark.parametrize("floor", [0.0, 0.04])
def test_single_demonstrations(floor: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """N I(p; h_1), with h_1 of run i put into every other run j, from dense normal densities of p."""
    monkeypatch.setattr("icl_theory.information.ladder.readout.resolvable", lambda *_: True)
    setting, runs = prepared(random_weights(3, layers=1, token_dim=4), floor)
    found = readout_rung(runs, setting, reference_of(setting), None, NOT_NEEDED)
    value, product = setting.model.value[0], setting.model.key[0].T @ setting.model.query[0]
    units = runs.layers[0].support.embed(np.eye(10))[:, -1, :3]
    p, tokens = runs.accumulated[:, -1, :3], runs.draws.tokens
    share = (N - SHOTS) / (SHOTS * (N - 1))

    def law(points: np.ndarray) -> Any:
        reads = (points @ value[-1])[:, None] * (points @ product)[:, :3]
        spread = share * np.cov(reads.T, bias=True) + floor * units.T @ units
        return multivariate_normal(reads.mean(axis=0), spread)  # pyright: ignore[reportArgumentType]

    terms, count = [], len(tokens)
    for i in range(count):
        swapped = [law(np.concatenate([tokens[i][:1], other[1:]])).logpdf(p[i]) for other in tokens]
        others = [law(other).logpdf(p[i]) for j, other in enumerate(tokens) if j != i]
        terms.append(np.logaddexp.reduce(swapped) - math.log(count) - np.logaddexp.reduce(others) + math.log(count - 1))
    assert found.individual.value == pytest.approx(N * np.mean(terms), rel=1e-7)
    assert found.individual.note == "nested Monte Carlo"
    assert len(found.individual_influence) == count
    assert found.individual_influence.mean() == pytest.approx(found.individual.value, rel=1e-9)


def test_unresolved_single_demonstrations() -> None:
    """25 pairs resolve nothing: the information of all demonstrations stands for the sum, with the reason."""
    setting, runs = prepared(random_weights(3, layers=1, token_dim=4))
    found = readout_rung(runs, setting, reference_of(setting), None, NOT_NEEDED)
    assert (found.individual.value, found.individual.stderr) == (found.information.value, found.information.stderr)
    assert "resolve nothing sharper" in found.individual.note
    assert found.individual_influence is found.influence


def test_below_the_whole() -> None:
    """At N = 40, b = 10 and 4096 pairs the sum over demonstrations is below the information of all, by some 13 %."""
    task, size = LinearRegression(2, noise_std=0.5), 4096
    options: dict[str, Any] = {"demonstrations": 40, "shots": 10, "clip": 4.0, "task_vector": [1.0, -0.5]}
    ladder = bound_ladder(random_weights(3, layers=1, token_dim=3), task, samples=size, **options)
    found = ladder.information
    assert found["readout_sample"].note == "nested Monte Carlo"
    change = ladder.terms["readout"] - ladder.terms["readout_sample"]
    error = change.std(ddof=1) / math.sqrt(size)
    # Of a signal-to-noise ratio x = b/(N - b) of all demonstrations together: log(1 + x) against x/(1 + x).
    expected = (1 - 0.25 / math.log(4 / 3)) * found["readout"].value
    assert abs(change.mean() - expected) < 6 * error
