"""Standard errors of estimates from pairs: the sandwich, the nested estimate and nearest neighbours.

A pair enters a sum over pairs as an output and as an input of every mixture. The infinitesimal jackknife sees both: the
derivative of the estimate by the weight of one pair, taken here from the full table of densities.
"""

import dataclasses
import math
from typing import Any

import numpy as np
import pytest
from influences import influences
from scipy.special import digamma
from scipy.stats import multivariate_normal
from standard_errors import EXACT, assert_error, assert_mean_of
from two_layers import TableChannel, exchanged_by_hand, gaussian_table

from icl_theory import LinearRegression, bound_ladder, ksg_mutual_information, mutual_information, random_weights
from icl_theory.information.estimators.sandwich import Sandwich, sandwich
from icl_theory.information.ladder.individual_sample import exchanged_channel, nested
from icl_theory.information.ladder.noisy_trajectory import draw, simulate
from icl_theory.information.ladder.path_prior import path_log_density
from icl_theory.information.ladder.path_sandwich import path_channels
from icl_theory.information.ladder.rungs import reference_of
from icl_theory.information.ladder.setting import Setting
from icl_theory.truncation.module_truncation import truncate_weights

PAIRS = 40
W = np.array([0.7, -1.1])
TABLE = 1e-9
"""Against normal densities from eigenvalues of well-conditioned covariances."""


def ends_of(log_p: np.ndarray, prior: np.ndarray | None = None) -> tuple[Any, Any]:
    """Both ends as functionals of weights of the pairs; at weights 1 the mixtures are means over K and K - 1 inputs."""
    count, table = len(log_p), np.exp(log_p - log_p.max())
    shared, q = table - np.diag(np.diag(table)), None if prior is None else np.exp(prior - log_p.max())

    def lower(model: np.ndarray) -> Any:
        share = model / model.sum()
        return share @ (np.log(np.diag(table)) - np.log(table @ share))

    def upper(model: np.ndarray) -> Any:
        share = model / model.sum()
        mixture = shared @ share * count / (count - 1)
        return share @ (np.log(np.diag(table)) - np.log(mixture if q is None else 0.5 * mixture + 0.5 * q))

    return lower, upper


def assert_end(found: Any, influence: np.ndarray, functional: Any, direction: str, relative: float = EXACT) -> None:
    """Value, standard error, labels and influences of a functional of weighted pairs."""
    count = len(influence)
    value, expected = float(functional(np.ones(count))), influences(functional, count)
    assert found.value == pytest.approx(value, rel=relative)
    assert_error(found, expected, direction, "nats", relative)
    np.testing.assert_allclose(influence, value + expected, rtol=0, atol=relative * np.ptp(expected))


def assert_ends(found: Sandwich, log_p: np.ndarray, prior: np.ndarray | None = None, relative: float = EXACT) -> None:
    """Both ends are those of the table."""
    for name, functional in zip(("lower", "upper"), ends_of(log_p, prior), strict=True):
        assert_end(getattr(found, name), found.influence[name], functional, name, relative)
        assert len(found.influence[name]) == len(log_p)


@pytest.mark.parametrize("entries", [2**23, 32 * PAIRS * 7], ids=["one block", "blocks of 7"])
@pytest.mark.parametrize("with_prior", [False, True])
def test_sandwich(with_prior: bool, entries: int) -> None:
    """With and without a prior, in one block or in several."""
    channel, prior = gaussian_table(PAIRS)
    prior = prior if with_prior else None
    assert_ends(sandwich([channel], prior=prior, block_entries=entries), channel.table, prior)


def test_several_observations() -> None:
    """Two observations are one pair: their log densities add, and the number of samples is that of the pairs."""
    rng = np.random.default_rng(1)
    means = rng.standard_normal((PAIRS, 2))
    roots = rng.standard_normal((PAIRS, 2, 4))
    covariances = roots @ roots.swapaxes(1, 2)
    outputs = means[:, None] + np.einsum("kij,klj->kli", roots, rng.standard_normal((PAIRS, 2, 4)))
    normals = [multivariate_normal(m, c) for m, c in zip(means, covariances, strict=True)]
    log_p = np.array([[normal.logpdf(observations).sum() for normal in normals] for observations in outputs])
    assert_ends(mutual_information(outputs, means, covariances), log_p)


def nested_of(exchanged: np.ndarray, log_p: np.ndarray) -> Any:
    """E[log mean_j p(w_i | h_1, H'_j) - log mean_{j≠i} p(w_i | H_j)] of weighted pairs."""
    count, first, second = len(log_p), np.exp(exchanged - log_p.max()), np.exp(log_p - log_p.max())
    second = second - np.diag(np.diag(second))

    def value(model: np.ndarray) -> Any:
        share = model / model.sum()
        return share @ (np.log(first @ share) - np.log(second @ share * count / (count - 1)))

    return value


@pytest.mark.parametrize("entries", [2**23, 32 * PAIRS * 7], ids=["one block", "blocks of 7"])
def test_nested(entries: int) -> None:
    """Both mixtures, the inputs of both, and K of one against K - 1 of the other: at K = 40 log(39/40) is .025."""
    (channel, _), (other, _) = gaussian_table(PAIRS), gaussian_table(PAIRS, seed=5)
    found, influence = nested([channel], TableChannel(0.5 * other.table), block_entries=entries)
    assert_end(found, influence, nested_of(0.5 * other.table, channel.table), "upper")


@pytest.mark.parametrize(("layers", "floor"), [(1, 0.0), (2, 0.0), (1, 0.03)])
def test_written_out_densities(layers: int, floor: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sandwich and individual samples of a ladder, from the table of normal densities of demonstrations and
    observations.

    30 pairs of 32 runs, and N times the information of one demonstration: value, error and influences alike.
    """
    monkeypatch.setattr("icl_theory.information.ladder.individual_sample.resolvable", lambda *_: True)
    task, count = LinearRegression(1, noise_std=0.5), 30
    model = random_weights(4, layers=layers, token_dim=2, scale=1.4)
    options = {"demonstrations": 12, "shots": 4, "clip": 4.0, "samples": 32, "pairs": count, "key": 3}
    ladder = bound_ladder(model, task, task_vector=W[:1], floor=floor, **options)
    rng = np.random.default_rng(3)
    task.sample_tasks(rng, 1)  # a task is drawn from the key even where it is not used
    setting = Setting(model, task, W[:1], 12, 4, floor)
    runs = simulate(setting, draw(setting, np.random.default_rng(int(rng.integers(2**62))), 32))
    log_p = table_of(setting, runs, count)
    exchanged = np.array([[exchanged_by_hand(setting, runs, i, j) for j in range(count)] for i in range(count)])
    assert_ends(ladder.sandwich, log_p, path_log_density(runs, setting, reference_of(setting))[:count], TABLE)
    one = nested_of(exchanged, log_p)
    found = ladder.information["individual_sample"]
    assert_end(found, ladder.terms["individual_sample"], lambda model: 12 * one(model), "upper", TABLE)
    assert ladder.terms["sandwich_lower"] is ladder.sandwich.influence["lower"]
    for name in ("mutual_information", "path_information"):
        assert dataclasses.replace(ladder.information[name], note="") == ladder.sandwich.upper
        assert ladder.terms[name] is ladder.sandwich.influence["upper"]


def table_of(setting: Setting, runs: Any, count: int) -> np.ndarray:
    """log p(w_i | H_j) of S (where every map cancels) or of the outputs of one layer, from the definition."""
    n, b, rows = setting.demonstrations, setting.shots, []
    for i in range(count):
        row = []
        for tokens in runs.draws.inner[:count]:
            r, c = np.triu_indices(tokens.shape[1])
            features = tokens[:, r] * tokens[:, c] * np.where(r == c, 1.0, math.sqrt(2.0))
            mean, covariance = features.mean(0), (n - b) / (b * (n - 1)) * np.cov(features.T, bias=True)
            if setting.floor == 0:
                law: Any = multivariate_normal(mean, covariance)  # pyright: ignore[reportArgumentType]
                row.append(sum(law.logpdf(x) for x in runs.draws.observations[i]))
            else:
                p = runs.layers[0].maps[0]
                noise = p @ covariance @ p.T + setting.floor * np.eye(len(p))
                row.append(multivariate_normal(p @ mean, noise).logpdf(runs.layers[0].outputs[i]))
        rows.append(row)
    return np.array(rows)


def test_path_dependent_maps() -> None:
    """Two layers, the second truncated: one channel shared by all and one path by path; their log densities add."""
    task, count = LinearRegression(2, noise_std=0.5), 20
    model = truncate_weights(random_weights(1, layers=2, token_dim=3, scale=0.7), layer=1, module="value", rank=1)
    setting = Setting(model, task, W, 24, 6)
    runs = simulate(setting, draw(setting, np.random.default_rng(0), count))
    first, second = path_channels(runs, setting, count)
    log_p = first.log_density(slice(0, count)) + second.log_density(slice(0, count))
    assert_ends(sandwich([first, second]), log_p)
    assert exchanged_channel(runs, setting, count) is None


@pytest.mark.parametrize("neighbours", [1, 4])
def test_nearest_neighbours(neighbours: int) -> None:
    """ψ(k) + ψ(K) - ψ(n_x + 1) - ψ(n_y + 1) of every pair, in loops, as if they were independent."""
    rng = np.random.default_rng(2)
    x = rng.standard_normal((PAIRS, 2))
    y = x[:, :1] + rng.standard_normal((PAIRS, 1))
    x, y = x / x.std(0), y / y.std(0)
    terms = []
    for i in range(PAIRS):
        apart = [np.abs(part - part[i]).max(axis=1) for part in (x, y)]
        radius = np.sort(np.maximum(*apart))[neighbours]
        counts = [int((distance < radius).sum()) for distance in apart]  # with the point itself: n + 1
        terms.append(digamma(neighbours) + digamma(PAIRS) - digamma(counts[0]) - digamma(counts[1]))
    found = ksg_mutual_information(x, y, neighbours=neighbours)
    assert_mean_of(found, terms, "biased", "nats")


def test_infinite_ends() -> None:
    """Infinite ends have no error bar."""
    found = Sandwich.infinite("singular")
    for end in (found.lower, found.upper):
        assert (end.value, end.stderr, end.samples, end.note) == (math.inf, 0.0, 0, "singular")
