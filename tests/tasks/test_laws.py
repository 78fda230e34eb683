"""Laws of inputs and label noise: their moments against scipy, sums and draws, what is rejected, what is not known."""

import math
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pytest
from helpers import assert_mean, error_message
from laws import Coin, Silent, Waiting
from scipy import integrate, stats

import icl_theory
from icl_theory import Gaussian, LinearRegression, Mixture, ReLUTeacher, StudentT, Uniform, VectorRegression
from icl_theory.tasks import Law, UnitLaw
from icl_theory.tasks.law_facts import checked_law, fourth_moment, known_fourth_moment, tail_note

DENSITIES: dict[Law, Any] = {
    Gaussian(): stats.norm(),
    Uniform(): stats.uniform(-math.sqrt(3), 2 * math.sqrt(3)),
    StudentT(9): stats.t(9, scale=math.sqrt(7 / 9)),
    StudentT(4.5): stats.t(4.5, scale=math.sqrt(2.5 / 4.5)),
}
SCALES, WEIGHTS = (1.0, 3.0, 0.2), (0.7, 0.1, 0.2)
MIXTURE = Mixture(SCALES, WEIGHTS)
over_laws = pytest.mark.parametrize("law", [*DENSITIES, MIXTURE, Coin(0.3), Waiting()], ids=repr)


@pytest.mark.parametrize("law", DENSITIES, ids=repr)
def test_scipy_moments(law: Law) -> None:
    """Moments are those of scipy."""
    density = DENSITIES[law]
    assert (density.mean(), density.var()) == pytest.approx((0, 1), abs=1e-12)
    assert fourth_moment(law) == pytest.approx(density.stats("k") + 3, rel=1e-9)
    draws = law.sample(np.random.default_rng(0), (4000,))
    assert stats.kstest(draws, density.cdf).pvalue > 1e-6


def test_moments_of_a_mixture() -> None:
    scales = np.array(SCALES) / math.sqrt(sum(p * s**2 for s, p in zip(SCALES, WEIGHTS, strict=True)))

    def density(u: float) -> float:
        return float(sum(p * stats.norm.pdf(u, scale=s) for s, p in zip(scales, WEIGHTS, strict=True)))

    for power, value in ((0, 1.0), (2, 1.0), (4, MIXTURE.fourth_moment)):
        found = integrate.quad(lambda u, k=power: u**k * density(u), -60, 60, points=(-1, 0, 1), limit=400)[0]
        assert found == pytest.approx(value, rel=1e-9)
    draws = MIXTURE.sample(np.random.default_rng(1), (4000,))
    cdf = sum(p * stats.norm.cdf(np.sort(draws), scale=s) for s, p in zip(scales, WEIGHTS, strict=True))
    assert np.abs(cdf - np.arange(4000) / 4000).max() < 3 / math.sqrt(4000)
    assert Mixture((5.0, 5.0), (0.5, 0.5)).fourth_moment == pytest.approx(3, rel=1e-15)
    for size in (1e-200, 1e200):  # the scales are relative, however large
        assert Mixture((size, 3 * size), (0.9, 0.1)).fourth_moment == pytest.approx(25 / 3, rel=1e-12)


@over_laws
def test_promised_moments(law: Law) -> None:
    """Draws have the moments promised."""
    draws = law.sample(np.random.default_rng(2), (200_000,))
    assert_mean(draws, 0.0)
    assert_mean(draws**2, 1.0)
    if (getattr(law, "finite_moments", None) or math.inf) > 8:
        assert_mean(draws**4, fourth_moment(law))
    square = law.sample(np.random.default_rng(3), (20_000, 2))
    assert_mean(square[:, 0] * square[:, 1], 0.0)
    assert_mean(square[:, 0] ** 2 * square[:, 1], 0.0)


def test_generator_calls() -> None:
    """Gaussian and uniform prompts are those of earlier versions, key by key."""
    for law, drawn in ((Gaussian(), lambda r: r.standard_normal((2, 4, 3))), (Uniform(), uniform)):
        task = LinearRegression(3, inputs=law, noise_std=0.5)
        prompt, rng = task.sample(7, 2, 4), np.random.default_rng(7)
        w = rng.standard_normal((2, 3))
        x = drawn(rng)
        np.testing.assert_array_equal(prompt.x, x)
        np.testing.assert_array_equal(prompt.y, np.einsum("bnd,bd->bn", x, w) + 0.5 * rng.standard_normal((2, 4)))


def uniform(rng: np.random.Generator) -> np.ndarray:
    return rng.uniform(-np.sqrt(3.0), np.sqrt(3.0), (2, 4, 3))


def test_equality() -> None:
    """Laws are equal by value."""
    assert StudentT(5) == StudentT(5.0) != StudentT(6)
    assert Mixture([1, 2], [0.5, 0.5]) == Mixture((1.0, 2.0), (0.5, 0.5))  # pyright: ignore[reportArgumentType]
    assert Gaussian() == Gaussian() != Uniform()
    assert len({Gaussian(), Gaussian(), StudentT(3), StudentT(3)}) == 2
    assert repr(StudentT(5)) == "StudentT(dof=5.0)"


@pytest.mark.parametrize(("dof", "fourth"), [(2.5, math.inf), (4, math.inf), (4.5, 15.0), (5, 9.0), (9, 4.2)])
def test_degrees_of_freedom(dof: float, fourth: float) -> None:
    law = StudentT(dof)
    assert law.fourth_moment == pytest.approx(fourth, rel=1e-15)
    assert (law.finite_moments, law.symmetric, law.continuous) == (dof, True, True)


def test_laws_refuse() -> None:
    for dof in (2, 1.0, -3, np.inf, np.nan, "5"):
        assert "dof" in error_message(StudentT, dof)
    assert "scales" in error_message(Mixture, (1.0, 0.0), (0.5, 0.5))
    assert "scales" in error_message(Mixture, (1.0, -1.0), (0.5, 0.5))
    assert "probabilities" in error_message(Mixture, (1.0, 2.0), (0.5, 0.5, 0.0))
    assert "a sum of 0.9" in error_message(Mixture, (1.0, 2.0), (0.5, 0.4))
    assert "negative" in error_message(Mixture, (1.0, 2.0), (1.5, -0.5))


@pytest.mark.parametrize("name", ["inputs", "noise"])
def test_a_word_is_no_law(name: str) -> None:
    """The error names the object to pass."""
    for word, hint in (("gaussian", "Gaussian()"), ("uniform", "Uniform()"), ("student-t", "StudentT(5)"), (3, "Gau")):
        assert f"pass icl_theory.{hint}" in error_message(LinearRegression, 2, **{name: cast(Any, word)})
    assert "the class Uniform" in error_message(LinearRegression, 2, **{name: Uniform})


def law_of(draw: Any, **facts: Any) -> Any:
    return type("Own", (), {"sample": lambda self, rng, shape: draw(rng, shape), **facts})()


def test_user_law() -> None:
    """A law of a user is checked."""

    def of(draw: Any, **facts: Any) -> str:
        return error_message(LinearRegression, 2, inputs=law_of(draw, **facts))

    assert "shape (4096,)" in of(lambda rng, shape: rng.standard_normal(shape[-1]))
    assert "shape (4096, 2)" in of(lambda rng, shape: rng.standard_normal(shape[::-1]))
    assert "NaN" in of(lambda rng, shape: np.full(shape, np.nan))
    assert "array of real numbers" in of(lambda rng, shape: "x")
    assert "fourth_moment" in of(lambda rng, shape: rng.standard_normal(shape), fourth_moment=0.9)
    assert "fourth_moment" in of(lambda rng, shape: rng.standard_normal(shape), fourth_moment=lambda: 3.0)
    assert "mean square 1.58" in of(lambda rng, shape: rng.standard_t(5, shape), fourth_moment=9.0)  # never scaled
    assert "mean 0.49" in of(lambda rng, shape: rng.random(shape), fourth_moment=9 / 5)
    for law in (Silent(), Coin(0.5), Coin(0.01), Waiting(), law_of(lambda r, s: StudentT(2.1).sample(r, s))):
        assert checked_law("inputs", law) is law


def test_other_sampling() -> None:
    """A subclass that draws otherwise knows nothing."""

    class Doubled(StudentT):
        def sample(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
            return rng.choice([-1.0, 1.0], size=shape)

    law = Doubled(5)
    facts = law.fourth_moment, law.finite_moments, law.symmetric, law.continuous
    assert facts == (None, None, False, False)
    assert "not known" in error_message(LinearRegression(2, inputs=law).readout_moments, 3)

    class Stated(Doubled):
        fourth_moment = 1.0  # pyright: ignore

        def sample(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
            return rng.choice([-1.0, 1.0], size=shape)

    class Named(StudentT):
        """Draws as its parent does."""

    assert (Stated(5).fourth_moment, Stated(5).symmetric) == (1.0, False)
    assert (Named(5).fourth_moment, Named(5).symmetric) == (9.0, True)
    own = LinearRegression(2, inputs=Named(5))
    assert own.knows_moments
    assert not LinearRegression(2, inputs=type("Own", (Gaussian,), {})()).draws_moments  # no exact Gaussian: unknown


def test_input_quartic(rng: np.random.Generator) -> None:
    """E x xᵀ A x xᵀ from E u⁴ alone, symmetric law or not."""
    covariance = np.array([[2.0, 0.5], [0.5, 1.0]])
    a = rng.standard_normal((2, 2))
    for law in (StudentT(17), MIXTURE, Coin(0.2), Waiting()):
        task = LinearRegression(2, covariance, inputs=law)
        x = task.sample_inputs(rng, (200_000,))
        form = np.einsum("bi,ij,bj->b", x, a + a.T, x)
        assert_mean(form[:, None, None] * x[:, :, None] * x[:, None, :], task.input_quartic(a + a.T))


def test_requirements() -> None:
    """What a law must give."""
    assert known_fourth_moment(StudentT(5), "inputs", "it") == 9.0
    assert "E u⁴ is infinite" in error_message(known_fourth_moment, StudentT(3), "inputs", "it")
    assert "E u⁴ is not known" in error_message(known_fourth_moment, Silent(), "noise", "it")
    assert tail_note(Gaussian(), 100) == tail_note(StudentT(8.5), 8) == tail_note(Coin(0.2), 100) == ""
    assert "below order 8 only, the variance here needs order 8" in tail_note(StudentT(8), 8)
    assert "mean itself" not in tail_note(StudentT(4.5), 8)
    assert "mean itself may be infinite" in tail_note(StudentT(4), 8)
    assert "not known" in tail_note(Silent(), 2)
    task = LinearRegression(2, inputs=StudentT(3), noise=StudentT(3))
    assert task.tail_note(4).count("StudentT") == 1
    assert "dof=3.0" in LinearRegression(2, noise_std=0.1, noise=StudentT(3)).tail_note(4)
    assert LinearRegression(2, noise=StudentT(3)).tail_note(4) == ""


def test_the_names_are_public() -> None:
    for name in ("Gaussian", "Uniform", "StudentT", "Mixture"):
        assert getattr(icl_theory, name) is getattr(icl_theory.tasks, name)
    assert issubclass(icl_theory.tasks.Gaussian, UnitLaw)
    assert isinstance(Silent(), Law)


@pytest.mark.parametrize("make", [LinearRegression, ReLUTeacher, VectorRegression])
def test_noise_of_any_law(make: Any, rng: np.random.Generator) -> None:
    """σ ε, whatever the law: of the noise of demonstrations only."""
    second: Any = () if make is LinearRegression else (3,)
    task = make(2, *second, noise_std=0.5, noise=Coin(0.2))
    assert set(np.unique(task.corrupted(rng, np.zeros((1000, 4))))) == set(0.5 * Coin(0.2).values)
    prompt, still = task.sample(0, 3, 4), make(2, *second).sample(0, 3, 4)
    np.testing.assert_array_equal(prompt.x, still.x)
    if make is VectorRegression:
        assert task.row.noise == Coin(0.2)


@dataclass(frozen=True, eq=False)
class Plain(LinearRegression):
    """A subclass that changes nothing keeps every closed form."""


def test_unchanged_subclass() -> None:
    """A subclass that changes nothing keeps everything."""
    task = Plain(3, noise_std=0.2)
    assert task.knows_moments
    assert task.linear_labels
    assert task.draws_moments
    assert task.row is task
    assert task.zero_risk == 3.0
