"""Closed forms under every law against exact enumeration, rational moments and tokens; laws without a closed form."""

import itertools
import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from helpers import error_message
from laws import Coin, Silent, Waiting
from rational import gaussian_moment, rational_risk, uniform_moment

from icl_theory import (
    Gaussian,
    LinearRegression,
    Mixture,
    Model,
    OneHotClassification,
    ReLUTeacher,
    StudentT,
    Uniform,
    VectorRegression,
    bayes_risk,
    gradient_descent_agreement,
    gradient_descent_weights,
    least_squares_predict,
    least_squares_risk,
    one_layer_optimum,
    population_risk,
    predict,
    random_weights,
    ridge_predict,
    ridge_risk,
    train,
)
from icl_theory.risk.one_layer import one_layer_risk
from icl_theory.tasks.base import Task
from icl_theory.tasks.prompt import Prompt
from icl_theory.training.optimum import known_optimum
from icl_theory.training.prompt_sources import MomentSource, TokenMomentSource, TokenSource, source_of

LAMBDA = np.array([[2.0, 0.5, 0.0], [0.5, 1.0, 0.3], [0.0, 0.3, 0.5]])
OMEGA = np.array([[1.0, -0.2, 0.1], [-0.2, 0.6, 0.0], [0.1, 0.0, 1.5]])
MIXTURE = Mixture((1.0, 3.0), (0.8, 0.2))


# Rational arithmetic at d = 1: token by token, nothing assumed of third or fourth moments.


def moments(*values: int | Fraction) -> Callable[[int, Fraction], Fraction]:
    """E u^power of a law given by its first moments, E u² = 1, times variance^{power/2}, which must be a square."""

    def moment(power: int, variance: Fraction) -> Fraction:
        root = Fraction(math.isqrt(variance.numerator), math.isqrt(variance.denominator))
        assert root**2 == variance
        return Fraction(values[power]) * root**power

    return moment


TABLES = {
    StudentT(9): moments(1, 0, 1, 0, Fraction(21, 5)),
    MIXTURE: moments(1, 0, 1, 0, 3 * (Fraction(4, 5) + Fraction(81, 5)) / (Fraction(4, 5) + Fraction(9, 5)) ** 2),
    Waiting(): moments(1, 0, 1, 2, 9),
    Uniform(): uniform_moment,
    Gaussian(): gaussian_moment,
}


@pytest.mark.parametrize("noise", TABLES, ids=lambda law: type(law).__name__)
@pytest.mark.parametrize("inputs", TABLES, ids=lambda law: type(law).__name__)
def test_rational_arithmetic(inputs: Any, noise: Any) -> None:
    """Two heads, so that nothing is symmetric; skewed laws show that third moments cancel."""
    rng = np.random.default_rng(5)
    for _ in range(3):
        value, key, query = rng.integers(-3, 4, (3, 1, 2, 2, 2))
        omega, shots = (int(k) for k in rng.integers(1, 5, 2))
        product = key[0].swapaxes(1, 2) @ query[0]
        heads = [([int(k) for k in v[-1]], [int(k) for k in b[:, 0]]) for v, b in zip(value[0], product, strict=True)]
        expected = rational_risk(heads, 4, omega, Fraction(1, 4), shots, TABLES[inputs], TABLES[noise])
        task = LinearRegression(1, [[4]], [[omega]], 0.5, inputs, noise)
        got = population_risk(Model.create(value, key, query, heads=2), task, shots=shots)
        assert got.direction == "exact"
        assert got.value == pytest.approx(float(expected), rel=1e-12)


# Enumeration at d = 2, N = 2: coins for inputs and noise, Gauss-Hermite nodes for w (the risk is a polynomial in it).


def enumerated(task: Task, coin: Coin, noise: Coin, shots: int) -> tuple[Prompt, np.ndarray]:
    """All prompts of N demonstrations and their weights."""
    nodes, masses = np.polynomial.hermite_e.hermegauss(4)
    sides = [(coin.values, (coin.p, 1 - coin.p))] * (2 * (shots + 1)) + [(noise.values, (noise.p, 1 - noise.p))] * shots
    sides += [(nodes, masses / masses.sum())] * 2
    points = np.array(list(itertools.product(*(values for values, _ in sides))))
    weights = np.array([np.prod(masses) for masses in itertools.product(*(masses for _, masses in sides))])
    x = points[:, : 2 * (shots + 1)].reshape(-1, shots + 1, 2) @ task.input_root
    w = points[:, -2:] @ task.task_root  # pyright: ignore[reportAttributeAccessIssue]
    clean = np.einsum("bnd,bd->bn", x, w)
    labels = clean[:, :-1] + task.noise_std * points[:, 2 * (shots + 1) : -2]  # pyright: ignore
    return Prompt(x[:, :-1], labels, x[:, -1], clean[:, -1]), weights


@pytest.mark.parametrize(("p", "q"), [(0.5, 0.5), (0.2, 0.5), (0.5, 0.1), (0.2, 0.7)])
def test_exact_by_enumeration(p: float, q: float) -> None:
    """The risk is the weighted mean over all prompts; the optimum is one, also for skewed laws."""
    coin, noise, shots = Coin(p), Coin(q), 2
    task = LinearRegression(2, LAMBDA[:2, :2], OMEGA[:2, :2], 0.6, coin, noise)
    prompt, weights = enumerated(task, coin, noise, shots)
    assert weights.sum() == pytest.approx(1, rel=1e-12)
    heads = Model.create(*np.random.default_rng(1).standard_normal((3, 1, 2, 3, 3)) / 2, heads=2)
    for model in (random_weights(0, layers=1, token_dim=3, scale=1.0), heads, heads.replace(readout="plus")):
        expected = weights @ (predict(model, prompt) - prompt.y_query) ** 2
        assert one_layer_risk(model, task, shots) == pytest.approx(expected, rel=1e-11)
    model, risk = one_layer_optimum(task, shots=shots)
    assert weights @ (predict(model, prompt) - prompt.y_query) ** 2 == pytest.approx(risk, rel=1e-11)
    rng = np.random.default_rng(2)
    for size in (0.3, 0.03):  # no one-layer model at all does better, skewed laws or not
        for _ in range(10):
            other = Model(*(a + size * rng.standard_normal(a.shape) for a in (model.value, model.key, model.query)))
            assert one_layer_risk(other, task, shots) > risk


# Brute force in three dimensions.


@pytest.mark.parametrize("law", [Uniform(), StudentT(9), MIXTURE, Waiting(), Coin(0.3)], ids=repr)
def test_tokens(law: Any) -> None:
    """Risk and optimum match tokens."""
    task = LinearRegression(3, LAMBDA, OMEGA, 0.7, law, law)
    prompt = task.sample(99, 100_000, 6)
    optimum, risk = one_layer_optimum(task, shots=6)
    assert population_risk(optimum, task, shots=6).value == pytest.approx(risk, rel=1e-12)
    for model in (optimum, random_weights(3, layers=1, token_dim=4, scale=1.0)):
        exact = population_risk(model, task, shots=6)
        losses = (predict(model, prompt) - prompt.y_query) ** 2
        assert exact.direction == "exact"
        assert abs(losses.mean() - exact.value) < 6 * losses.std() / np.sqrt(len(losses)) < 0.5 * exact.value


# Where there is no closed form.


def test_infinite_input_moment() -> None:
    """E |p|² contains E u⁴: the risk is infinite, with a note, and there is no optimum."""
    task = LinearRegression(2, noise_std=0.5, inputs=StudentT(4))
    for model in (gradient_descent_weights(2), random_weights(0, layers=1, token_dim=3)):
        found = population_risk(model, task, shots=5)
        assert (found.value, found.direction) == (np.inf, "exact")
        assert "fourth moment" in found.note
    assert population_risk(gradient_descent_weights(2, step_size=0.0), task, shots=5).value == 2.0
    assert "E u⁴ is infinite" in error_message(one_layer_optimum, task, shots=5)
    assert not task.knows_moments
    deep = population_risk(gradient_descent_weights(2, layers=2, step_size=0.1), task, shots=5, samples=64)
    assert (deep.direction, "no guide" in deep.note) == ("unbiased", True)
    vector = population_risk(one_layer(2), VectorRegression(2, 2, inputs=StudentT(4)), shots=5, samples=64)
    assert (vector.direction, "mean itself may be infinite" in vector.note) == ("unbiased", True)


def one_layer(outputs: int) -> Model:
    return gradient_descent_weights(2, step_size=0.3, label_projection=np.eye(outputs))


def test_infinite_noise_moment() -> None:
    """An infinite E ε⁴ counts only for weights that read S_yy; the optimum does not."""
    task, plain = (LinearRegression(2, noise_std=0.5, noise=law) for law in (StudentT(3), Gaussian()))
    model, risk = one_layer_optimum(task, shots=5)
    assert risk == one_layer_optimum(plain, shots=5)[1] == population_risk(model, task, shots=5).value
    assert population_risk(random_weights(0, layers=1, token_dim=3), task, shots=5).value == np.inf
    random = random_weights(0, layers=1, token_dim=3)
    twice = Model.create(
        np.stack([random.value, -random.value], 1),
        *(np.stack([a, a], 1) for a in (random.key, random.query)),
        heads=2,
    )
    # Heads that cancel but for rounding: neither infinite nor exact, so that it is sampled.
    damaged = twice.replace(value=twice.value * np.array([1.0, 1 + 1e-15])[None, :, None, None])
    for cancelling in (twice, damaged):
        assert population_risk(cancelling, task, shots=5, samples=64).value == pytest.approx(2.0, rel=0.5)
    assert known_optimum(task, config_of(task)) is None  # weights near it have an infinite risk
    assert known_optimum(plain, config_of(plain)) is not None


def config_of(task: Task) -> Any:
    return train(task, 0, layers=1, shots=5, steps=1, seeds=1, batch=2).config


def test_unknown_moment() -> None:
    """Sampled, with a note; the same law with known moments has the closed form."""
    silent, model = LinearRegression(2, noise_std=0.3, inputs=Silent()), random_weights(1, layers=1, token_dim=3)
    found = population_risk(model, silent, shots=4, samples=20_000)
    assert (found.direction, found.samples) == ("unbiased", 20_000)
    assert "not known" in found.note
    exact = population_risk(model, LinearRegression(2, noise_std=0.3), shots=4)
    assert abs(found.value - exact.value) < 6 * found.stderr < 0.5 * exact.value
    assert "E u⁴ is not known" in error_message(one_layer_optimum, silent, shots=4)
    assert "task.inputs" in error_message(gradient_descent_agreement, model, silent, shots=4)
    # Noise of unknown moments counts where S_yy is read, and nowhere else.
    noisy = LinearRegression(2, noise_std=0.3, noise=Silent())
    assert population_risk(gradient_descent_weights(2), noisy, shots=4).direction == "exact"
    assert population_risk(model, noisy, shots=4, samples=64).direction == "unbiased"


class Heavy(LinearRegression):
    """Student's t drawn in `sample_inputs`, as a user would."""

    def sample_inputs(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        return rng.standard_t(4.5, (*shape, self.dim))


def test_own_inputs() -> None:
    """Own inputs get no closed form of Gaussian ones: neither risk nor optimum, training or ladder."""
    task, model = Heavy(2, noise_std=0.2), gradient_descent_weights(2, step_size=0.5)
    found, gaussian = (population_risk(model, t, shots=6) for t in (task, LinearRegression(2, noise_std=0.2)))
    assert found.direction == "unbiased"
    prompt = task.sample(4, 40_000, 6)
    losses = (predict(model, prompt) - prompt.y_query) ** 2
    assert losses.mean() > gaussian.value + 6 * losses.std() / np.sqrt(len(losses))
    assert abs(found.value - losses.mean()) < 6 * np.hypot(found.stderr, losses.std() / np.sqrt(len(losses)))
    assert "overrides sample_inputs" in error_message(one_layer_optimum, task, shots=6)
    config = config_of(task)
    rng = np.random.default_rng(0)
    assert isinstance(source_of(task, config, rng), TokenSource)
    assert isinstance(source_of(LinearRegression(2, inputs=StudentT(4.5)), config, rng), TokenMomentSource)
    assert isinstance(source_of(LinearRegression(2, noise_std=1.0, noise=Uniform()), config, rng), TokenMomentSource)
    assert isinstance(source_of(LinearRegression(2, noise=Uniform()), config, rng), MomentSource)
    assert "overrides sample_inputs" in error_message(train, task, 0, layers=1, shots=6, sampling="moments")
    assert "linear attention" in error_message(
        train, LinearRegression(2), 0, layers=1, shots=6, sampling="moments", kind="softmax"
    )


class Loud(LinearRegression):
    def corrupted(self, rng: np.random.Generator, labels: np.ndarray) -> np.ndarray:
        return labels + 3 * rng.standard_normal(labels.shape)


def test_own_label_noise() -> None:
    """Own label noise counts in two layers."""
    model = gradient_descent_weights(2, layers=2, step_size=0.3)
    loud, still = (population_risk(model, task, shots=6, samples=20_000) for task in (Loud(2), LinearRegression(2)))
    same = population_risk(model, LinearRegression(2, noise_std=3.0), shots=6, samples=20_000)
    assert abs(loud.value - same.value) < 6 * np.hypot(loud.stderr, same.stderr) < loud.value - still.value


@pytest.mark.parametrize("scale", [1.0, 1e-15, 1e-200, 1e200])
def test_label_block_scale(scale: float) -> None:
    """ŷ is the same for every c, so the risk is too: for a small c it was once that of another model, called exact."""
    task = VectorRegression(3, 2, noise_std=0.1)
    value, key, query = np.zeros((3, 1, 5, 5))
    value[0, 3:, 3:] = -scale * np.array([[0.6, -0.8], [0.8, 0.6]])
    key[0, :3, :3], query[0, :3, :3] = np.eye(3), np.eye(3) / scale
    model = Model.create(value, key, query)
    found = population_risk(model, task, shots=20, samples=4096)
    assert found.direction == "unbiased"
    unit = population_risk(model.replace(value=value / scale, query=query * scale), task, shots=20, samples=4096)
    assert found.value == pytest.approx(unit.value, rel=1e-9)
    # A multiple of the identity is read as one at every scale; one that is off by 1e-9 is not.
    value[0, 3:, 3:] = -scale * np.eye(2)
    pure = population_risk(model.replace(value=value), task, shots=20)
    assert pure.direction == "exact"
    assert pure.value == pytest.approx(2 * population_risk(gradient_descent_weights(3), task.row, shots=20).value)
    value[0, 3, 3] *= 1 + 1e-9
    assert population_risk(model.replace(value=value), task, shots=20, samples=8).direction == "unbiased"


def test_many_classes() -> None:
    """c (I - 11'/C) carries rounding of its own."""
    for classes in (2, 3, 7, 50):
        task = OneHotClassification(3, classes)
        model, risk = one_layer_optimum(task, shots=6)
        found = population_risk(model.replace(value=model.value * np.pi), task, shots=6, samples=8)
        assert found.direction == "exact"
        assert population_risk(model, task, shots=6).value == pytest.approx(risk, rel=1e-11)


def test_skewed_teacher() -> None:
    """E[x |w · x|] is not 0 there: the formula for symmetric inputs is wrong by many standard errors."""

    class Claimed(Coin):
        symmetric = True

    task, wrong = (ReLUTeacher(2, 3, inputs=law) for law in (Coin(0.1), Claimed(0.1)))
    assert "symmetric" in error_message(task.readout_moments, 4)
    assert "symmetric" in error_message(lambda: task.linear_risk)
    model = gradient_descent_weights(2, step_size=0.3)
    prompt = task.sample(2, 160_000, 4)
    losses = (predict(model, prompt) - prompt.y_query) ** 2
    found, error = population_risk(model, task, shots=4), losses.std() / 400
    assert abs(found.value - losses.mean()) < 6 * np.hypot(found.stderr, error)
    assert abs(population_risk(model, wrong, shots=4).value - losses.mean()) > 6 * error
    symmetric = ReLUTeacher(2, 3, inputs=StudentT(9))
    prompt = symmetric.sample(2, 40_000, 4)
    losses = (predict(model, prompt) - prompt.y_query) ** 2
    assert abs(population_risk(model, symmetric, shots=4).value - losses.mean()) < 6 * losses.std() / 200


# Least squares, ridge and Bayes.


@pytest.mark.parametrize("shots", [2, 3, 5])
def test_atoms(shots: int) -> None:
    """S is singular with probability 2^{1-N}; the least-norm solution is then still one, and no risk is infinite."""
    coin = Coin(0.5)
    task = LinearRegression(2, noise_std=0.4, inputs=coin)
    found = least_squares_risk(task, shots=shots, samples=20_000)
    assert found.direction == "unbiased"
    expected = []
    for signs in itertools.product(coin.values, repeat=2 * shots):
        x = np.array(signs).reshape(shots, 2)
        kept = np.linalg.pinv(x) @ x
        noise = 0.16 * np.trace(np.linalg.pinv(x) @ np.linalg.pinv(x).T)
        expected.append(np.trace((kept - np.eye(2)) @ (kept - np.eye(2)).T) + noise)
    assert abs(found.value - np.mean(expected)) < 6 * found.stderr < 0.2 * found.value
    prompt = task.sample(3, 40_000, shots)
    losses = (least_squares_predict(prompt) - prompt.y_query) ** 2
    assert abs(losses.mean() - np.mean(expected)) < 6 * losses.std() / 200
    clean = LinearRegression(2, inputs=coin)
    for risk in (least_squares_risk, bayes_risk):
        left = risk(clean, shots=shots, samples=20_000)
        assert abs(left.value - 2.0 ** (1 - shots)) < 6 * left.stderr  # one direction is left unseen


@pytest.mark.parametrize("law", [StudentT(4.5), MIXTURE, Waiting()], ids=repr)
def test_other_laws(law: Any) -> None:
    """Ridge and Bayes under other laws."""
    task = LinearRegression(2, LAMBDA[:2, :2], OMEGA[:2, :2], 0.6, inputs=law)
    prompt = task.sample(5, 40_000, 5)
    for found, penalty, prior in (
        (ridge_risk(task, shots=5, penalty=0.3, samples=20_000), 0.3, None),
        (bayes_risk(task, shots=5, samples=20_000), 0.36 / 5, OMEGA[:2, :2]),
    ):
        losses = (ridge_predict(prompt, penalty, prior=prior) - prompt.y_query) ** 2
        assert abs(found.value - losses.mean()) < 6 * np.hypot(found.stderr, losses.std() / 200) < 0.3 * found.value
    noisy = LinearRegression(2, noise_std=0.6, noise=law)
    assert "Gaussian label noise" in error_message(bayes_risk, noisy, shots=5)
    same = [least_squares_risk(t, shots=6) for t in (noisy, LinearRegression(2, noise_std=0.6))]
    assert same[0] == same[1]  # of the noise its variance alone
    assert least_squares_risk(task, shots=3).value == np.inf


@pytest.mark.parametrize("size", [1e-6, 1.0, 1e6])
def test_step_fit_scale(size: float) -> None:
    """Inputs of another unit: the same agreement with gradient descent and GD++, at a step size for that unit."""
    task = LinearRegression(2, size**2 * np.eye(2), np.eye(2) / size**2, noise_std=0.3)
    model = gradient_descent_weights(2, layers=2, step_size=0.3 / size**2)
    model = model.replace(value=model.value * np.array([1.0, 0.7])[:, None, None])
    for scheme in ("gd", "gd++"):
        found = gradient_descent_agreement(model, task, shots=8, prompts=64, scheme=scheme)
        plain = gradient_descent_agreement(
            gradient_descent_weights(2, layers=2, step_size=0.3).replace(value=model.value * size**2),
            LinearRegression(2, noise_std=0.3),
            shots=8,
            prompts=64,
            scheme=scheme,
        )
        assert found.step_size[0] * size**2 == pytest.approx(plain.step_size[0], rel=1e-6)
        assert found.final.sensitivity_cosine.value == pytest.approx(plain.final.sensitivity_cosine.value, rel=1e-6)
