"""Error bars that claims make themselves, the error of a verdict, and the interval over seeds."""

import itertools
import math
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from draws import record
from influences import error_of_mean, jackknife_error, mean
from scipy.stats import t, ttest_1samp

from icl_theory import Estimate, LinearRegression, Model, check, random_weights
from icl_theory.claims.attention import softmax_random_features
from icl_theory.claims.engine.cases import Case
from icl_theory.claims.engine.claim import Claim, Verdict
from icl_theory.claims.engine.seed_interval import ALPHA, interval_over_seeds, seed_interval
from icl_theory.claims.information import sandwich_ends
from icl_theory.claims.noise import remark_3
from icl_theory.claims.quantities import prompt_errors, scalar_counterexample
from icl_theory.information.estimators.sandwich import mutual_information

ONE = Model.create(*np.ones((3, 1, 1, 1)))
CASE = Case("a case", "random", 3, ONE, LinearRegression(1), np.ones(1), np.ones((4, 1)))


def claim(measured: Any, predicted: Any, relation: Any = "at most") -> Claim:
    return Claim(
        label="c",
        source="s",
        statement="s",
        origin="new",
        relation=relation,
        measure=lambda case: measured,
        predict=lambda case: predicted,
    )


@pytest.mark.parametrize(("relation", "slack"), [("at most", 0.5 / 0.05), ("at least", -10.0), ("equal", -10.0)])
def test_errors_join_in_squares(relation, slack):
    """0.03 and 0.04 are 0.05 together: neither the larger one nor their sum."""
    evidence = check(claim(Estimate(1.0, 0.03, 9), Estimate(1.5, 0.04, 9), relation), CASE)
    assert evidence.stderr == pytest.approx(0.05, rel=1e-12)
    assert evidence.slack == pytest.approx(slack, rel=1e-12)
    assert evidence.verdict == (Verdict.HOLDS if slack > 0 else Verdict.FAILS)


@pytest.mark.parametrize(
    ("distance", "z", "verdict"),
    [
        (0.295, 6.0, Verdict.INCONCLUSIVE),  # 5.9 of the joint error, 7.4 of the larger
        (0.305, 6.0, Verdict.HOLDS),  # 6.1, and 4.4 of the sum
        (-0.295, 6.0, Verdict.INCONCLUSIVE),
        (-0.305, 6.0, Verdict.FAILS),
        (0.145, 3.0, Verdict.INCONCLUSIVE),
        (0.155, 3.0, Verdict.HOLDS),
    ],
)
def test_inequality_at_z(distance, z, verdict):
    """An inequality is decided at z joint errors."""
    found = check(claim(Estimate(1.0, 0.03, 9), Estimate(1.0 + distance, 0.04, 9)), CASE, z=z)
    assert found.verdict == verdict
    one_sided = check(claim(1.0, Estimate(1.0 + distance, 0.05, 9)), CASE, z=z)
    assert (one_sided.verdict, one_sided.slack) == (verdict, pytest.approx(found.slack))


@pytest.mark.parametrize(("distance", "verdict"), [(0.295, Verdict.HOLDS), (0.305, Verdict.FAILS)])
def test_equality_beyond_z(distance, verdict):
    """An equality is broken beyond z joint errors."""
    for sign in (-1, 1):
        found = check(claim(Estimate(1.0, 0.03, 9), Estimate(1.0 + sign * distance, 0.04, 9), "equal"), CASE)
        assert found.verdict == verdict


@pytest.mark.parametrize("relation", ["at most", "at least"])
def test_interval_over_seeds(relation):
    """Margins of seeds against scipy's one-sample test: mean, error and both ends at 1 - 2 α."""
    rng = np.random.default_rng(5)
    measured = rng.exponential(size=7)
    evidence = [check(claim(float(m), 2.0, relation), CASE) for m in measured]
    found = interval_over_seeds(replace(claim(0.0, 2.0, relation), over_seeds=True), evidence)
    margins = 2.0 - measured if relation == "at most" else measured - 2.0
    reference: Any = ttest_1samp(margins, 0.0)
    interval = reference.confidence_interval(1 - 2 * ALPHA)
    assert found is not None
    assert found.mean == pytest.approx(margins.mean(), rel=1e-12)
    assert found.stderr == pytest.approx(error_of_mean(margins), rel=1e-12)
    assert found.mean / found.stderr == pytest.approx(reference.statistic, rel=1e-11)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high), rel=1e-9)
    assert found.quantile == pytest.approx(t.ppf(1 - ALPHA, 6), rel=1e-11)
    assert (found.seeds, found.seeds_for, found.seeds_against) == (7, (margins > 0).sum(), (margins < 0).sum())


@pytest.mark.slow
def test_interval_error_rates(rng):
    """40 000 populations of five seeds of known mean: α on either side, where a normal quantile errs ten times more."""
    runs = 40_000
    found = [seed_interval(row) for row in 1.0 + rng.standard_normal((runs, 5))]
    for wrong in (sum(f is not None and f.low > 1 for f in found), sum(f is not None and f.high < 1 for f in found)):
        assert abs(wrong - ALPHA * runs) < 4 * math.sqrt(ALPHA * runs)


def test_mean_and_worst(rng):
    """Mean over prompts and the worst of several."""
    values = rng.exponential(size=(3, 20)) - np.array([[1.0], [0.7], [1.2]])
    found = prompt_errors.mean(values[0], "loss")
    assert (found.value, found.stderr) == pytest.approx((values[0].mean(), error_of_mean(values[0])), rel=1e-12)
    assert (found.samples, found.direction, found.unit) == (20, "unbiased", "loss")
    rows = [np.array([1.0, 3.0]), np.array([1.0, 1.2]), np.array([0.4, 0.6])]  # 2, 11 and 5 errors above 0
    assert prompt_errors.largest(rows, "loss") == prompt_errors.mean(rows[1], "loss")
    assert prompt_errors.largest([np.zeros(2), np.array([-1.0, -2.0])], "loss").value == 0.0


def test_paired_risk_difference(monkeypatch, rng):
    """Remark 3: run by run on the same demonstrations, its sign dropped, its error kept."""
    noisy, subset = rng.exponential(size=(2, 25))
    noisy = noisy + 0.5 * subset - 0.9
    monkeypatch.setattr(remark_3, "noisy_risk", lambda case: noisy)
    monkeypatch.setattr(remark_3, "subset_risk", lambda case, shots: subset)
    found = remark_3.difference(CASE)
    assert found.value == pytest.approx(abs((noisy - subset).mean()), rel=1e-12)
    assert found.stderr == pytest.approx(error_of_mean(noisy - subset), rel=1e-12)
    assert (found.samples, found.unit) == (25, "loss")


def trapezoid(distance: float) -> float:
    """The window of width 3 with ramps of 1/4, by cases."""
    if not 0 < distance < 3:
        return 0.0
    return distance / 0.25 if distance < 0.25 else (3 - distance) / 0.25 if distance > 2.75 else 1.0


def scalar_runs(seed: int, sizes: list[int], length: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Gap and both logarithms of every run in its own terms, one generator for all chunks: tame data need no rescaling.

    The population loss by quadrature of the trapezoid.
    """
    rng, gaps, ratios, fourths = np.random.default_rng(seed), [], [], []
    for size in sizes:
        log_h2 = rng.uniform(0.0, length, (size, 5))
        for row, normal in zip(log_h2, rng.standard_normal(size), strict=True):
            h2 = [math.exp(v) for v in row]
            g = sum(h2) / 5
            c = sum(x * x for x in h2) / 5 - g * g  # (N - b)/(b(N - 1)) = 1 at b = 1
            log_w = math.log(abs(g + math.sqrt(c) * normal))
            seen = sum(trapezoid(v - log_w) for v in row) / 5
            corners = [p + log_w for p in (0.0, 0.25, 2.75, 3.0) if 0 < p + log_w < length]
            chance = sum(
                (b - a) / 2 * (trapezoid(a + 1e-12 - log_w) + trapezoid(b - 1e-12 - log_w))
                for a, b in itertools.pairwise([0.0, *corners, length])
            )
            # The loss is 0 inside the window: gap = population loss - empirical loss.
            gaps.append(seen - chance / length)
            ratios.append(math.log(g * g + c) - math.log(c))
            fourths.append(math.log(g * g + c))
    return np.array(gaps), np.array(ratios), np.array(fourths)


def test_gap_at_one_dimension(monkeypatch):
    """250 runs in chunks of 100: the last is smaller, and each has draws of its own."""
    monkeypatch.setattr(scalar_counterexample, "_CHUNK", 100)
    found = scalar_counterexample.simulate(12, 250, 4.0)
    gaps, ratios, fourths = scalar_runs(12, [100, 100, 50], 4.0)
    assert (found.gap.value, found.gap.stderr) == pytest.approx((gaps.mean(), error_of_mean(gaps)), rel=1e-8)
    assert found.fourth.value == pytest.approx(fourths.mean(), rel=1e-9)
    bound = scalar_counterexample.printed(found)
    assert bound.value == pytest.approx(math.sqrt(0.25 / 5 * ratios.mean()), rel=1e-9)
    error = jackknife_error(lambda w: np.sqrt(0.25 / 5 * mean(w, ratios)), 250)
    assert bound.stderr == pytest.approx(error, rel=1e-9)
    for estimate in (found.gap, bound):
        assert (estimate.samples, estimate.direction, estimate.unit) == (250, "unbiased", "loss")
    assert found.cut_ratio == pytest.approx(np.minimum(ratios, 3.0).mean(), rel=1e-9)
    nats = math.log((math.exp(8.0) - 1) / 8.0) - (fourths - ratios).mean()  # E h⁴ of log h² uniform on [0, 4]
    assert scalar_counterexample.repaired(found, 4.0).value == pytest.approx(math.sqrt(0.25 / 5 * nats), rel=1e-9)


def test_certificates_at_one_dimension():
    """Hoeffding's half widths, and the tail of log(1 + G²/C) above what 10^6 runs on a short interval show."""
    assert scalar_counterexample._half_width(400_000, 3.0) == pytest.approx(3 * math.sqrt(math.log(1e9) / 8e5))
    rng = np.random.default_rng(0)
    h2 = np.exp(rng.uniform(0, 4.0, (1_000_000, 5)))
    beyond = np.log1p(h2.mean(1) ** 2 / h2.var(1)) - 3.0
    seen = np.maximum(beyond, 0).mean()
    assert seen < scalar_counterexample.tail(3.0, 4.0) < 40 * seen  # 7.9 and 0.4 thousandths
    case: Any = SimpleNamespace(seed=1, samples=100_000)
    found = scalar_counterexample.simulate(1, 100_000)
    assert scalar_counterexample.certified_gap(case) < found.gap.value - 6 * found.gap.stderr
    assert scalar_counterexample.certified_bound(case) > scalar_counterexample.printed(found).value


def test_random_feature_exponent(monkeypatch):
    """½ log(error with 1024 features / with 64) / log 16 of two independent sets of 400 draws."""
    case = replace(CASE, model=random_weights(1, layers=1, token_dim=3), demonstrations=np.eye(3))
    drawn = record(monkeypatch)
    found = softmax_random_features.slope(case)
    assert len(drawn.numbers) == 400 * 3 * (64 + 1024)
    assert not drawn.repeated
    few, many = softmax_random_features._errors(case, 64, 0), softmax_random_features._errors(case, 1024, 1)

    def exponent(w):  # the first 400 weights are for one set, the others for the other
        return 0.5 * np.log(mean(w[400:], many) / mean(w[:400], few)) / math.log(16)

    assert found.value == pytest.approx(float(exponent(np.ones(800))), rel=1e-10)
    # Two means of 400 each: the influences on one of them have their own centre and number.
    parts = [jackknife_error(lambda w, e=e: 0.5 * np.log(mean(w, e)) / math.log(16), 400) for e in (few, many)]
    assert found.stderr == pytest.approx(math.sqrt(parts[0] ** 2 + parts[1] ** 2), rel=1e-9)
    assert (found.samples, found.direction, found.unit) == (400, "unbiased", "exponent")


def test_ends_moved(monkeypatch):
    """Ends moved by six errors."""
    monkeypatch.setattr(sandwich_ends, "REPETITIONS", 12)
    case = replace(CASE, model=random_weights(2, layers=1, token_dim=2), seed=77)
    rng, matrix = np.random.default_rng(77), sandwich_ends.channel(case)
    means = rng.standard_normal((12, 4, 2)) @ matrix.T
    outputs = means + rng.standard_normal(means.shape)
    unit = np.broadcast_to(np.eye(2), (4, 2, 2))
    found = [mutual_information(w, m, unit) for w, m in zip(outputs, means, strict=True)]
    lower, upper = np.array([(f.lower.value, f.upper.value) for f in found]).T
    information = 0.5 * math.log(np.linalg.det(np.eye(2) + matrix @ matrix.T))
    assert sandwich_ends.measure(case) == pytest.approx([lower.mean() + 6 * error_of_mean(lower), information])
    assert sandwich_ends.predict(case) == pytest.approx([information, upper.mean() - 6 * error_of_mean(upper)])
