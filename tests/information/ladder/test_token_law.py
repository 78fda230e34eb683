"""The law of the tokens: its coordinates, what a prior knows of them, and the informations by other means."""

import itertools
import math
from typing import Any

import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from icl_theory import (
    LinearClassification,
    LinearRegression,
    Mixture,
    OneHotClassification,
    ReLUTeacher,
    SparseLinearRegression,
    StudentT,
    Uniform,
    VectorRegression,
    bound_ladder,
    random_weights,
    truncate_weights,
)
from icl_theory.core.symmetric import outer_coordinates, symmetric_coordinates, symmetric_matrix
from icl_theory.information.covariance_roots import covariance_root
from icl_theory.information.ladder.token_law import TokenLaw, gaussian_moment_covariance, token_law
from icl_theory.tasks import Task, UnitLaw


class Signs(UnitLaw):
    """u = ±1."""

    fourth_moment = 1.0
    continuous = False
    symmetric = True

    def sample(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        return rng.choice([-1.0, 1.0], size=shape)


class Skewed(UnitLaw):
    """u = e - 1, e exponential: E u³ = 2, E u⁴ = 9."""

    fourth_moment = 9.0
    continuous = True

    def sample(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        return rng.standard_exponential(shape) - 1


class Restated(LinearRegression):
    """Linear regression that no longer knows its closed forms."""

    def sample_inputs(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        return super().sample_inputs(rng, shape)


LAMBDA = np.array([[1.0, 0.3], [0.3, 0.5]])
TASKS: dict[str, Task] = {
    "gaussian": LinearRegression(2, LAMBDA, noise_std=0.5),
    "clean": LinearRegression(2, LAMBDA),
    "singular": LinearRegression(2, np.diag([1.0, 0.0]), noise_std=0.5),
    "uniform": LinearRegression(2, LAMBDA, noise_std=0.5, inputs=Uniform()),
    "skewed": LinearRegression(2, LAMBDA, noise_std=0.5, inputs=Skewed(), noise=Skewed()),
    "heavy noise": LinearRegression(2, noise_std=0.5, noise=StudentT(9)),
    "signs": LinearRegression(2, LAMBDA, noise_std=0.5, inputs=Signs()),
    "singular, uniform": LinearRegression(2, np.diag([1.0, 0.0]), noise_std=0.5, inputs=Uniform()),
    "sparse": SparseLinearRegression(2, nonzero=1, noise_std=0.5, inputs=Mixture((1.0, 2.0), (0.5, 0.5))),
    "restated": Restated(2, LAMBDA, noise_std=0.5),
    "vector": VectorRegression(2, outputs=2, covariance=LAMBDA, noise_std=0.5),
    "vector, clean": VectorRegression(2, outputs=2, inputs=Uniform()),
    "relu": ReLUTeacher(2, hidden=3, noise_std=0.3),
    "classes": LinearClassification(2, flip_probability=0.1),
    "one-hot": OneHotClassification(2, classes=3),
}
LEARNED = ("singular, uniform", "restated", "relu", "classes", "one-hot")
FREE = {"signs": 4, "singular, uniform": 3, "clean": 3, "singular": 3, "vector": 10, "vector, clean": 3}
FREE |= {"classes": 5, "one-hot": 3 + 6 + 2}


def law_of(name: str) -> tuple[TokenLaw, np.ndarray]:
    task = TASKS[name]
    function = task.sample_tasks(np.random.default_rng(3), 1)[0]
    return token_law(task, function), function


@pytest.mark.parametrize("name", TASKS)
def test_tokens(name: str) -> None:
    """B u has the second moment of the task's own tokens, and E u uᵀ = I."""
    law, function = law_of(name)
    rng = np.random.default_rng(4)
    u = law.sample(rng, 1, 200_000)[0]
    own = TASKS[name].sample_tokens(rng, function[None], 200_000)[0]
    assert law.basis.shape == (TASKS[name].token_dim, u.shape[1])
    for first, second in ((u @ law.basis.T, own), (u, None)):
        one = outer_coordinates(first)
        two = outer_coordinates(second) if second is not None else symmetric_coordinates(np.eye(u.shape[1]))[None]
        error = np.sqrt(one.var(0) / len(one) + two.var(0) / len(two))
        if second is None and not law.exact:
            error = error + np.sqrt(one.var(0) / 2**16)
        assert (np.abs(one.mean(0) - two.mean(0)) <= 6 * error + 1e-12).all()


@pytest.mark.parametrize("name", TASKS)
def test_reference(name: str) -> None:
    """Mean and covariance of the free coordinates, and nothing varies outside of them."""
    law, _ = law_of(name)
    q = law.basis.shape[1]
    assert law.coordinates == FREE.get(name, q * (q + 1) // 2)
    assert law.exact == (name not in LEARNED)
    assert law.gaussian == (name in ("gaussian", "clean", "singular"))
    u = law.sample(np.random.default_rng(5), 1, 100_000)[0]
    free, whole = law.features(u), outer_coordinates(u)
    np.testing.assert_allclose(symmetric_coordinates(law.matrices(free)), whole, atol=1e-9 * np.abs(whole).max())
    np.testing.assert_allclose(law.directions(free - free[:1]), law.matrices(free) - law.matrices(free[:1]), atol=1e-9)
    centred = free - law.centre
    spread = law.spread @ law.spread.T
    products = centred[:, :, None] * centred[:, None]
    error = np.sqrt(products.var(0) / len(free)) + (0 if law.exact else np.sqrt(products.var(0) / 2**16))
    assert (np.abs(products.mean(0) - spread) <= 6 * error + 1e-9).all()
    assert (np.abs(centred.mean(0)) <= 6 * np.sqrt(np.diag(spread) * (1 / len(free) + 1 / 2**16))).all()


def test_gaussian_reference() -> None:
    """2 I in the coordinates u, as `gaussian_moment_covariance` says for any Σ."""
    law, _ = law_of("gaussian")
    np.testing.assert_allclose(law.spread, covariance_root(gaussian_moment_covariance(np.eye(3))), rtol=1e-14)


def test_one_batch_for_all_models() -> None:
    """The independent batch is drawn once, and is no function of the runs' key."""
    task, w = ReLUTeacher(2, hidden=3, noise_std=0.3), np.ones((3, 3))
    assert token_law(task, w) is token_law(task, w.copy())
    assert token_law(task, 2 * w) is not token_law(task, w)


def test_refused() -> None:
    """E u⁴ infinite or unknown, and prompts that are not made of independent tokens."""

    class Unknown(UnitLaw):
        def sample(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
            return rng.standard_normal(shape)

    class Otherwise(LinearRegression):
        def sample_prompts(self, rng: np.random.Generator, tasks: np.ndarray, shots: int) -> Any:
            return super().sample_prompts(rng, tasks, shots)

    for task, words in (
        (LinearRegression(1, inputs=StudentT(4)), "moments below order 4"),
        (LinearRegression(1, noise_std=0.1, noise=StudentT(3)), "moments below order 3"),
        (LinearRegression(1, inputs=Unknown()), "not known"),
        (Otherwise(1), "sample_prompts"),
    ):
        with pytest.raises(ValueError, match=words):
            token_law(task, np.ones(1))


def test_tiny_label_noise() -> None:
    """With label noise 1e-9 of a ReLU teacher no batch says what y² has beyond x y; without any, nothing is to say."""
    parameters = np.array([[1.0, 0.7], [-1.0, 0.4]])
    with pytest.raises(ValueError, match=r"condition number of .* beyond a sampled prior"):
        token_law(ReLUTeacher(1, hidden=2, noise_std=1e-9), parameters)
    law = token_law(ReLUTeacher(1, hidden=2), parameters)
    assert law.coordinates == 2  # x² on either side of 0
    assert token_law(ReLUTeacher(1, hidden=2, noise_std=0.1), parameters).coordinates == 3


LADDER: dict[str, Any] = {"demonstrations": 40, "shots": 10, "clip": 4.0, "samples": 1024, "key": 3}


@pytest.mark.parametrize("layers", [1, 2])
def test_learned_against_exact(layers: int) -> None:
    """The same tokens with and without their closed forms: every rung agrees within its error, and so do the losses."""
    model = truncate_weights(random_weights(2, layers=layers, token_dim=3, scale=0.6), layer=0, module="value", rank=2)
    w = np.array([0.7, -1.1])
    options = LADDER | {"samples": 2048, "task_vector": w}
    known, learned = (bound_ladder(model, TASKS[n], **options) for n in ("gaussian", "restated"))
    assert known.support == learned.support
    for name, rung in known.information.items():
        other = learned.information[name]
        if math.isfinite(rung.value):
            error = 6 * math.hypot(rung.stderr, other.stderr)
            assert abs(rung.value - other.value) <= error
            assert error < 0.5 * rung.value or name.endswith("_sample")  # N times a mean is a coarse number
    for one, two in ((known.gap, learned.gap), (known.population_loss, learned.population_loss)):
        assert abs(one.value - two.value) <= 6 * math.hypot(one.stderr, two.stderr)
    assert "independent batch" in " ".join(learned.notes)
    assert known.notes == ()


N, SHOTS, FLOOR = 4, 2, 0.05
SIGNS = LinearRegression(1, noise_std=1.0, inputs=Signs(), noise=Signs())


def every_prompt() -> np.ndarray:
    """All 4^4 equally likely prompts of [x; x w + e] with x, e = ±1, shape (256, 4, 2)."""
    u = np.array(list(itertools.product(itertools.product([-1.0, 1.0], repeat=2), repeat=N)))
    return u @ np.array([[1.0, 0.0], [0.8, 1.0]]).T


def channel_of(model: Any, tokens: np.ndarray, rank: int) -> tuple[np.ndarray, np.ndarray]:
    """Means and covariances of W for every prompt, in coordinates of the space that W moves in, floor included."""
    left, right = tokens @ model.value[0].T, tokens @ (model.key[0].T @ model.query[0])
    g = np.einsum("kni,knj->knij", left, right).reshape(len(tokens), N, -1)
    apart = g.reshape(-1, g.shape[-1]) - g.reshape(-1, g.shape[-1]).mean(0)
    _, values, rows = np.linalg.svd(apart, full_matrices=False)
    assert (values > 1e-9).sum() == rank
    z = (g - g.mean((0, 1))) @ rows[:rank].T
    mean = z.mean(1)
    centred = z - mean[:, None]
    factor = (N - SHOTS) / (SHOTS * (N - 1) * N)
    return mean, factor * np.einsum("kni,knj->kij", centred, centred) + FLOOR * np.eye(rank)


def test_every_prompt() -> None:
    """Inputs and noise ±1: x², and y² given x y, are constants, and all prompts can be listed.

    Support 1, from [[x², x y], [x y, y²]] with x e alone varying. Gaussian rung by its definition, information by
    the mixture of 256 normal laws, both without sampling of demonstrations.
    """
    model = random_weights(5, layers=1, token_dim=2, scale=1.2)
    found = bound_ladder(
        model, SIGNS, demonstrations=N, shots=SHOTS, clip=4.0, samples=4096, key=1, task_vector=[0.8], floor=FLOOR
    )
    mean, covariance = channel_of(model, every_prompt(), 1)
    assert found.support == (1,)
    centre = mean.mean(0)
    prior = np.mean([c + np.outer(m - centre, m - centre) for m, c in zip(mean, covariance, strict=True)], axis=0)
    # The prior knows the true moments of S, so its covariance is the mean of C plus the covariance of G.
    gaussian = 0.5 * (np.linalg.slogdet(prior)[1] - np.linalg.slogdet(covariance)[1].mean())
    rung = found.information["gaussian"]
    assert abs(rung.value - gaussian) <= 6 * rung.stderr < 0.2 * gaussian
    rng, terms = np.random.default_rng(0), []
    laws = [multivariate_normal(m, c) for m, c in zip(mean, covariance, strict=True)]
    for own in laws:
        w = np.atleast_1d(own.rvs(200, random_state=rng))[:, None]
        table = np.array([other.logpdf(w) for other in laws])
        terms.append(own.logpdf(w) - logsumexp(table, axis=0) + math.log(len(laws)))
    exact, error = float(np.mean(terms)), float(np.std(np.mean(terms, axis=1)) / math.sqrt(len(laws)))
    upper, lower = found.information["mutual_information"], found.sandwich.lower
    assert lower.value - 6 * (lower.stderr + error) <= exact <= upper.value + 6 * (upper.stderr + error)
    assert upper.value - lower.value < 0.2 * exact


def test_singular_with_positive_probability() -> None:
    """Signs as inputs, a class shown too rarely, one linear piece: +∞ without a floor, finite with one."""
    model = random_weights(1, layers=1, token_dim=3, scale=0.8)
    for task, words in (
        (LinearRegression(2, noise_std=0.5, inputs=Signs()), "not known to have a density"),
        (OneHotClassification(1, classes=2), "too few demonstrations"),
        (ReLUTeacher(2, hidden=2), "one linear piece"),
    ):
        options: dict[str, Any] = {**LADDER, "samples": 64}
        found = bound_ladder(model, task, **options)
        assert {rung.value for rung in found.rungs.values()} == {math.inf}
        assert words in found.rungs["gaussian"].note
        assert words in found.rungs["readout"].note
        floored = bound_ladder(model, task, **options, floor=0.01)
        assert all(math.isfinite(r.value) for name, r in floored.rungs.items() if name != "theorem_2_printed")


def test_sign_noise() -> None:
    """ε = ±1 with inputs that have a density is no harm: ε² is a constant and is left out."""
    task = LinearRegression(2, noise_std=0.5, noise=Signs())
    found = bound_ladder(random_weights(1, layers=1, token_dim=3, scale=0.8), task, **LADDER)
    assert found.support == (5,)
    assert math.isfinite(found.rungs["gaussian"].value)


def test_coordinates_of_matrices() -> None:
    """svec and back."""
    a = np.random.default_rng(0).standard_normal((2, 3, 3))
    a = a + a.swapaxes(1, 2)
    np.testing.assert_allclose(symmetric_matrix(symmetric_coordinates(a), 3), a, rtol=1e-15)
