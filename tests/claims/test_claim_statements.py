"""What the newer claims compute, each against a second method: brute force, sampling, or a number known by hand."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from helpers import assert_close, assert_mean, forward_by_token

from icl_theory import (
    LinearRegression,
    Model,
    Prompt,
    forward,
    gradient_descent_weights,
    implicit_trajectory,
    population_risk,
    predict,
    truncation_curves,
)
from icl_theory.claims.attention import causal_order
from icl_theory.claims.bounds import remark_4_printed
from icl_theory.claims.engine.case_factory import CaseFactory
from icl_theory.claims.engine.case_settings import SHOTS
from icl_theory.claims.engine.cases import demonstration_sets
from icl_theory.claims.engine.profiles import PROFILES, Profile
from icl_theory.claims.information import individual_sample, lemma_6
from icl_theory.claims.noise import noise_training, remark_3
from icl_theory.claims.quantities import exact_channels, prompt_errors
from icl_theory.claims.quantities.constructed_predictions import query_input
from icl_theory.claims.training import wishart_moment
from icl_theory.claims.trajectory import gd_plus_plus_construction, readout_sign, remark_2
from icl_theory.claims.truncation import truncation_trap
from icl_theory.descent.gradient_descent import plus_plus_steps


@pytest.fixture(scope="module")
def factory():
    return CaseFactory(PROFILES["quick"], 11)


@pytest.fixture(scope="module")
def case(factory):
    return factory.random(1)[0]


def test_causal_orders_by_hand():
    """Orders under a causal mask by hand."""
    found = causal_order.counterexample()
    model = Model.create(*(np.array(found[name], dtype=float) for name in ("value", "key", "query")))
    tokens, probe = np.array(found["tokens"], dtype=float), np.array(found["probe"], dtype=float)

    def output(h):
        return forward(model.replace(mask="causal", normalization="sum"), h, probe)[0]

    # The query is 1 + (1 + 4) = 6 after the first layer; then 6 (1 + 4 + 144) against 6 (1 + 100 + 36).
    assert (output(tokens), output(tokens[::-1])) == (6 * 149, 6 * 137)
    exact = [causal_order._exact_output(found, h)[0] for h in (found["tokens"], found["tokens"][::-1])]
    assert exact == [6 * 149, 6 * 137]
    one_layer = found | {name: found[name][:1] for name in ("value", "key", "query")}
    assert not causal_order.recheck(one_layer)
    assert not causal_order.recheck(found | {"tokens": [[0], [1]]})


def test_causal_token_loop(case):
    """Causal forward agrees with a token loop."""
    query = np.append(np.random.default_rng(case.seed).standard_normal(case.model.token_dim - 1), 0.0)
    _, slow = forward_by_token(case.model, case.demonstrations[::-1], query, mask="causal")
    assert_close(causal_order.measure(case), slow)


def test_stand_in_map(factory):
    """The stand in reaches the same map by other weights."""
    case = factory.random(3)[0]
    target = implicit_trajectory(case.model, case.demonstrations).accumulated[2]
    model = remark_2.stand_in(case, target)
    assert_close(implicit_trajectory(model, case.demonstrations).accumulated[1], target, 1e-10)
    assert np.abs(model.value[0] - case.model.value[0]).max() > 0.1


def test_discrete_channel(case):
    """Information of a discrete channel by a double sum."""
    source, channel = exact_channels.discrete(case)
    joint = source[:, None] * channel
    marginal = joint.sum(axis=0)
    total = sum(
        joint[i, j] * math.log(joint[i, j] / (source[i] * marginal[j]))
        for i, j in itertools.product(range(len(source)), range(len(marginal)))
    )
    assert exact_channels.discrete_information(source, channel) == pytest.approx(total, rel=1e-10)
    assert source.sum() == pytest.approx(1)
    assert channel.sum(axis=1) == pytest.approx(np.ones(len(channel)))
    assert all(prior.sum() == pytest.approx(1) for prior in exact_channels.discrete_priors(case))


def test_gaussian_channel(case, rng):
    """Information and divergence of a gaussian channel by sampling."""
    signal, noise = exact_channels.gaussian(case)
    mean, prior = exact_channels.gaussian_priors(case)[5]
    total = 0.5 * (np.linalg.slogdet(signal + noise)[1] - np.linalg.slogdet(noise)[1])
    assert exact_channels.gaussian_information(signal, noise) == pytest.approx(total, rel=1e-10)
    size, count = len(mean), 40_000
    clean = rng.standard_normal((count, size)) @ np.linalg.cholesky(signal + 1e-12 * np.eye(size)).T
    output = clean + rng.standard_normal((count, size)) @ np.linalg.cholesky(noise).T

    def log_density(points, covariance):
        white = np.linalg.solve(np.linalg.cholesky(covariance), points.T)
        return -0.5 * ((white**2).sum(axis=0) + np.linalg.slogdet(covariance)[1])

    ratios = log_density(output - clean, noise) - log_density(output - mean, prior)
    assert_mean(ratios, exact_channels.gaussian_divergence(signal, noise, mean, prior))


@pytest.mark.parametrize(("gap", "expected"), [(0.0, 0.0), (200.0, math.log(2))])
def test_mixture_ends(gap, expected):
    """Information of a mixture at its two ends."""
    means, variances = np.array([0.0, gap]), np.ones(2)
    assert lemma_6.channel_information(means, variances) == pytest.approx(expected, abs=1e-12)


def test_mixture_by_sampling(case, rng):
    """Information of a mixture by sampling."""
    means, variances = lemma_6.noise_channel(case)
    which = rng.integers(len(means), size=200_000)
    points = means[which] + np.sqrt(variances[which]) * rng.standard_normal(len(which))
    densities = np.exp(-0.5 * (points[:, None] - means) ** 2 / variances) / np.sqrt(variances)
    own = densities[np.arange(len(which)), which]
    assert_mean(np.log(own / densities.mean(axis=1)), lemma_6.channel_information(means, variances))


def test_second_line_is_smallest(case):
    """Second line is the smallest first line."""
    means, variances = lemma_6.noise_channel(case)
    grid = [lemma_6.first_line(means, variances, 0.3, s) for s in np.exp(np.linspace(-8, 8, 20_001))]
    assert min(grid) == pytest.approx(lemma_6.second_line(means, variances, 0.3), abs=1e-6)


def test_parity(case):
    """Parity hides from every single demonstration."""
    single, total, count = individual_sample._discrete(case, parity=True)
    assert single == pytest.approx(np.zeros(count), abs=1e-12)
    assert total == pytest.approx(math.log(2))


def test_single_informations(case):
    """Informations of single demonstrations add up to less than the whole."""
    for single, total, _ in individual_sample._examples(case):
        assert single.sum() <= total + 1e-12
        assert (single >= -1e-12).all()


def test_gaussian_informations():
    """D = 1: W = (1/N) Σ h_i + n has correlation² (1/N²)/(1/N + ν²) with one demonstration."""
    case = CaseFactory(PROFILES["quick"], 3).random(1)[0]
    single, total, count = individual_sample._gaussian(case)
    value = case.model.value[0]
    cov = value @ case.task.token_covariance(case.task_vector) @ value.T
    noise = 0.1 * np.trace(cov) / count / len(cov)
    eigenvalues = np.linalg.eigvalsh(cov)
    output = eigenvalues / count + noise
    squared_correlation = eigenvalues / count**2 / output
    assert single[0] == pytest.approx(-0.5 * np.log1p(-squared_correlation).sum(), rel=1e-9)
    assert total == pytest.approx(0.5 * np.log(output / noise).sum(), rel=1e-9)


def test_wishart_moment(case, rng):
    """Wishart moment by sampling."""
    sigma, a, count = wishart_moment._setting(case)
    tokens = rng.standard_normal((20_000, count, len(sigma))) @ np.linalg.cholesky(sigma).T
    moments = tokens.swapaxes(1, 2) @ tokens / count
    assert_mean(moments @ a @ moments, wishart_moment.predict(case))


def test_gd_plus_plus_steps(factory):
    """Explicit steps of GD++ against moments."""
    for case in gd_plus_plus_construction.cases(factory):
        eta, gamma = gd_plus_plus_construction._steps(case)
        moment = case.demonstrations.T @ case.demonstrations / len(case.demonstrations)
        p = plus_plus_steps(moment[None], eta, gamma, case.layers)[0, -1]
        assert gd_plus_plus_construction.predict(case) == pytest.approx(p @ query_input(case), rel=1e-9)


def test_prompt_errors(factory):
    """Errors on prompts average to the exact risk."""
    case = factory.constructed(1)[1]
    values = prompt_errors.errors(case, case.model, SHOTS, 20_000)
    assert_mean(values, population_risk(case.model, case.task, shots=SHOTS).value)
    again = prompt_errors.errors(case, case.model, SHOTS, 20_000)
    assert (values == again).all()
    other = prompt_errors.errors(case, case.model, SHOTS, 20_000, salt=1)
    assert not np.isin(values, other).any()


def test_implied_weights(factory):
    """Implied weights from tokens."""
    case = factory.random(3)[1]
    moment = case.demonstrations.T @ case.demonstrations / len(case.demonstrations)
    path = implicit_trajectory(case.model, case.demonstrations)
    p = prompt_errors.implied(case.model, moment[None])
    assert_close(p[0], -path.accumulated[-1, -1, :-1], 1e-9)


def test_strongest_mean(rng):
    """The largest mean is the one that speaks most against zero."""
    noise = rng.standard_normal(1000)
    found = prompt_errors.largest([0.1 * noise + 1.0, 10 * noise + 2.0, noise - 5.0], "")
    assert found.value == pytest.approx((0.1 * noise + 1.0).mean())


def test_subset_risk(factory):
    """Subset risk with all demonstrations is that of the mean path."""
    case = factory.random(1)[0]
    tokens = demonstration_sets(case)
    assert tokens.shape == (case.samples, 80, 6)
    few = remark_3.subset_risk(case, 5)
    assert few.shape == (case.samples,)
    assert ((few >= 0) & (few <= 4)).all()


def test_exact_remark_4():
    """Exact bound of remark 4 against floats."""
    found = remark_4_printed.counterexample()
    norm, bound = remark_4_printed._exact(found, Fraction(1))
    squares = [np.array(tokens, dtype=float) ** 2 for tokens in found["sets"]]
    g, c = np.array([s.mean() for s in squares]), np.array([s.var() for s in squares])
    assert float(norm) == pytest.approx((g**2).mean())
    assert math.log(bound) / 2 == pytest.approx(math.log((g**2 + c).mean()) - np.log(c).mean())
    assert not remark_4_printed.recheck(found | {"shrink": 1})


def test_exact_truncation_trap():
    """Exact truncation trap against the curves."""
    found = truncation_trap.counterexample()
    task = LinearRegression(2, np.diag([float(v) for v in found["variances"]]))
    curves = truncation_curves(task, shots=found["shots"])
    # γ = (21 λ + 5)/20, so 4 and 1 have risks 5 - 16 · 20/89 and 5 - 20/26, and the second is the one kept.
    assert curves.best[1] == pytest.approx(5 - 320 / 89)
    assert curves.plain[1] == pytest.approx(5 - 20 / 26)
    assert truncation_trap.recheck(found)


def test_exact_readout():
    """The plus readout of two layers of step h on one token x = √s, y = x is -h s (2 - h s) times the query."""
    (step, seconds), model = (
        readout_sign.counterexample().values(),
        gradient_descent_weights(1, layers=2, step_size=1.0),
    )
    assert step == 1
    for s in seconds:
        x = np.full((1, 1, 1), np.sqrt(s))
        prompt = Prompt(x, x[..., 0], np.ones((1, 1)), np.zeros(1))
        assert predict(model.replace(readout="plus"), prompt)[0] == pytest.approx(-s * (2 - s), abs=1e-12)


def test_noise_before_and_after():
    """Noise before and after training are distinguished."""
    factory = CaseFactory(Profile(seeds=1, samples=64, steps={1: 20, 3: 20}, scalar_samples=1000), 0)
    case = noise_training.cases(factory, 1)[0]
    assert case.layers == 2
    trained = factory.trained(1)[0]
    assert_close(case.model.value[1], trained.model.value[0])
    assert noise_training.traces(case, True, False).shape == noise_training.traces(case, False, True).shape == (1,)
