"""The chain of Lemma 3: its linearisation, its prior written out in full, quadrature; no run learns from itself."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from two_layers import SHOTS, TASK, N, W, prepared

from icl_theory import LinearRegression, Model, bound_ladder, random_weights
from icl_theory.information.ladder.chain_prior import _knowledge, chain_divergence, observation_jacobians
from icl_theory.information.ladder.noisy_trajectory import Draws, simulate
from icl_theory.information.ladder.path_prior import path_divergences
from icl_theory.information.ladder.setting import Setting
from icl_theory.noise.covariance import sampling_factor
from icl_theory.truncation.module_truncation import truncate_weights

LADDER = {"demonstrations": N, "shots": SHOTS, "clip": 4.0, "task_vector": W}


def mild(layers=3, seed=3):
    """Well-conditioned weights under which W stays of moderate size."""
    loose, eye = random_weights(seed, layers=layers, token_dim=3, scale=0.3), 0.5 * np.eye(3)
    return Model.create(loose.value + eye, loose.key + eye, loose.query + eye)


def chain(setting, runs, reference):
    return chain_divergence(runs, setting, reference, path_divergences(runs, setting, reference))


@pytest.mark.parametrize("labels", ["noisy", "noise-free"])
@pytest.mark.parametrize("kind", ["plain", "heads", "mlp"])
def test_jacobians(kind, labels):
    """Jacobians against automatic differentiation."""
    model = mild()
    if kind == "heads":
        model = Model.create(*(np.stack([m, 0.3 * m[::-1]], 1) for m in (model.value, *_rest(model))), heads=2)
    if kind == "mlp":
        model = model.replace(mlp_in=0.7 * model.query, mlp_out=model.key)
    task = TASK if labels == "noisy" else LinearRegression(2)
    setting = Setting(model, task, W, N, SHOTS)
    basis, size = setting.basis, setting.coordinates
    root = np.linalg.cholesky(np.eye(size) + 0.1)
    rows, columns = np.triu_indices(basis.shape[1])
    weight = np.where(rows == columns, 1.0, math.sqrt(2.0))

    def last(z):
        m = jnp.eye(3)
        for t in range(3):
            inner = jnp.zeros((basis.shape[1],) * 2).at[rows, columns].set(root @ z[t] / weight)
            inner = inner + jnp.triu(inner, 1).T
            x = jnp.asarray(setting.covariance) + basis @ inner @ basis.T
            full = model.with_heads()
            values = full.left_factor()[t]
            heads = zip(values, full.key[t], full.query[t], strict=True)
            m = m + sum(v @ m @ x @ m.T @ k.T @ q @ m for v, k, q in heads)
        return m.ravel()

    with jax.enable_x64(True):
        expected = np.asarray(jax.jacfwd(last)(jnp.zeros((3, size)))).swapaxes(0, 1)
    np.testing.assert_allclose(observation_jacobians(setting, root, 3), expected, rtol=1e-10, atol=1e-12)


def _rest(model):
    return model.key, model.query


@pytest.mark.parametrize("floor", [0.0, 0.02])
def test_full_conditioning(floor, monkeypatch):
    """S and W_2 jointly normal: all covariances by Kronecker products, the rest white, then one inverse."""
    monkeypatch.setattr("icl_theory.information.ladder.chain_prior._FURTHEST", math.inf)
    setting, runs, reference = prepared(mild(), floor, runs=40)
    tested = np.arange(40) % 2 == 0
    mean, root = reference
    jacobians = observation_jacobians(setting, root, 2)
    whole = np.concatenate(list(jacobians), axis=1)  # (D², 2m)
    size, seen = len(root), SHOTS / N
    observations = np.concatenate(
        [np.linalg.solve(root, (runs.draws.observations[:, s] - mean).T).T for s in range(2)], axis=1
    )
    rest = runs.layers[2].entering.reshape(40, -1) - observations @ whole.T
    centre = rest[~tested].mean(axis=0)
    white = rest[~tested].var(axis=0, ddof=1).mean()
    joint = np.kron(np.full((2, 2), seen) + (1 - seen) * np.eye(2), np.eye(size))
    covariance = whole @ joint @ whole.T + white * np.eye(9)
    cross = seen * np.tile(np.eye(size), (1, 2)) @ whole.T
    gain = cross @ np.linalg.inv(covariance)
    state, spread = _knowledge(runs, setting, reference, 2, tested)
    expected = (runs.layers[2].entering.reshape(40, -1)[tested] - centre) @ gain.T
    np.testing.assert_allclose(state, expected, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(spread, seen * np.eye(size) - gain @ cross.T, rtol=1e-7, atol=1e-9)


def test_cross_fitting():
    """A run replaced by another one moves its own term and the other half's, nothing in its own half."""
    setting, runs, reference = prepared(mild(), runs=30)
    before = chain(setting, runs, reference)
    draws = runs.draws
    swapped = {
        name: getattr(draws, name).copy()
        for name in ("tokens", "inner", "moments", "noise_root", "observations", "extra", "mix")
    }
    for values in swapped.values():
        if values.size:
            values[4] = values[5]
    after = chain(setting, simulate(setting, Draws(**swapped)), reference)
    same = np.isclose(before, after, rtol=1e-12, atol=0)
    assert same[[i for i in range(0, 30, 2) if i != 4]].all()
    assert not same[4]
    assert not same[1::2].any()


def test_chain_is_the_path():
    """I(W_1; H) + I(W_2; H | W_1) = I(W_1, W_2; H) by the chain rule, the estimates number by number."""
    for layers in (1, 2):
        terms = bound_ladder(mild(layers), TASK, samples=60, key=1, **LADDER).terms
        np.testing.assert_array_equal(terms["chain"], terms["path_gaussian"])


def test_small_tied_layers():
    """W_{t-1} is then the sum of the observations so far, which carries as much about S as the single observations."""
    one = mild(1)
    tiny = Model.create(*(np.repeat(m, 4, 0) for m in (1e-5 * one.value, one.key, one.query)))
    found = bound_ladder(tiny, TASK, samples=6000, key=1, pairs=16, **LADDER)
    gain = found.terms["gaussian"].mean() - found.terms["path_gaussian"].mean()
    change = found.terms["chain"] - found.terms["path_gaussian"]
    error = change.std(ddof=1) / math.sqrt(6000)
    assert abs(change.mean()) < 6 * error
    assert error < 0.04 * gain


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_chain_in_between(seed):
    """Different layers weigh the observations differently, so W_{t-1} has lost some of the path's information."""
    found = bound_ladder(mild(4, seed), TASK, samples=8000, pairs=200, key=seed, **LADDER)
    terms = {name: found.terms[name] for name in ("path_gaussian", "chain", "gaussian")}
    for low, high in (("path_gaussian", "chain"), ("chain", "gaussian")):
        change = terms[high] - terms[low]
        assert change.mean() > 6 * change.std(ddof=1) / math.sqrt(8000), (low, high)
    lower = found.sandwich.lower
    assert found.information["chain"].value > lower.value - 6 * lower.stderr


def test_wild_weights():
    """A useless linearisation costs little: the update then learns next to nothing, it does not mislead."""
    wild = random_weights(1, layers=4, token_dim=3, scale=1.2)
    found = bound_ladder(wild, TASK, samples=400, key=0, **LADDER)
    change = found.terms["chain"] - found.terms["gaussian"]
    assert change.mean() < 6 * change.std(ddof=1) / 20
    assert np.isfinite(change).all()


@pytest.mark.parametrize("floor", [0.0, 0.05])
def test_truncated_layers(floor):
    """Truncated and removed layers."""
    full = bound_ladder(mild(4), TASK, samples=200, key=0, floor=floor, **LADDER).information["chain"]
    previous = full.value + 0.5
    for rank in (2, 1, 0):
        cut = truncate_weights(mild(4), layer=2, module="value", rank=rank)
        found = bound_ladder(cut, TASK, samples=200, key=0, floor=floor, **LADDER).information["chain"]
        assert 0 < found.value < previous
        previous = found.value


def test_few_runs():
    """Two runs in each half: the prior stays that of the Gaussian rung."""
    setting, runs, reference = prepared(mild(), runs=4)
    terms = chain(setting, runs, reference)
    state, spread = _knowledge(runs, setting, reference, 2, np.array([True, False, True, False]))
    assert not state.any()
    np.testing.assert_array_equal(spread, SHOTS / N * np.eye(6))
    assert np.isfinite(terms).all()


def by_quadrature(samples: int, points: int) -> tuple[float, float, float]:
    """I(W_t; H | W_{t-1}) at t = 1, 2, 3 for tokens on a line, H standing for `samples` drawn sets of demonstrations.

    With x_t ~ N(S, C) and M_t = M_{t-1} + a M_{t-1}³ x_t, everything is a density on a line: p(W_2 | H) by one
    integral over W_1, and the posterior of H given W_2 by Bayes.
    """
    rng = np.random.default_rng(8)
    squares = rng.standard_normal((samples, N)) ** 2
    mean, deviation = squares.mean(1), np.sqrt(sampling_factor(N, SHOTS) * squares.var(1))
    grid = np.linspace((mean - 7 * deviation).min(), (mean + 7 * deviation).max(), points)
    step = grid[1] - grid[0]

    def density(x):
        z = (x[..., None] - mean) / deviation
        return np.exp(-0.5 * z**2) / (math.sqrt(2 * math.pi) * deviation)

    observation = density(grid)

    def given(joint, cell):
        total = joint.sum(axis=1, keepdims=True)
        posterior = np.divide(joint, total, out=np.zeros_like(joint), where=total > 1e-300)
        mixture = posterior @ observation.T
        own = np.where(observation > 0, observation * np.log(np.maximum(observation, 1e-300)), 0.0).sum(0) * step
        mixed = (mixture * np.log(np.maximum(mixture, 1e-300))).sum(1) * step
        return float((total[:, 0] / samples * (posterior @ own - mixed)).sum() * cell)

    first = given(np.ones((1, samples)), 1.0)
    slope = SCALE * (1 + SCALE * grid) ** 3
    states = np.linspace((SCALE * grid + slope * grid[0]).min(), (SCALE * grid + slope * grid[-1]).max(), points)
    second = np.zeros((points, samples))
    for here, m, weight in zip(SCALE * grid, slope, observation, strict=True):
        second += density((states - here) / m) / m * weight * step
    return first, given(observation, step), given(second, states[1] - states[0])


SCALE = 0.08


def test_terms_by_quadrature():
    """Noise-free labels of one input and w = 0: tokens on a line. Not Gaussian, so the bound has to lie above."""
    exact = np.array(by_quadrature(300, 500))
    assert exact == pytest.approx(by_quadrature(300, 350), rel=2e-3)
    one = np.ones((3, 2, 2))
    task, vector = LinearRegression(1), np.zeros(1)
    model = Model.create(SCALE * one * np.diag([1.0, 0.0]), one * np.eye(2), one * np.eye(2))
    found = bound_ladder(model, task, **{**LADDER, "task_vector": vector}, samples=4000, pairs=16, key=2)
    value = found.information["chain"]
    # 300 sets represent all of them: the log of their number is far above the information, so little is left out.
    assert value.value > exact.sum() - 6 * value.stderr - 0.02
    assert value.value < 1.6 * exact.sum()
    assert exact[2] < exact[1] < exact[0]
