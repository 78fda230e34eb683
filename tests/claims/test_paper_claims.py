"""What the claims on single displays of the paper compute, each against a second method or a number known by hand."""

import itertools
import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from helpers import assert_close, assert_mean, covariance_by_enumeration, forward_by_token, gradients

from icl_theory import Model, forward, gradient_noise
from icl_theory.claims.attention import dual_form, mask_matrix, mask_softmax, update_rank
from icl_theory.claims.bounds import upper_bound_printed, upper_bound_truncation
from icl_theory.claims.engine.case_factory import CaseFactory
from icl_theory.claims.engine.check import check
from icl_theory.claims.engine.claim import Verdict
from icl_theory.claims.engine.profiles import PROFILES
from icl_theory.claims.information import gaussian_divergence, learning_rate, lemma_6, lemma_6_second_line
from icl_theory.claims.noise import footnote_5, noise_trace_key, noise_trace_norm, noise_trace_truncation
from icl_theory.claims.truncation import (
    case_1,
    case_1_eigenvalues,
    condition_number,
    dropped_layer_printed,
    remark_6_sensitivity,
)
from icl_theory.models.attention import second_moment
from icl_theory.truncation.module_truncation import truncate_weights
from icl_theory.truncation.svd import truncate


@pytest.fixture(scope="module")
def factory():
    return CaseFactory(PROFILES["quick"], 12)


@pytest.fixture(scope="module")
def case(factory):
    return factory.random(1)[0]


@pytest.fixture(scope="module")
def deep(factory):
    return factory.random(3)[0]


def test_masked_matrices(deep):
    """Matrices with the mask move the query as a token loop does."""
    h = mask_matrix.prompt_matrix(deep)
    _, slow = forward_by_token(deep.model, h[:, :-1].T, h[:, -1], normalization="sum")
    assert_close(mask_matrix.by_matrices(deep), slow / np.linalg.norm(slow), 1e-10)
    assert_close(mask_matrix.predict(deep), slow / np.linalg.norm(slow), 1e-10)
    assert (h @ mask_matrix.mask_of(h.shape[1], h.shape[1] - 1) == np.column_stack([h[:, :-1], 0 * h[:, -1]])).all()


def test_softmax_demonstrations(case):
    """Against the loop over tokens, with the scores brought to size one as the claim does."""
    w, tokens = case.model, case.demonstrations
    scores = np.abs((tokens @ w.key[0].T) @ (w.query[0] @ tokens.T)).max()
    scaled = Model(w.value[:1], w.key[:1], w.query[:1] / scores)
    slow = [
        forward_by_token(scaled, tokens, mask_softmax.prompt_matrix(case)[:, -1] + shift, kind="softmax")[0]
        for shift in (0, 1)
    ]
    assert_close(mask_softmax.demonstrations_after(case), np.array(slow[0]).T, 1e-12)
    assert_close(mask_softmax.predict(case), np.array(slow[1]).T, 1e-12)
    assert not mask_softmax.recheck(mask_softmax.counterexample() | {"value": 0})


def test_dual_form_by_hand(case):
    """Dual form of one quadratic step by hand."""
    w, x, y, test = dual_form._data(case)
    values = -0.1 * np.tanh(x @ w.T - y)  # e_i of the first step
    outer = sum((np.outer(e, h) for e, h in zip(values, x, strict=True)), np.zeros_like(w))
    assert_close(dual_form.predict(case, steps=1), (w + outer) @ test, 1e-12)


def test_repeated_demonstrations(case):
    """Rank of repeated demonstrations."""
    assert update_rank.demonstration_ranks(case).tolist() == [3, 2]
    assert update_rank.demonstration_counts(case).tolist() == [3, 4]
    assert update_rank.measure(case).tolist() == [3, 2, 3, 2]


@pytest.mark.parametrize("rate", [-7.0, 1.0, 0.2])
def test_divergence_on_points(case, rate):
    """Divergence on a fixed number of points is the information."""
    means, variances = lemma_6.noise_channel(case)
    assert learning_rate.divergence(rate * means, rate**2 * variances) == pytest.approx(
        lemma_6.channel_information(means, variances), rel=1e-10
    )


def test_gaussian_divergence(case, rng):
    """Gaussian divergence by sampling."""
    mean, covariance, reference = gaussian_divergence.channel(case)
    points = -mean + rng.standard_normal((100_000, len(mean))) @ np.linalg.cholesky(covariance).T
    own = gaussian_divergence._log_density(points, -mean, covariance)
    prior = gaussian_divergence._log_density(points, -reference, np.eye(len(mean)))
    assert_mean(own - prior, gaussian_divergence.predict(case)[0, 1])


def test_lemma_6_lines():
    # {1, 4, 9}: G = 14/3, C = 98/3 - (14/3)²; {1, 1, 16}: G = 6, C = 86 - 36. G² + C is the mean square at b = 1.
    """The two lines of lemma 6 by hand."""
    assert lemma_6_second_line.sizes(lemma_6_second_line.counterexample()) == [Fraction(98, 3), Fraction(86)]
    means, variances = np.array([14 / 3, 6.0]), np.array([98 / 3 - 196 / 9, 50.0])
    gap = 0.5 * (math.log((98 / 3 + 86) / 2) - (math.log(98 / 3) + math.log(86)) / 2)
    first, second = lemma_6.second_line(means, variances, 0.0), lemma_6_second_line.printed_line(means, variances)
    assert first - second == pytest.approx(gap, rel=1e-12)


def test_lemma_6_rare_set(case):
    """The second line of lemma 6 is below the information of a rare set."""
    means, variances = lemma_6_second_line._one_apart(case)
    mixed = -(63 * math.log(63 / 64) + math.log(1 / 64)) / 64  # the entropy of which set it was, far apart
    assert lemma_6.channel_information(means, variances) == pytest.approx(mixed, rel=0.01)
    assert lemma_6_second_line.printed_line(means, variances) == pytest.approx(0.5 * math.log(65) / 64, rel=1e-9)


def test_noise_trace(case):
    """Trace of the noise by enumeration."""
    few = replace(case, demonstrations=case.demonstrations[:6], shots=2)
    per_token = gradients(few.model, few.demonstrations, 0).reshape(6, -1)
    slow = float(np.trace(covariance_by_enumeration(per_token, 2)))
    assert noise_trace_truncation.noise_trace(few) == pytest.approx(slow, rel=1e-11)


def test_truncated_trace(case):
    """Trace of a truncated layer is that of its noise."""
    cut = truncate_weights(case.model, layer=0, module="key", rank=3)
    kept = noise_trace_truncation.truncated_traces(case, "key")[0]
    assert kept[3] == pytest.approx(gradient_noise(cut, case.demonstrations, shots=case.shots).trace, rel=1e-10)


def test_exact_traces_by_hand():
    found = noise_trace_key.counterexample()
    key = np.array(found["key"], dtype=object)
    cut = key * np.array([[1, 0], [0, 0]], dtype=object)
    assert [noise_trace_key.exact_trace(found, k) for k in (key, cut)] == [Fraction(1, 4), 1]
    assert not noise_trace_key.recheck(found | {"key": [[1, 0], [0, 1]]})  # a tie: which part is cut is not said
    assert not noise_trace_key.recheck(found | {"key": [[2, 1], [0, 1]]})  # the exact truncation is not known
    flat = noise_trace_norm.counterexample()
    assert noise_trace_key.exact_trace(flat, np.array(flat["key"], dtype=object)) == 1


def test_cancelling_gradients(case):
    """Gradients that cancel and that agree."""
    flat, agreeing = noise_trace_norm.cancelling(case), noise_trace_norm.aligned(case)
    noise = gradient_noise(flat.model, flat.demonstrations, shots=flat.shots)
    assert noise_trace_norm.update_norm(flat) < 1e-24 * noise.trace
    per_token = gradients(agreeing.model, agreeing.demonstrations, 0)
    assert np.einsum("iab,jab->ij", per_token, per_token).min() > -1e-12


def test_upper_bound_terms(case):
    """Terms of the upper bound one by one."""
    found, w = upper_bound_truncation.terms(case), case.model
    assert found[-1, -1, -1].sum() == pytest.approx(upper_bound_printed.upper_bound(case), rel=1e-12)
    for ranks in ((2, 5, 1), (0, 3, 6), (6, 1, 4)):
        v, k, q = (truncate(m[0], rank).matrix for m, rank in zip((w.value, w.key, w.query), ranks, strict=True))
        slow = [(np.linalg.norm(np.outer(v @ h, k @ h)) * np.linalg.norm(q)) ** 2 for h in case.demonstrations]
        assert_close(found[ranks], slow, 1e-11)


def test_eigenvectors_by_hand(case):
    """Eigenvectors and condition numbers of a matrix known by hand."""
    value = np.array(case.model.value)
    value[0] = np.diag([1.0, 2.0, 4.0, 1.0, 1.0, 8.0])
    known = replace(case, model=case.model.replace(value=value))
    assert case_1_eigenvalues.eigenvalue_ratio(value[0]) == pytest.approx(8)
    assert condition_number.amplification(known).max() == pytest.approx(8)
    assert condition_number.amplification_of_matrix(known).max() == pytest.approx(8)
    assert_close(case_1.measure(known), case_1.predict(known), 1e-12)
    assert check(case_1_eigenvalues.CLAIM, known).verdict == Verdict.FAILS  # no example: the bound holds
    found = case_1_eigenvalues.counterexample()
    assert np.linalg.solve(found["matrix"], found["b"]).tolist() == [0, 1]
    assert not case_1_eigenvalues.recheck(found | {"matrix": [[1, 8], [0, 1]]})  # one eigenvector only


def test_worst_error(case, rng):
    """Random errors of W by a direct solution of both systems."""
    w = case.model.value[0]
    for _ in range(5):
        error, after = 0.1 * rng.standard_normal(w.shape), rng.standard_normal(len(w))
        before = np.linalg.solve(w, (w + error) @ after)
        relative = np.linalg.norm(after - before) / np.linalg.norm(after)
        bound = np.linalg.cond(w) * np.linalg.norm(error, 2) / np.linalg.norm(w, 2)
        assert relative <= bound


def test_main_part(deep):
    """Main part of the printed display by norms."""
    path_norms, m, total = [], np.eye(6), 0.0
    moment = second_moment(deep.demonstrations)
    for value, key, query in zip(deep.model.value, deep.model.key, deep.model.query, strict=True):
        update = value @ m @ moment @ m.T @ key.T @ query
        path_norms.append(np.linalg.norm(update) * np.linalg.norm(update @ m))
        m = m + update @ m
    for count, norm in enumerate(path_norms, 1):
        total += 36 * math.log(norm**2)
        assert dropped_layer_printed.main_part(deep, count) == pytest.approx(total, rel=1e-11)


def test_moves_by_loop(case):
    """Moves by a loop over all draws."""
    cut = truncate(case.model.value[0], 4).matrix
    w, pool, total = case.model, case.demonstrations[:4], 0.0
    draws = list(itertools.product(range(4), repeat=2))
    for draw in draws:
        moment = sum((np.outer(pool[i], pool[i]) for i in draw), np.zeros((6, 6)))
        total += np.linalg.norm((w.value[0] - cut) @ moment @ w.key[0].T @ w.query[0]) ** 2 / len(draws)
    assert remark_6_sensitivity.moves(case, 2)[4] == pytest.approx(total, rel=1e-11)
    assert remark_6_sensitivity.moves(case, 2, "mean")[4] == pytest.approx(total / 4, rel=1e-11)


def test_many_small_steps():
    """One step of the equation by many small ones."""
    drift, rate, steps = 0.7, 0.5, 100_000
    mean, variance, dt = 1.0, 0.0, rate / steps
    for _ in range(steps):
        mean, variance = mean - drift * mean * dt, variance * (1 - drift * dt) ** 2 + rate * dt
    # The error of steps of finite length is about drift · dt.
    assert footnote_5.exact(np.array(drift), np.array(rate)) == pytest.approx([mean, variance], rel=2 * drift * dt)


def test_lemma_1_with_sum(case):
    """Lemma 1 holds with a sum as printed."""
    query = np.ones(6)
    moved = forward(case.model.replace(normalization="sum"), case.demonstrations, query) - query
    w, h = case.model, case.demonstrations
    printed = sum((np.outer(w.value[0] @ t, w.key[0] @ t) for t in h), np.zeros((6, 6))) @ w.query[0] @ query
    assert_close(moved, printed, 1e-12)
