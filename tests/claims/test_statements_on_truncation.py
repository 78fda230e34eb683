"""What the claims on truncation, few demonstrations and dropped layers compute, each against a second method."""

import numpy as np
import pytest
from helpers import assert_close
from scipy.special import logsumexp

from icl_theory import Model, gradient_noise, implicit_trajectory, one_layer_optimum, population_risk
from icl_theory.claims.engine.case_factory import CaseFactory
from icl_theory.claims.engine.case_settings import SHOTS
from icl_theory.claims.engine.profiles import Profile
from icl_theory.claims.information import sandwich_ends
from icl_theory.claims.noise import few_demonstrations, gram_spectrum
from icl_theory.claims.training import exact_risk
from icl_theory.claims.truncation import (
    dropped_first_layer,
    optimum_truncation,
    truncation_norm_later,
    truncation_trap,
    whitened_truncation,
)
from icl_theory.noise.covariance import layer_factors
from icl_theory.truncation.svd import truncate


@pytest.fixture(scope="module")
def factory():
    return CaseFactory(Profile(seeds=2, samples=64, steps={1: 50, 3: 20}, scalar_samples=1000, trained_seeds=2), 5)


def test_later_gradients(factory):
    """Later gradients layer by layer."""
    case, rank = factory.random(3)[0], 2
    found = truncation_norm_later.measure(case)[rank - 1]
    u, s, vt = np.linalg.svd(case.model.value[0])
    value = np.array(case.model.value)
    value[0] = (u[:, :rank] * s[:rank]) @ vt[:rank]
    norms = []
    for values in (value, case.model.value):
        m, moment, sizes = np.eye(6), case.demonstrations.T @ case.demonstrations / len(case.demonstrations), []
        for v, k, q in zip(values, case.model.key, case.model.query, strict=True):
            gradient = v @ m @ moment @ m.T @ k.T @ q @ m
            sizes.append((gradient**2).sum())
            m = m + gradient
        norms.append(sizes[1:])
    assert_close(found, np.divide(*norms), 1e-10)


def test_exact_later_layer():
    """Exact counterexample of a later layer in floats."""
    found = truncation_norm_later.counterexample()
    tokens = np.array(found["tokens"], dtype=float) * np.sqrt(2)  # the mean convention then has S = I
    value, key, query = (np.array(found[name], dtype=float) for name in ("value", "key", "query"))
    norms = []
    for first in (value[0], truncate(value[0], 1).matrix):
        model = Model(np.stack([first, value[1]]), key, query)
        norms.append((implicit_trajectory(model, tokens).gradient[1] ** 2).sum())
    assert norms == pytest.approx([1, 2])


def test_eight_demonstrations(factory):
    """Eigenvalues from eight demonstrations."""
    case = factory.random(1)[1]
    noise = gradient_noise(case.model, case.demonstrations, shots=case.shots)
    assert_close(noise.spectrum, gram_spectrum.predict(case)[: noise.rank], 1e-9)
    assert noise.rank == len(case.demonstrations) - 1
    assert abs(gram_spectrum.predict(case)[-1]) < 1e-12 * noise.spectrum[0]


def test_few_demonstrations(factory):
    """Ranks of few demonstrations in full matrices."""
    for case in [*factory.random(1), *factory.constructed(1)]:
        count, dimension = few_demonstrations.shown(case)
        rng = np.random.default_rng(case.seed)
        tokens = case.task.sample_tokens(rng, case.task_vector[None], 2 * count)[0]
        left, right = layer_factors(case.model, 0, np.zeros((6, 6)))
        sets = np.einsum("ni,nj->nij", tokens @ left.T, tokens @ right).reshape(2, count, -1)
        sets = sets - sets.mean(axis=1, keepdims=True)
        ranks = [np.linalg.matrix_rank(points, rtol=1e-9) for points in (sets[0], sets.reshape(2 * count, -1))]
        assert ranks == few_demonstrations.measure(case).tolist()
        assert count - 1 < dimension


def test_balanced_layers(factory):
    """The first layer balances the second."""
    case = dropped_first_layer.balanced(factory.random(1)[0])
    mean = np.eye(6) + case.model.value[0] @ case.task.token_covariance(case.task_vector)
    left, right = layer_factors(case.model, 1, mean - np.eye(6))
    assert_close(left, np.eye(6), 1e-9)
    assert_close(right, np.eye(6), 1e-9)
    alone = dropped_first_layer.later_layers(case)
    assert alone.layers == 1
    assert np.linalg.cond(alone.model.value[0]) > 5


def test_smallest_risks(factory):
    """Smallest risks of every rank."""
    for case in truncation_trap.anisotropic_optima(factory):
        best = [one_layer_optimum(case.task, shots=SHOTS, rank=rank)[1] for rank in range(6)]
        assert_close(whitened_truncation.predict(case), best, 1e-12)
        model = [one_layer_optimum(case.task, shots=SHOTS, rank=rank)[0] for rank in range(6)]
        risks = [population_risk(w, case.task, shots=SHOTS).value for w in model]
        assert_close(whitened_truncation.measure(case), risks, 1e-12)


def test_noisy_optimum(factory):
    """Noise on the optimum can be cut."""
    cases = [optimum_truncation.disturbed(case) for case in truncation_trap.anisotropic_optima(factory)]
    assert all(np.linalg.matrix_rank(case.model.key[0]) == 6 for case in cases)
    assert min(optimum_truncation.measure(case).min() / optimum_truncation.risk(case) for case in cases) < 0.9


def test_zero_model(factory):
    """Sampled risk of the zero model is that of guessing nothing."""
    case = factory.random(1)[0]
    zero = case.with_model(case.model.replace(value=0 * np.array(case.model.value)), "zero")
    assert exact_risk.predict(zero).value == pytest.approx(5.0)
    assert abs(exact_risk.measure(zero).value - 5.0) < 6 * exact_risk.measure(zero).stderr


def test_channel_ends(factory):
    """Ends of a channel pair by pair."""
    case = factory.random(1)[0]
    rng, matrix = np.random.default_rng(case.seed), sandwich_ends.channel(case)
    assert (matrix**2).sum() == pytest.approx(12.0)
    pairs = sandwich_ends.PAIRS
    means = rng.standard_normal((sandwich_ends.REPETITIONS, pairs, 6)) @ matrix.T
    outputs = means + rng.standard_normal(means.shape)
    table = -0.5 * ((outputs[0][:, None] - means[0][None]) ** 2).sum(-1)
    upper = np.mean([table[i, i] - logsumexp(np.delete(table[i], i)) + np.log(pairs - 1) for i in range(pairs)])
    lower = np.mean(np.diag(table) - logsumexp(table, axis=1)) + np.log(pairs)
    assert sandwich_ends.sandwich_means(case)[0] == pytest.approx([lower, upper])
    covariance = np.eye(6) + matrix @ matrix.T
    assert sandwich_ends.information(case) == pytest.approx(0.5 * np.log(np.linalg.det(covariance)))
