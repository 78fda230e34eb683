"""The Gaussian prior on the path: conditioning written out in full, the closed form, and the order of the rungs."""

import itertools
import math
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from scipy.stats import multivariate_normal
from two_layers import SHOTS, TASK, N, W, prepared

from icl_theory import Model, bound_ladder, random_weights
from icl_theory.core.symmetric import symmetric_coordinates
from icl_theory.information.ladder.large_sample_limit import (
    fourth_moment,
    observation_correction,
    observation_information,
)
from icl_theory.information.ladder.path_prior import path_divergences, path_log_density
from icl_theory.truncation.module_truncation import truncate_weights


def exact(array: Any) -> Any:
    """A matrix of mpmath, a column for a vector."""
    return mp.matrix(np.asarray(array).tolist())


def conditioned_exactly(setting, runs, reference):
    """The same with forty digits: inverses of nearly singular covariances cost seven digits in `conditioned`."""
    mean, root = exact(reference[0]), exact(reference[1])
    width, layers = len(mean), len(runs.layers)
    gamma, joint = SHOTS * root * root.T, mp.zeros(width * layers)
    for i, j in itertools.product(range(layers), repeat=2):
        share = mp.mpf(1) / (SHOTS if i == j else N)
        joint[i * width : (i + 1) * width, j * width : (j + 1) * width] = share * gamma
    return np.array([conditioned_run(setting, runs, run, mean, joint) for run in range(len(runs.accumulated))])


def conditioned_run(setting, runs, run, mean, joint):
    """The sum over the layers of one run."""
    width, total, noise, floor = len(mean), 0, exact(runs.draws.noise_root[run]), mp.mpf(setting.floor)
    seen = []  # rows of the map from all observations to an output, and the output less its mean
    for index, layer in enumerate(runs.layers):
        p = exact(layer.maps[run if len(layer.maps) > 1 else 0])
        here, output = mp.zeros(p.rows, joint.rows), exact(layer.outputs[run]) - p * mean
        here[:, index * width : (index + 1) * width] = p
        prior, offset = here * joint * here.T + floor * mp.eye(p.rows), p * exact(runs.draws.moments[run]) - p * mean
        if seen:
            observe, known = (
                mp.matrix([list(row) for part in parts for row in part]) for parts in zip(*seen, strict=True)
            )
            gain = here * joint * observe.T * (observe * joint * observe.T + floor * mp.eye(observe.rows)) ** -1
            offset, prior = offset - gain * known, prior - gain * observe * joint * here.T
        covariance = p * noise * noise.T * p.T + floor * mp.eye(p.rows)
        inverse = prior**-1
        product = inverse * covariance
        excess = sum(product[i, i] for i in range(p.rows)) + (offset.T * inverse * offset)[0] - p.rows
        moving = any(len(x.maps) > 1 and not x.cancels for x in runs.layers[: index + 1])
        total += (mp.log(mp.det(prior)) - mp.log(mp.det(covariance)) + (excess if moving else 0)) / 2
        seen.append((here.tolist(), output.tolist()))
    return float(total)


@pytest.mark.parametrize(
    ("cuts", "floor"), [((), 0.0), (((0, 2),), 0.0), (((1, 2),), 0.0), (((1, 1), (2, 2)), 0.0), (((1, 2),), 0.05)]
)
def test_full_conditioning(cuts, floor):
    """Filter against conditioning in full."""
    loose, eye = random_weights(3, layers=3, token_dim=3, scale=0.3), 0.6 * np.eye(3)
    model = Model.create(loose.value + eye, loose.key + eye, loose.query + eye)
    for layer, rank in cuts:
        model = truncate_weights(model, layer=layer, module="value", rank=rank)
    setting, runs, reference = prepared(model, floor)
    with mp.workdps(40):
        expected = conditioned_exactly(setting, runs, reference)
    np.testing.assert_allclose(sum(path_divergences(runs, setting, reference)), expected, rtol=1e-11)


@pytest.mark.parametrize("layers", [1, 3])
def test_path_density(layers):
    """All observations at once: a normal vector with covariance Γ/N between any two, plus (1/b - 1/N) Γ within one."""
    setting, runs, reference = prepared(random_weights(1, layers=layers, token_dim=3, scale=0.4))
    mean, root = reference
    gamma = SHOTS * root @ root.T
    joint: Any = np.kron(np.ones((layers, layers)), gamma / N) + np.kron(np.eye(layers), (1 / SHOTS - 1 / N) * gamma)
    observations = runs.draws.observations.reshape(len(runs.accumulated), -1)
    expected = multivariate_normal.logpdf(observations, np.tile(mean, layers), joint)
    np.testing.assert_allclose(path_log_density(runs, setting, reference), expected, rtol=1e-9)


def test_truncated_path_density():
    """Density of a truncated path with a floor."""
    model = truncate_weights(random_weights(1, layers=1, token_dim=3), layer=0, module="value", rank=2)
    setting, runs, (mean, root) = prepared(model, floor=0.03)
    layer = runs.layers[0]
    covariance = layer.maps[0] @ root @ root.T @ layer.maps[0].T + 0.03 * np.eye(layer.dimension)
    expected = multivariate_normal.logpdf(layer.outputs, layer.maps[0] @ mean, covariance)
    np.testing.assert_allclose(path_log_density(runs, setting, (mean, root)), expected, rtol=1e-9)


def test_sandwich_below_prior():
    """Saturated by far: without the prior's half the upper end would be nats above it."""
    options = {"demonstrations": N, "shots": SHOTS, "clip": 4.0, "samples": 40, "key": 5, "task_vector": W}
    found = bound_ladder(random_weights(2, layers=4, token_dim=3, scale=0.3), TASK, **options)
    error = math.hypot(found.information["path_gaussian"].stderr, found.sandwich.upper.stderr)
    assert found.sandwich.saturated
    assert found.sandwich.upper.value < found.information["path_gaussian"].value + math.log(2) + 6 * error


@pytest.mark.parametrize("layers", [1, 2, 5])
def test_closed_form(layers):
    """L of the curvature terms and one logarithm: half of log det of the joint prior, which is a Kronecker product."""
    setting, runs, reference = prepared(random_weights(1, layers=layers, token_dim=3, scale=0.4), runs=30)
    (_, root), noise = reference, runs.draws.noise_root
    expected_noise = (1 - SHOTS / N) * root @ root.T
    volumes = np.linalg.slogdet(noise @ np.swapaxes(noise, 1, 2))[1]
    closed = observation_information(6, N, SHOTS, layers) + layers / 2 * (
        np.linalg.slogdet(expected_noise)[1] - volumes
    )
    np.testing.assert_allclose(sum(path_divergences(runs, setting, reference)), closed, rtol=1e-9)


def test_tighter_than_per_layer():
    """Path prior is tighter than one prior per layer."""
    options = {"demonstrations": N, "shots": SHOTS, "clip": 4.0, "samples": 200, "key": 5, "task_vector": W}
    for layers in (1, 3):
        found = bound_ladder(random_weights(2, layers=layers, token_dim=3, scale=0.4), TASK, **options).information
        saved = layers * observation_information(6, N, SHOTS) - observation_information(6, N, SHOTS, layers)
        assert found["gaussian"].value - found["path_gaussian"].value == pytest.approx(saved, abs=1e-9)
        assert (saved > 1e-3) == (layers > 1)
    two = truncate_weights(random_weights(2, layers=2, token_dim=3, scale=0.4), layer=1, module="query", rank=2)
    ladder = bound_ladder(two, TASK, **options)
    apart = ladder.terms["gaussian"] - ladder.terms["path_gaussian"]
    assert apart.mean() > 6 * apart.std() / math.sqrt(len(apart)) / 2


def test_path_and_last_output():
    """Path and last output are distinguished."""
    options = {"demonstrations": N, "shots": SHOTS, "clip": 4.0, "samples": 64, "key": 5, "task_vector": W}
    one = bound_ladder(random_weights(2, layers=1, token_dim=3), TASK, **options).information
    two = bound_ladder(random_weights(2, layers=2, token_dim=3, scale=0.5), TASK, **options).information
    assert one["path_information"] == one["mutual_information"]
    assert two["path_information"].value == two["mutual_information"].value
    assert "I(W_L; H_s) ≤ I(W_{1:L}; H_s)" in two["mutual_information"].note
    assert two["path_information"].note == ""


@pytest.mark.parametrize("width", [1, 2, 5])
def test_isserlis(width):
    """Against E|z|⁴ = Σ_ab E z_a² z_b² by Gauss-Hermite quadrature, exact for polynomials of degree eight."""
    x, weight = np.polynomial.hermite_e.hermegauss(6)
    weight = weight / weight.sum()
    points = np.stack(np.meshgrid(*[x] * width, indexing="ij"), -1).reshape(-1, width)
    mass = np.prod(np.stack(np.meshgrid(*[weight] * width, indexing="ij"), -1).reshape(-1, width), axis=1)
    z = symmetric_coordinates(points[:, :, None] * points[:, None, :] - np.eye(width)) / math.sqrt(2)
    assert fourth_moment(width) == pytest.approx(mass @ (z**2).sum(1) ** 2, rel=1e-12)


def test_correction():
    """½ [log det E C - E log det C] at large N, with a control variate of known mean: tr Δ - ½ tr Δ²."""
    rng, width, count, runs = np.random.default_rng(3), 2, 1200, 600
    h = rng.standard_normal((runs, count, width))
    z = symmetric_coordinates(h[..., :, None] * h[..., None, :] - np.eye(width)) / math.sqrt(2)
    centred = z - z.mean(axis=1, keepdims=True)
    delta = np.swapaxes(centred, 1, 2) @ centred / (count - 1) - np.eye(3)
    trace, square = np.trace(delta, axis1=1, axis2=2), (delta**2).sum((1, 2))
    rest = np.linalg.slogdet(np.eye(3) + delta)[1] - trace + 0.5 * square
    first = 0.25 * square
    predicted = observation_correction(width, count)
    assert abs(first.mean() - predicted) < 6 * first.std() / math.sqrt(runs) + 3 * predicted / count
    assert abs(rest.mean()) < 0.2 * predicted
