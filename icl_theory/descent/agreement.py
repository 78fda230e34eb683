"""Does a trained linear-attention model do gradient descent? Its implied weights compared with explicit steps."""

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from scipy.optimize import brentq, least_squares, minimize_scalar

from icl_theory.core import checks
from icl_theory.core.estimate import Estimate
from icl_theory.core.field_docs import fields_in_help
from icl_theory.core.numerics import Key, float64, generator
from icl_theory.core.results import Result
from icl_theory.descent.gradient_descent import gradient_steps, plus_plus_end, plus_plus_steps
from icl_theory.descent.implied_weights import implied_from_moments, quadratic_loss
from icl_theory.models.checked import checked_linear
from icl_theory.models.constructions import one_layer_optimum
from icl_theory.models.model import Model
from icl_theory.models.programs import program
from icl_theory.tasks.linear_regression import LinearRegression

Scheme = Literal["gd", "preconditioned", "gd++"]
GRID = 241
"""Step sizes tried before the fit is refined; odd, so that 0 is among them."""
WIDENINGS = 40
"""Most doublings of the range of step sizes."""


@fields_in_help
@dataclass(frozen=True, repr=False)
class LayerAgreement(Result):
    """How far the implied weight p of t layers is from the weight w_gd after t steps of gradient descent."""

    prediction_difference: Estimate
    """sqrt E (p - w_gd)ᵀ Λ (p - w_gd), the root mean square of ŷ - ŷ_gd over queries and prompts; label units."""
    sensitivity_cosine: Estimate
    """E p·w_gd / (|p| |w_gd|), the cosine of ∂ŷ/∂x_q with that of gradient descent; NaN where one of them is 0."""
    sensitivity_norm_difference: Estimate
    """E | |p| - |w_gd| |, in units of w."""
    implied_weight_distance: Estimate
    """E |p - w_gd|, in units of w."""


@fields_in_help
@dataclass(frozen=True, repr=False)
class Agreement(Result):
    """Agreement of a model, or of an ensemble, with gradient descent."""

    layers: tuple[LayerAgreement, ...]
    """Entry t - 1 compares t layers with t steps; the last entry is the whole model."""
    step_size: np.ndarray
    """η fitted to the whole model, one per member, shape (seeds,); (1,) for a single model."""
    input_step: np.ndarray
    """γ of GD++ fitted together with η, one per member; zeros for the other schemes."""

    @property
    def final(self) -> LayerAgreement:
        """The whole model against L steps."""
        return self.layers[-1]


def gradient_descent_agreement(
    model: Model,
    task: LinearRegression,
    *,
    shots: int,
    prompts: int = 256,
    key: Key = 0,
    scheme: Scheme = "gd",
) -> Agreement:
    """Compare p (ŷ = p · x_q) with w ← w - η P (S_xx w - S_xy) from w = 0, or with GD++, as many steps as layers.

    One step size η (and for GD++ one γ) serves all steps; it minimises E (p - w_gd)ᵀ Λ (p - w_gd) after L steps on a
    first set of prompts, and everything reported is measured on a second, independent set. The query is integrated
    out.

    Args:
        model: a single model or an ensemble: linear attention over all demonstrations, a linear MLP or none.
        task: Gaussian inputs and label noise.
        shots: N, at least 1.
        prompts: prompts to fit on, and as many again to score on; at least 2.
        key: a jax.random.key or a whole number; all members see the same prompts.
        scheme: "gd" (P = I), "preconditioned" (P the best one-layer preconditioner Ω Λ M^{-1}, see
            `one_layer_optimum`) or "gd++", which moves the inputs too, x ← (I - γ S_xx) x (see `plus_plus_steps`).

    Returns: `Agreement`. An ensemble: mean over members, standard error over members (the prompts are shared, so
        it does not contain their noise). A single model: mean and standard error over prompts.
    Raises: ValueError for tokens that are not Gaussian, labels that are always zero, NaN weights (drop members that
        diverged), or a count or option out of range.
    Source: von Oswald et al. 2023, Section 3 (arXiv:2212.07677v2); two separate sets of prompts: our choice.

    Example:
        >>> from icl_theory import LinearRegression, gradient_descent_agreement, gradient_descent_weights
        >>> model = gradient_descent_weights(3, layers=2, step_size=0.2)
        >>> found = gradient_descent_agreement(model, LinearRegression(3), shots=10, prompts=16)
        >>> round(float(found.step_size[0]), 6), found.final.prediction_difference.value < 1e-6
        (0.2, True)
    """
    task.require_gaussian_tokens("the agreement with gradient descent")
    shots = checks.integer("shots", shots, 1, None, "show at least one demonstration")
    members = _members(model, task, shots)
    prompts = checks.integer("prompts", prompts, 2, None, "a standard error needs two prompts")
    checks.choice("scheme", scheme, get_args(Scheme))
    matrix = _preconditioner(task, shots) if scheme == "preconditioned" else np.eye(task.dim)
    rng = generator(key)
    fit, score = (task.sample_moments(rng, prompts, shots)[0] for _ in range(2))
    if not np.abs(fit[:, :-1, -1]).max() > 0:
        raise checks.error("task", "labels that are always zero", "some signal", "use a non-zero task covariance")
    fitted, scored = ([_implied(member, s) for member in members] for s in (fit, score))
    steps = members[0].layers
    step_size = np.array([_fit_step_size(p[:, -1], fit, matrix, task.covariance, steps) for p in fitted])
    input_step = np.zeros(len(step_size))
    if scheme == "gd++":
        both = [_fit_plus_plus(p[:, -1], fit, e, task, steps) for p, e in zip(fitted, step_size, strict=True)]
        step_size, input_step = np.array(both).T
    paths = [
        plus_plus_steps(score, eta, gamma, steps) if gamma else gradient_steps(score, matrix, eta, steps)[0]
        for eta, gamma in zip(step_size, input_step, strict=True)
    ]
    values = np.stack([_metrics(p, path, task.covariance) for p, path in zip(scored, paths, strict=True)])
    return Agreement(tuple(_summarise(values[..., t]) for t in range(steps)), step_size, input_step)


def _members(model: Model, task: LinearRegression, shots: int) -> list[Model]:
    """Checked models of mean normalization, float64."""
    single = not isinstance(model, Model) or model.seeds is None
    models = [model] if single else [model.member(s) for s in range(model.seeds or 0)]
    return [_covered(member, task, shots) for member in models]


def _covered(model: Model, task: LinearRegression, shots: int) -> Model:
    what = "the agreement with gradient descent"
    return checked_linear(model, task.token_dim, what, sums=True).with_mean(shots)


def _preconditioner(task: LinearRegression, shots: int) -> np.ndarray:
    """P of the one-layer optimum; its W_Q holds Pᵀ, see `gradient_descent_weights`."""
    return one_layer_optimum(task, shots=shots)[0].query[0, :-1, :-1].T


_every_layer = program(implied_from_moments, readout="sign")


@float64
def _implied(member: Model, moments: np.ndarray) -> Any:
    """p of every prompt and layer, shape (prompts, L, d_x)."""
    return _every_layer(member, moments)


def _fit_step_size(p: np.ndarray, moments: np.ndarray, matrix: np.ndarray, covariance: np.ndarray, steps: int) -> float:
    """argmin over η of the mean of (p - w_gd)ᵀ Λ (p - w_gd), a polynomial of degree 2 `steps` in η.

    A grid of both signs finds the valley (there can be several), and is widened while its best point is an end
    point; the root of the derivative then gives η to rounding, where a search by value stops at its square root.
    Many steps with η far in the unstable range (above 4 / λ_max) lie outside the grid and can be missed.
    """

    def objective(eta: Any) -> Any:
        return quadratic_loss(p, gradient_steps(moments, matrix, eta, steps)[0][..., -1, :], covariance).mean(-1)

    def derivative(eta: float) -> float:
        w, slope = (a[:, -1] for a in gradient_steps(moments, matrix, eta, steps))
        return float(((w - p) @ covariance * slope).sum(-1).mean())

    # GD is stable up to 2 / λ_max; twice that leaves room for prompts whose S is smaller than average.
    width = 4 / np.linalg.norm(matrix @ moments[:, :-1, :-1], 2, axis=(1, 2)).mean()
    for _ in range(WIDENINGS):
        grid = np.linspace(-width, width, GRID)
        best = int(np.argmin(objective(grid)))
        if 0 < best < GRID - 1:
            break
        width *= 2
    else:
        raise checks.error("weights", "predictions too large to fit", "finite ones", "drop members that diverged")
    low, high = grid[best - 1], grid[best + 1]
    if derivative(low) < 0 < derivative(high):
        root: Any = brentq(derivative, low, high, xtol=1e-15 * width)
        return float(root)
    # A valley narrower than a grid cell: no sign change between its neighbours.
    best: Any = minimize_scalar(objective, bounds=(low, high), method="bounded", options={"xatol": 1e-12 * width})
    return float(best.x)


def _fit_plus_plus(
    p: np.ndarray, moments: np.ndarray, eta: float, task: LinearRegression, steps: int
) -> tuple[float, float]:
    """argmin over (η, γ) of the mean of (p - w)ᵀ Λ (p - w) for GD++, from several γ in addition to the plain fit of η.

    In units of the inputs and of p, because the solver's tolerance for a gradient is an absolute one.
    """
    size = float(np.linalg.norm(moments[:, :-1, :-1], 2, axis=(1, 2)).mean())
    unit = float(np.sqrt(((p @ task.input_root) ** 2).mean())) or 1.0

    values, vectors = np.linalg.eigh(moments[:, :-1, :-1])
    cross = (vectors.swapaxes(-1, -2) @ moments[:, :-1, -1:])[..., 0]
    root = (vectors.swapaxes(-1, -2) @ task.input_root) / unit
    target = (p @ task.input_root / unit).ravel()

    def weights(parameters: np.ndarray) -> np.ndarray:
        """w in the metric of the predictions, flat, with its derivatives, (3, prompts d_x)."""
        eta, gamma = parameters / size
        found = plus_plus_end(values, cross, eta, gamma, steps)
        return np.einsum("kni,nij->knj", found, root).reshape(3, -1)

    def residuals(parameters: np.ndarray) -> np.ndarray:
        return weights(parameters)[0] - target

    def jacobian(parameters: np.ndarray) -> np.ndarray:
        return weights(parameters)[1:].T / size

    starts = [(eta * size, gamma) for gamma in (-0.3, 0.0, 0.3, 0.6)]
    options: dict[str, Any] = {"jac": jacobian, "xtol": 1e-15, "ftol": 1e-15, "gtol": 1e-15}
    best = min((least_squares(residuals, start, **options) for start in starts), key=lambda r: r.cost)
    return float(best.x[0] / size), float(best.x[1] / size)


def _metrics(p: np.ndarray, w: np.ndarray, covariance: np.ndarray) -> np.ndarray:
    """Squared prediction difference, cosine, norm difference, distance; p, w (prompts, L, d_x) → (4, prompts, L)."""
    length_p, length_w = np.linalg.norm(p, axis=-1), np.linalg.norm(w, axis=-1)
    product = length_p * length_w
    cosine = np.divide((p * w).sum(-1), product, out=np.full(product.shape, np.nan), where=product > 0)
    distance = np.linalg.norm(p - w, axis=-1)
    return np.stack([quadratic_loss(p, w, covariance), cosine, np.abs(length_p - length_w), distance])


def _summarise(values: np.ndarray) -> LayerAgreement:
    """Estimates from values (seeds, 4, prompts): over members if there are several, else over prompts."""
    if len(values) > 1:
        means = values.mean(-1)
        square, cosine, norm, distance = np.column_stack([np.sqrt(means[:, 0]), means[:, 1:]]).T
        difference = _estimate(square, "label")
    else:
        square, cosine, norm, distance = values[0]
        mean = _estimate(square, "label")
        root = math.sqrt(mean.value)
        # Delta method for the square root of a mean.
        difference = Estimate(root, mean.stderr / (2 * root) if root > 0 else 0.0, mean.samples, "unbiased", "label")
    return LayerAgreement(
        difference, _estimate(cosine, "cosine"), _estimate(norm, "weight"), _estimate(distance, "weight")
    )


def _estimate(values: np.ndarray, unit: str) -> Estimate:
    """Mean and standard error of independent values."""
    note = "a weight of length zero has no direction" if np.isnan(values).any() else ""
    return Estimate.from_samples(values, unit=unit, note=note)
