"""Standard errors of the ladder's rungs, gap and losses: every run again from tokens and observations, densely.

The ladder is drawn in blocks of unequal size out of one generator; here the same draws are taken one after the other
and every term of every run is computed from the definition, so that neither the terms nor the draws are trusted.
"""

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from influences import error_of_mean, influences
from scipy.spatial.distance import pdist
from scipy.stats import chi2
from standard_errors import assert_mean_of
from two_layers import SHOTS, TASK, N, W, conditioned, slow_terms

from icl_theory import Estimate, Model, bound_ladder, random_weights
from icl_theory.core.estimate import generalization_bound
from icl_theory.information.ladder.noisy_trajectory import draw, simulate
from icl_theory.information.ladder.rungs import isotropic_low, isotropic_terms, mean_estimate, reference_of
from icl_theory.information.ladder.setting import Setting
from icl_theory.truncation.module_truncation import truncate_weights

RUNS, CLIP, KEY = 25, 1.5, 9
BLOCKS = (9, 8, 8)
ISOTROPIC = ("isotropic", "isotropic_zero", "theorem_2_repaired")
CLOSE = 1e-9


def mild(rank: int) -> Model:
    """Two well-conditioned layers, the second one's W_V truncated; at rank 2 its map depends on the path."""
    loose, eye = random_weights(3, layers=2, token_dim=3, scale=0.4), 0.6 * np.eye(3)
    full = Model.create(loose.value + eye, loose.key + eye, loose.query + eye)
    return truncate_weights(full, layer=1, module="value", rank=rank)


def first_sizes(model: Model) -> dict[str, float]:
    """E[||G - g̃||² + tr C] of the first layer, A = W_V and B = W_KᵀW_Q, by Isserlis from traces of D x D matrices."""
    a, b, sigma = model.value[0], model.key[0].T @ model.query[0], TASK.token_covariance(W)
    left, right = a.T @ a @ sigma, b @ b.T @ sigma
    one = np.trace(left) * np.trace(right) + 2 * np.trace(left @ right)  # E ||A h hᵀ B||²
    centre = float(((a @ sigma @ b) ** 2).sum())
    spread, seen = float(one - centre), 1 / N
    noise = spread * (1 / SHOTS - seen)
    return {
        "isotropic": spread * seen + noise,
        "isotropic_zero": centre + spread * seen + noise,
        "theorem_2_repaired": 3 * (centre + spread * seen) + noise,
    }


def losses_of(tokens: np.ndarray, accumulated: np.ndarray, loss: str) -> tuple[float, float]:
    """Population and empirical loss of one run with the minus readout."""
    p, error = -accumulated[-1, :-1], W + accumulated[-1, :-1]
    sigma = TASK.token_covariance(W)
    if loss == "zero_one":
        correlation = p @ sigma[:-1, -1] / math.sqrt(p @ sigma[:-1, :-1] @ p * sigma[-1, -1])
        return math.acos(correlation) / math.pi, float(np.mean(np.sign(tokens[:, :-1] @ p) != np.sign(tokens[:, -1])))
    variance = error @ TASK.covariance @ error + TASK.noise_std**2
    population = variance * chi2.cdf(CLIP / variance, 3) + CLIP * chi2.sf(CLIP / variance, 1)
    return population, float(np.mean([min((p @ h[:-1] - h[-1]) ** 2, CLIP) for h in tokens]))


@pytest.fixture(scope="module", params=[3, 2], ids=["invertible", "truncated"])
def world(request: pytest.FixtureRequest) -> Any:
    """A ladder of 25 runs in blocks of 9, 8 and 8, and the same runs by hand."""
    model = mild(request.param)
    setting = Setting(model, TASK, W, N, SHOTS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("icl_theory.information.ladder.noisy_trajectory._CHUNK_ENTRIES", 9 * 6**2)
        options = {"demonstrations": N, "shots": SHOTS, "clip": CLIP, "samples": RUNS, "key": KEY, "task_vector": W}
        ladder, sign = (bound_ladder(model, TASK, **options, loss=loss) for loss in ("clipped_squared", "zero_one"))
    rng = np.random.default_rng(KEY)
    TASK.sample_tasks(rng, 1)  # the task is drawn from the key even where it is given
    rng = np.random.default_rng(int(rng.integers(2**62)))
    blocks = [draw(setting, rng, size) for size in BLOCKS]
    runs = [simulate(setting, draws) for draws in blocks]
    terms = [run for draws in blocks for run in slow_terms(model, draws, setting.basis)]
    return SimpleNamespace(model=model, setting=setting, ladder=ladder, sign=sign, blocks=runs, terms=terms)


@pytest.mark.parametrize("loss", ["clipped_squared", "zero_one"])
def test_gap_and_population(world: Any, loss: str) -> None:
    """Both from the same runs; the gap's error is that of the difference, run by run."""
    ladder = world.ladder if loss == "clipped_squared" else world.sign
    pairs = [zip(runs.draws.tokens, runs.accumulated, strict=True) for runs in world.blocks]
    population, empirical = np.array([losses_of(*run, loss) for block in pairs for run in block]).T
    assert_mean_of(ladder.gap, population - empirical, "unbiased", "loss")
    assert_mean_of(ladder.population_loss, population, "unbiased", "loss")
    np.testing.assert_allclose(ladder.terms["gap"], population - empirical, rtol=0, atol=1e-12)
    np.testing.assert_allclose(ladder.terms["population"], population, rtol=1e-12)


def test_gaussian_rungs(world: Any) -> None:
    """The first layer's excess is left out, being zero in expectation; the second one's where its map is invertible."""
    invertible = world.ladder.support == (6, 6)
    last = "log_ratio" if invertible else "divergence"
    gaussian = [first["log_ratio"] + second[last] for first, second in world.terms]
    assert_mean_of(world.ladder.information["gaussian"], gaussian, "upper", "nats", CLOSE)
    np.testing.assert_allclose(world.ladder.terms["gaussian"], gaussian, rtol=CLOSE)
    divergence = [first["divergence"] + second["divergence"] for first, second in world.terms]
    np.testing.assert_allclose(world.ladder.terms["divergence"], divergence, rtol=CLOSE)
    reference = reference_of(world.setting)
    path = np.concatenate([conditioned(world.setting, runs, reference) for runs in world.blocks])
    for name in ("path_gaussian", "chain"):  # the same up to two layers
        assert_mean_of(world.ladder.information[name], path, "upper", "nats", CLOSE)


def by_others(sizes: np.ndarray, volumes: np.ndarray, dims: Any) -> np.ndarray:
    """½ Σ_t [s/σ² - d + d log σ² - log det C] of every run, shape (runs,), with σ² = mean s / d of the other runs."""
    result = np.zeros(len(sizes))
    for run in range(len(sizes)):
        others = [k for k in range(len(sizes)) if k != run]
        for t, d in enumerate(dims):
            if d:
                variance = np.mean([sizes[k, t] for k in others]) / d
                result[run] += 0.5 * (sizes[run, t] / variance - d + d * np.log(variance) - volumes[run, t])
    return result


@pytest.mark.parametrize("name", ISOTROPIC)
def test_isotropic_rungs(world: Any, name: str) -> None:
    """A prior of variance σ_t² for every run, σ_t² from the other runs."""
    first = first_sizes(world.model)[name]
    sizes = np.array([[first, second[name]] for _, second in world.terms])
    volumes = np.array([[layer["log_volume"] for layer in run] for run in world.terms])
    values = by_others(sizes, volumes, world.ladder.support)
    assert_mean_of(world.ladder.information[name], values, "upper", "nats", CLOSE)
    np.testing.assert_allclose(world.ladder.terms[name], values, rtol=0, atol=CLOSE * np.ptp(values))


def test_isotropic_three_layers() -> None:
    """Arbitrary numbers: every layer counts, and one without support does not."""
    rng = np.random.default_rng(0)
    terms = [{"size": rng.chisquare(5, 30), "log_volume": rng.standard_normal(30)} for _ in range(3)]
    sizes, volumes = (np.array([layer[x] for layer in terms]).T for x in ("size", "log_volume"))
    found = isotropic_terms(terms, [3, 0, 5], "size")
    np.testing.assert_allclose(found, by_others(sizes, volumes, [3, 0, 5]), rtol=0, atol=1e-12)


def test_isotropic_low_ends() -> None:
    """½ Σ_t [d_t log(mean s_t / d_t) - mean log det C_t] of weighted runs, and its error, by the influence of a run."""
    rng = np.random.default_rng(0)
    terms = [{"size": rng.chisquare(5, 30), "log_volume": rng.standard_normal(30)} for _ in range(3)]

    def rung(model: np.ndarray) -> Any:
        share, layers = model / model.sum(), [(3, terms[0]), (5, terms[2])]
        return sum(0.5 * (d * np.log(share @ x["size"] / d) - share @ x["log_volume"]) for d, x in layers)

    found = isotropic_low(terms, [3, 0, 5], "size")
    assert found.value == pytest.approx(float(rung(np.ones(30))), rel=1e-12)
    assert found.stderr == pytest.approx(error_of_mean(influences(rung, 30)), rel=1e-9)
    assert found.direction == "lower"
    assert found.value < isotropic_terms(terms, [3, 0, 5], "size").mean()


def test_isotropic_beyond_float64() -> None:
    """A run whose determinant or size is not known leaves no bound but +inf."""
    good = {"size": np.ones(20), "log_volume": np.zeros(20)}
    for name, value in (("size", np.inf), ("log_volume", -np.inf)):
        bad = good | {name: np.r_[value, good[name][1:]]}
        assert np.all(isotropic_terms([good, bad], [2, 2], "size") == np.inf)
    assert np.all(isotropic_terms([good, bad], [2, 0], "size") == isotropic_terms([good], [2], "size"))


def test_isotropic_heavy_tail() -> None:
    """A run that is nearly the whole sum is compared with the others, not with what a difference leaves of them."""
    sizes = np.array([1.0, 2.0, 1e20, 3.0])
    found = isotropic_terms([{"size": sizes, "log_volume": np.zeros(4)}], [2], "size")
    variance = (1.0 + 2.0 + 3.0) / (3 * 2)
    assert found[2] == pytest.approx(0.5 * (1e20 / variance + 2 * (math.log(variance) - 1)), rel=1e-12)
    assert np.isfinite(found).all()


def test_isotropic_is_above() -> None:
    """Heavy-tailed sizes, 16 runs, 4000 times: above ½ d log(E s / d), and the logarithm of a sample mean is below.

    s is log-normal with E s = e^{2}, and d = 6; both differences are tens of standard errors.
    """
    rng, d = np.random.default_rng(1), 6
    sizes = np.exp(2 * rng.standard_normal((4000, 16)))
    truth = 0.5 * d * np.log(np.exp(2.0) / d)
    zero = np.zeros(16)
    above = np.array([isotropic_terms([{"size": s, "log_volume": zero}], [d], "size").mean() for s in sizes]) - truth
    below = 0.5 * d * np.log(sizes.mean(axis=1) / d) - truth
    assert above.mean() > 6 * above.std() / np.sqrt(4000)
    assert below.mean() < -6 * below.std() / np.sqrt(4000)


def test_rung_errors(world: Any) -> None:
    """sqrt(2 R² I / N), R = c/2, by the delta method: s.e. of I times R² / (N bound)."""
    for ladder, half in ((world.ladder, CLIP / 2), (world.sign, 0.5)):
        for name, rung in ladder.rungs.items():
            information = ladder.information[name]
            assert (rung.samples, rung.direction, rung.unit) == (information.samples, "upper", "loss")
            assert rung.note == information.note
            if math.isinf(information.value):
                assert (rung.value, rung.stderr) == (math.inf, 0.0)
                continue
            assert rung.value == pytest.approx(half * math.sqrt(2 * information.value / N), rel=1e-12)
            assert rung.stderr == pytest.approx(half**2 * information.stderr / (N * rung.value), rel=1e-12)


def test_independence(world: Any) -> None:
    """25 runs in three blocks, two layers each: no two of them share tokens or the noise of an observation."""
    draws = [runs.draws for runs in world.blocks]
    tokens = np.concatenate([d.tokens[:, 0] for d in draws])
    noise = np.concatenate([d.observations - d.moments[:, None] for d in draws]).reshape(2 * RUNS, -1)
    for rows in (tokens, noise):
        assert pdist(rows).min() > 1e-6


@pytest.mark.parametrize(("value", "error"), [(3.0, 0.2), (0.21, 0.2), (0.2, 0.2), (0.1, 0.2), (0.0, 0.2), (-0.1, 0.2)])
def test_delta_method(value: float, error: float) -> None:
    """Within one standard error of zero the root has no slope: the bound of one standard error is the error bar."""
    information = Estimate(value, error, 50, "upper", note="pairs")
    found = generalization_bound(information, range_constant=0.7, demonstrations=9)
    root = 0.7 * math.sqrt(2 * max(value, 0.0) / 9)
    assert found.value == pytest.approx(root, rel=1e-12)
    slope = 0.7 * math.sqrt(2 / 9) / (2 * math.sqrt(value)) * error if value > error else 0.7 * math.sqrt(2 * error / 9)
    assert found.stderr == pytest.approx(slope, rel=1e-12)
    note = "pairs" if value >= 0 else "the information is zero within its error"
    assert (found.samples, found.direction, found.unit, found.note) == (50, "upper", "loss", note)


def test_mean_estimate() -> None:
    """Mean estimate is the formula."""
    values = np.random.default_rng(0).exponential(size=13)
    found = mean_estimate(values, "lower", "bits", "why")
    assert_mean_of(found, values, "lower", "bits")
    assert (found.note, mean_estimate(values, "lower", "bits").note) == ("why", "")


def test_one_layer_sizes() -> None:
    """At L = 1 only log det C fluctuates: all three isotropic rungs have its error bar, and so has the Gaussian one."""
    model = random_weights(2, layers=1, token_dim=3, scale=1.5)
    options = {"demonstrations": N, "shots": SHOTS, "clip": CLIP, "samples": RUNS, "key": KEY, "task_vector": W}
    information = bound_ladder(model, TASK, **options).information
    for name in (*ISOTROPIC, "path_gaussian", "chain"):
        assert information[name].stderr == pytest.approx(information["gaussian"].stderr, rel=1e-9)
